"""The same function written by hand with alibabacloud-oss-v2, for comparison."""

from __future__ import annotations

import datetime
import json
import os
import sys
import time
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import alibabacloud_oss_v2 as oss


def client_for(context: Any) -> oss.Client:
    credentials = context.credentials
    return _client(
        credentials.access_key_id, credentials.access_key_secret, credentials.security_token
    )


@lru_cache(1)
def _client(*credentials: str) -> oss.Client:
    """The client of these credentials, reused until they change."""
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(*credentials)
    config.region = os.environ["LINK_REGION"]
    config.endpoint = os.environ.get("LINK_OSS_ENDPOINT")
    config.use_path_style = config.endpoint is not None
    return oss.Client(config)


def on_http(event: bytes, context: Any) -> dict[str, object]:
    began = time.perf_counter()
    request = json.loads(event)
    key = unquote(request["rawPath"], errors="strict").removeprefix("/")
    presigned = client_for(context).presign(
        oss.GetObjectRequest(bucket=os.environ["LINK_BUCKET"], key=key),
        expires=datetime.timedelta(seconds=900),
    )
    milliseconds = round((time.perf_counter() - began) * 1000, 3)
    line = {
        "request_id": context.request_id,
        "method": request["requestContext"]["http"]["method"],
        "key": key,
        "client_ip": request["requestContext"]["http"]["sourceIp"],
        "expires_in": 900,
        "status": 302,
        "milliseconds": milliseconds,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    headers = {"Location": presigned.url, "Cache-Control": "no-store"}
    return {"statusCode": 302, "headers": headers, "isBase64Encoded": False, "body": ""}
