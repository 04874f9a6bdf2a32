"""Links whose signature is right, and that OSS refuses for what they were signed for."""

from __future__ import annotations

import pytest

from signer import Endpoint, verify
from tests.signer.sdks import url_of_v2
from tests.signer.signing import BUCKET, KEY, KEYS, NOW, LinkRequest

REQUEST = LinkRequest("PUT", BUCKET, KEY, KEYS, "cn-hangzhou", "oss", 600, {}, {}, (), NOW)


@pytest.mark.parametrize("product", ["oss2", "s3", "OSS"])
def test_a_link_for_another_product_is_refused(product: str) -> None:
    result = verify("PUT", url_of_v2(REQUEST._replace(product=product)), credentials=KEYS, now=NOW)

    assert [(fault.code, fault.parameter) for fault in result.faults] == [("wrong_product", "x-oss-credential")]


def test_a_link_for_a_cloud_box_is_valid() -> None:
    assert verify("PUT", url_of_v2(REQUEST._replace(product="oss-cloudbox")), credentials=KEYS, now=NOW).ok


def test_a_link_for_another_region_is_refused() -> None:
    endpoint = Endpoint.public("cn-hangzhou")
    url = url_of_v2(REQUEST._replace(region="us-west-1")).replace("oss-us-west-1", "oss-cn-hangzhou")
    result = verify("PUT", url, credentials=KEYS, now=NOW, endpoint=endpoint)

    assert [(fault.code, fault.parameter) for fault in result.faults] == [("wrong_scope", "x-oss-credential")]


@pytest.mark.parametrize("payload", ["0" * 64, "unsigned-payload"])
def test_a_link_with_the_hash_of_a_payload_is_refused(payload: str) -> None:
    headers = {"x-oss-content-sha256": payload}
    result = verify("PUT", url_of_v2(REQUEST._replace(headers=headers)), credentials=KEYS, headers=headers, now=NOW)

    assert [(fault.code, fault.parameter) for fault in result.faults] == [("bad_parameter", "x-oss-content-sha256")]
