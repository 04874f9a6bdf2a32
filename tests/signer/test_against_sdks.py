"""Every signature is the same as that of both official SDKs."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import unquote, urlsplit

import alibabacloud_oss_v2 as oss
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.signer.sdks import client_of_v2, clock_of_v2_stopped_at, query_pairs, url_of_oss2, url_of_v2
from tests.signer.signing import (
    BUCKET,
    NOW,
    TEMPORARY,
    LinkRequest,
    buckets,
    credentials,
    keys,
    lifetimes,
    link_requests,
    times,
)

HOSTILE = LinkRequest(
    "PUT",
    BUCKET,
    "报告 +%2F&=#?/a~b.c*'()/😀\u2028/",
    TEMPORARY,
    "cn-hangzhou",
    "oss",
    600,
    {"a": "", "a-b": "1", "A": "2", "a/b": "c d+e", "x-oss-z": "%", "versionId": ""},
    {"Content-Type": "text/plain; charset=utf-8", "X-Oss-Meta-A": "", "ZAbc": "v", "zab": "w"},
    ("host", "zab", "ZAbc"),
    NOW,
)


@settings(max_examples=30, deadline=None)
@given(link_requests())
@example(HOSTILE)
def test_every_link_is_the_one_that_both_sign(link_request: LinkRequest) -> None:
    ours = query_pairs(link_request.link().url)
    assert ours == query_pairs(url_of_v2(link_request))
    assert ours == query_pairs(url_of_oss2(link_request))


REQUESTS = {
    "GET": lambda bucket, key: oss.GetObjectRequest(bucket, key, version_id="CAEQ+/EXAMPLE=", traffic_limit=819_200),
    "HEAD": lambda bucket, key: oss.HeadObjectRequest(bucket, key, version_id="CAEQEXAMPLE"),
    "PUT": lambda bucket, key: oss.PutObjectRequest(
        bucket, key, content_type="text/plain", content_md5="1B2M2Y8AsgTpgAmY7PhCfg==", metadata={"author": "a b"}
    ),
    "POST": lambda bucket, key: oss.InitiateMultipartUploadRequest(bucket, key),
    "part": lambda bucket, key: oss.UploadPartRequest(bucket, key, part_number=1, upload_id="0004B9894A22EXAMPLE"),
    "DELETE": lambda bucket, key: oss.AbortMultipartUploadRequest(bucket, key, upload_id="0004B9894A22EXAMPLE"),
}
QUERIES = {
    "GET": {"versionId": "CAEQ+/EXAMPLE="},
    "HEAD": {"versionId": "CAEQEXAMPLE"},
    "PUT": {},
    "POST": {"uploads": ""},
    "part": {"partNumber": "1", "uploadId": "0004B9894A22EXAMPLE"},
    "DELETE": {"uploadId": "0004B9894A22EXAMPLE"},
}


@pytest.mark.parametrize("operation", REQUESTS)
@settings(max_examples=10, deadline=None)
@given(st.data())
def test_a_link_is_the_complete_url_of_the_client_of_alibabacloud_oss_v2(operation: str, data: st.DataObject) -> None:
    # The client refuses keys that begin with "?"; the signer does not.
    bucket, key = data.draw(buckets), data.draw(keys.filter(lambda key: not key.startswith("?")))
    signing_keys, expires_in, now = data.draw(credentials), data.draw(lifetimes), data.draw(times)
    link_request = LinkRequest(
        operation, bucket, key, signing_keys, "cn-hangzhou", "oss", expires_in, QUERIES[operation], {}, (), now
    )

    with clock_of_v2_stopped_at(link_request.signed_at):
        theirs = client_of_v2(signing_keys).presign(
            REQUESTS[operation](bucket, key), expires=timedelta(seconds=expires_in)
        )
    ours = link_request._replace(method=theirs.method, headers=dict(theirs.signed_headers)).link()

    assert query_pairs(ours.url) == query_pairs(theirs.url)
    assert urlsplit(ours.url)[:2] == urlsplit(theirs.url)[:2]
    assert unquote(urlsplit(ours.url).path) == unquote(urlsplit(theirs.url).path) == f"/{key}"
    assert ours.url.isascii()
    assert (ours.method, ours.headers, ours.expires_at) == (theirs.method, theirs.signed_headers, theirs.expiration)
