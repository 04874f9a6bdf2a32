"""What the local OSS does not offer is a 501: no documented sub-resource passes for another request."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterable
from pathlib import Path

import alibabacloud_oss_v2.operations as oss_v2
import oss2
import pytest

from local.oss import operations
from local.oss.errors import OssError
from local.oss.incoming import OssRequest, RequestBody
from tests.local.oss.cloud import BUCKET, Cloud

DOCUMENTED = json.loads((Path(__file__).parents[2] / "data" / "oss-subresources.json").read_text())
SUBRESOURCES = sorted({*DOCUMENTED["service"], *DOCUMENTED["bucket"], *DOCUMENTED["object"]})
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
LEVELS = {
    "service": ("", "", operations.SERVICE),
    "bucket": (BUCKET, "", operations.BUCKET),
    "object": (BUCKET, "exampledir/exampleobject.txt", operations.OBJECT),
}
KEY = LEVELS["object"][1]
# Parameters that the SDKs sign with V1, and that are not sub-resources.
PLAIN = {
    *("continuation-token", "encoding-type", "security-token", "versionId", "x-oss-traffic-limit"),
    *("x-oss-ac-forward-allow", "x-oss-ac-source-ip", "x-oss-ac-subnet-mask", "x-oss-ac-vpc-id"),
    *("response-cache-control", "response-content-disposition", "response-content-encoding"),
    *("response-content-language", "response-content-type", "response-expires"),
}


def handler_of(method: str, level: str, query: Iterable[str]) -> operations.Handler:
    """The handler of a request for the service, the bucket or the object with these sub-resources."""
    bucket, key, _ = LEVELS[level]
    body = RequestBody(io.BytesIO(), 0, chunked=False)
    request = OssRequest(method, (), tuple((n, "") for n in query), {}, body, "", bucket, key)
    return operations.find_operation(request).handler


def subresources_of_v2() -> set[str]:
    """The sub-resources in the sources of alibabacloud-oss-v2: the constant keys of each request's `parameters`."""
    names: set[str] = set()
    for path in Path(str(oss_v2.__file__)).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "parameters":
                constants = [key for key in ast.walk(node.value) if isinstance(key, ast.Dict)]
                names |= {str(key.value) for each in constants for key in each.keys if isinstance(key, ast.Constant)}
    return names


def test_the_list_has_every_subresource_that_the_official_sdks_send() -> None:
    of_v2 = subresources_of_v2()
    assert len(of_v2) > 50
    assert of_v2 | oss2.auth.ProviderAuth._subresource_key_set <= {*SUBRESOURCES, *PLAIN}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("method", METHODS)
def test_a_subresource_that_is_not_offered_is_a_501(level: str, method: str) -> None:
    offered = LEVELS[level][2]
    plain = {name for methods in offered.values() for each in methods.values() for name in each.parameters}
    refused = [name for name in SUBRESOURCES if name not in offered and name not in plain]
    assert len(refused) > 90
    for name in refused:
        for other in ("", *offered):
            with pytest.raises(OssError) as caught:
                handler_of(method, level, [name, other] if other else [name])
            assert (name, other, caught.value.status) == (name, other, 501)


@pytest.mark.parametrize(
    ("method", "key", "query"),
    [
        ("PUT", KEY, {"legalHold": ""}),
        ("PUT", KEY, {"retention": ""}),
        ("PUT", KEY, {"legalHold": "", "versionId": "null"}),
        ("PUT", KEY, {"partNumber": "1"}),
        ("PUT", KEY, {"a-later-name": ""}),
        ("POST", KEY, {"uploads": "", "sequential": ""}),
        ("GET", KEY, {"x-oss-process": "image/info"}),
        ("DELETE", "", {"objectWorm": ""}),
    ],
)
def test_no_unknown_parameter_is_ignored(cloud: Cloud, method: str, key: str, query: dict[str, str]) -> None:
    cloud.put(KEY, b"content")
    refused = cloud.call(method, key, query, body=b"forged" if method != "GET" else None)
    assert (refused.status, refused.code) == (501, "NotImplemented")
    assert cloud.get(KEY).body == b"content"


def test_a_link_with_a_parameter_that_is_not_offered_is_a_501(cloud: Cloud) -> None:
    cloud.put(KEY, b"content")
    assert cloud.send("GET", cloud.link("GET", KEY, query={"versionId": "null"})).status == 200
    refused = cloud.send("PUT", cloud.link("PUT", KEY, query={"legalHold": ""}), body=b"forged")
    assert (refused.status, refused.text("Header")) == (501, 'the parameter "legalHold"')
    assert cloud.get(KEY).body == b"content"


def test_a_form_with_a_subresource_is_a_501(cloud: Cloud) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    refused = cloud.send("POST", f"/{BUCKET}/?metaQuery", headers, b"--b--\r\n")
    assert (refused.status, refused.code) == (501, "NotImplemented")


def test_a_copy_source_is_refused_where_nothing_is_copied(cloud: Cloud) -> None:
    cloud.put(KEY, b"content")
    part = {"partNumber": "1", "uploadId": "0" * 32}
    for method, query in (("GET", {}), ("DELETE", {}), ("POST", {"uploads": ""}), ("PUT", part)):
        refused = cloud.call(method, KEY, query, {"x-oss-copy-source": f"/{BUCKET}/{KEY}"})
        assert (refused.status, refused.code) == (501, "NotImplemented")


def test_a_method_that_a_subresource_does_not_have_is_a_405(cloud: Cloud) -> None:
    assert cloud.call("DELETE", query={"versioning": ""}).status == 405
    assert cloud.call("POST", KEY).status == 405


@pytest.mark.parametrize(
    ("method", "key", "query", "name"),
    [
        ("DELETE", "", {"lifecycle": ""}, "DeleteBucketLifecycle"),
        ("PUT", KEY, {"acl": ""}, "PutObjectAcl"),
        ("GET", "", {"key-marker": "a", "versions": ""}, "ListObjectVersions"),
        ("PUT", KEY, {"partNumber": "1", "uploadId": "0" * 32}, "UploadPartCopy"),
    ],
)
def test_what_oss_has_beside_what_is_offered_is_a_501_that_names_it(
    cloud: Cloud, method: str, key: str, query: dict[str, str], name: str
) -> None:
    headers = {"x-oss-copy-source": f"/{BUCKET}/{KEY}"} if name == "UploadPartCopy" else {}
    refused = cloud.call(method, key, query, headers)
    assert (refused.status, refused.text("Header")) == (501, name)


def test_what_oss_has_for_the_whole_service_is_a_501_that_names_it(cloud: Cloud) -> None:
    """SDKs list buckets with a prefix and a marker."""
    for query, name in (({"prefix": "a", "marker": ""}, "ListBuckets"), ({"regions": ""}, "DescribeRegions")):
        refused = cloud.call("GET", "", query, bucket="")
        assert (refused.status, refused.text("Header")) == (501, name)


def test_a_missing_bucket_is_reported_before_what_is_not_implemented(cloud: Cloud) -> None:
    assert cloud.call("GET", query={"acl": ""}, bucket="missing-bucket").code == "NoSuchBucket"
