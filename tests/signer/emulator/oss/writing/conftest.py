"""The official Python SDKs as clients of a local OSS."""

from __future__ import annotations

from typing import Any

import alibabacloud_oss_v2 as oss_v2
import oss2
import pytest

from tests.handler.client import KEYS
from tests.local_oss import BUCKET, REGION, LocalOss


@pytest.fixture
def bucket(live_cloud: LocalOss) -> Any:
    """A bucket of oss2."""
    provider = oss2.credentials.StaticCredentialsProvider(*KEYS[:3])
    return oss2.Bucket(oss2.ProviderAuthV4(provider), live_cloud.url, BUCKET, region=REGION)


@pytest.fixture
def client(live_cloud: LocalOss) -> Any:
    """A client of alibabacloud-oss-v2."""
    provider = oss_v2.credentials.StaticCredentialsProvider(*KEYS[:3])
    config = oss_v2.config.load_default()
    config.credentials_provider = provider
    config.region = REGION
    config.endpoint = live_cloud.url
    return oss_v2.Client(config)
