"""Every signature is the same as that of both official SDKs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

import alibabacloud_oss_v2 as oss

from tests.signer.sdks import (
    client_of_v2,
    clock_of_v2_stopped_at,
    query_pairs,
    url_of_oss2,
    url_of_v2,
)
from tests.signer.signing import TEMPORARY, LinkRequest, random_requests

HOSTILE = LinkRequest(
    "PUT",
    key="报告 +%2F&=#?/a~b.c*'()/😀\u2028/",
    credentials=TEMPORARY,
    query={"a": "", "a-b": "1", "A": "2", "a/b": "c d+e", "x-oss-z": "%", "versionId": ""},
    headers={
        "Content-Type": "text/plain; charset=utf-8",
        "X-Oss-Meta-A": "",
        "ZAbc": "v",
        "zab": "w",
    },
    signed_headers=("host", "zab", "ZAbc"),
)


def test_every_link_is_the_one_that_both_sign() -> None:
    for request in (HOSTILE, *random_requests(100)):
        ours = query_pairs(request.link().url)
        assert ours == query_pairs(url_of_v2(request))
        assert ours == query_pairs(url_of_oss2(request))


VERSION = "CAEQ+/EXAMPLE="
OPERATIONS: list[tuple[Callable[..., Any], dict[str, Any], dict[str, str]]] = [
    (
        oss.GetObjectRequest,
        {"version_id": VERSION, "traffic_limit": 819_200},
        {"versionId": VERSION},
    ),
    (oss.HeadObjectRequest, {"version_id": VERSION}, {"versionId": VERSION}),
    (
        oss.PutObjectRequest,
        {"content_type": "text/plain", "content_md5": "1B2M2Y8AsgTpgAmY7PhCfg=="},
        {},
    ),
    (oss.PutObjectRequest, {"metadata": {"author": "a b"}}, {}),
    (oss.InitiateMultipartUploadRequest, {}, {"uploads": ""}),
    (
        oss.UploadPartRequest,
        {"part_number": 1, "upload_id": "0004B98"},
        {"partNumber": "1", "uploadId": "0004B98"},
    ),
    (oss.AbortMultipartUploadRequest, {"upload_id": "0004B98"}, {"uploadId": "0004B98"}),
]


def test_a_link_is_the_complete_url_of_the_client_of_alibabacloud_oss_v2() -> None:
    # The client refuses keys that begin with "?"; the signer does not.
    requests = [request for request in random_requests(70) if not request.key.startswith("?")]
    for number, drawn in enumerate(requests):
        operation, options, query = OPERATIONS[number % len(OPERATIONS)]
        request = drawn._replace(
            region="cn-hangzhou", product="oss", query=query, signed_headers=()
        )
        with clock_of_v2_stopped_at(request.signed_at):
            theirs = client_of_v2(request.credentials).presign(
                operation(request.bucket, request.key, **options),
                expires=timedelta(seconds=request.expires_in),
            )
        ours = request._replace(method=theirs.method, headers=dict(theirs.signed_headers)).link()

        assert query_pairs(ours.url) == query_pairs(theirs.url)
        assert urlsplit(ours.url)[:2] == urlsplit(theirs.url)[:2]
        assert (
            unquote(urlsplit(ours.url).path)
            == unquote(urlsplit(theirs.url).path)
            == f"/{request.key}"
        )
        assert ours.url.isascii()
        assert (ours.method, ours.headers, ours.expires_at) == (
            theirs.method,
            theirs.signed_headers,
            theirs.expiration,
        )
