"""What the local OSS does not offer is a 501: no documented sub-resource passes for another request."""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Mapping
from pathlib import Path

import alibabacloud_oss_v2.operations as oss_v2
import oss2
import pytest

from signer.emulator.oss import operations
from signer.emulator.oss.errors import OssError
from signer.emulator.oss.incoming import OssRequest, RequestBody
from tests.local_oss import BUCKET, LocalOss

DOCUMENTED = json.loads((Path(__file__).parents[3] / "data" / "oss-subresources.json").read_text())
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
    "continuation-token",
    "encoding-type",
    "security-token",
    "versionId",
    "x-oss-traffic-limit",
    "x-oss-ac-forward-allow",
    "x-oss-ac-source-ip",
    "x-oss-ac-subnet-mask",
    "x-oss-ac-vpc-id",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
}


# The operations that these constants alone do not tell from others.
NOT_NAMED = {
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "ListParts",
    "UploadPart",
    "UploadPartCopy",
    "CompleteBucketWorm",
    "CreateSelectObjectMeta",
    "GetCnameToken",
    "OptionObject",
    "SelectObject",
    "ListAccessPoints",
    "ListBucketDataRedundancyTransition",
    "ListBucketInventory",
    "ListStyle",
    *(f"{verb}AccessPointPublicAccessBlock" for verb in ("Delete", "Get", "Put")),
}


def find(method: str, level: str, query: Mapping[str, str]) -> operations.Operation:
    """The operation of a request for the service, the bucket or the object with these parameters."""
    bucket, key, _ = LEVELS[level]
    body = RequestBody(io.BytesIO(), 0, chunked=False)
    return operations.find_operation(
        OssRequest(method, (), (*query.items(),), {}, body, "", bucket, key)
    )


def requests_of_v2() -> dict[str, tuple[str, str, dict[str, str]]]:
    """What alibabacloud-oss-v2 sends for each operation, by its name: method, level, and the constant parameters."""
    requests = {}
    for path in Path(str(oss_v2.__file__)).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("OperationInput"):
                of = {keyword.arg: keyword.value for keyword in node.keywords}
                level = "object" if "key" in of else "bucket" if "bucket" in of else "service"
                pairs = {
                    str(name.value): str(value.value) if isinstance(value, ast.Constant) else ""
                    for each in ast.walk(of.get("parameters", of["op_name"]))
                    if isinstance(each, ast.Dict)
                    for name, value in zip(each.keys, each.values, strict=True)
                    if isinstance(name, ast.Constant)
                }
                requests[ast.literal_eval(of["op_name"])] = (
                    ast.literal_eval(of["method"]),
                    level,
                    pairs,
                )
    return requests


def test_the_list_has_every_subresource_that_the_official_sdks_send() -> None:
    of_v2 = {name for _, _, query in requests_of_v2().values() for name in query}
    assert len(of_v2) > 50
    assert of_v2 | oss2.auth.ProviderAuth._subresource_key_set <= {*SUBRESOURCES, *PLAIN}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("method", METHODS)
def test_a_subresource_that_is_not_offered_is_a_501(level: str, method: str) -> None:
    offered = LEVELS[level][2]
    plain = {
        name
        for methods in offered.values()
        for each in methods.values()
        for name in each.parameters
    }
    refused = [name for name in SUBRESOURCES if name not in offered and name not in plain]
    assert len(refused) > 90
    for name in refused:
        for other in ("", *offered):
            with pytest.raises(OssError) as caught:
                find(method, level, dict.fromkeys([name, other] if other else [name], ""))
            assert (name, other, caught.value.status) == (name, other, 501)


def test_a_501_has_the_name_that_the_sdk_gives_the_operation() -> None:
    named = {}
    for name, (method, level, query) in requests_of_v2().items():
        try:
            named[name] = find(method, level, query).name
        except OssError as error:
            named[name] = str(error.details.get("Header", error.status))
    assert len(named) > 140
    assert {name for name, found in named.items() if found != name} == NOT_NAMED


def test_no_unknown_parameter_is_ignored(cloud: LocalOss) -> None:
    cloud.put(KEY, b"content")
    unknown = ({"partNumber": "1"}, {"a-later-name": ""}, {"uploads": "", "sequential": ""})
    for method, query in zip(("PUT", "PUT", "POST"), unknown, strict=True):
        refused = cloud.call(method, KEY, query, body=b"forged")
        assert (refused.status, refused.code) == (501, "NotImplemented")
    assert cloud.get(KEY).body == b"content"


def test_a_link_with_a_parameter_that_is_not_offered_is_a_501(cloud: LocalOss) -> None:
    cloud.put(KEY, b"content")
    assert cloud.send("GET", cloud.link("GET", KEY, query={"versionId": "null"})).status == 200
    for name, said in (
        ("legalHold", "PutObjectLegalHold"),
        ("later", 'PutObject with the parameter "later"'),
    ):
        refused = cloud.send("PUT", cloud.link("PUT", KEY, query={name: ""}), body=b"forged")
        assert (refused.status, refused.text("Header")) == (501, said)
        assert (
            refused.text("Message")
            == f"The local OSS does not implement {said}. Use OSS itself to test it."
        )
    assert cloud.get(KEY).body == b"content"


def test_a_copy_source_is_refused_where_nothing_is_copied(cloud: LocalOss) -> None:
    cloud.put(KEY, b"content")
    named = {"GET": "GetObject", "DELETE": "DeleteObject", "POST": "InitiateMultipartUpload"}
    for method, name in named.items():
        query = {"uploads": ""} if method == "POST" else {}
        refused = cloud.call(method, KEY, query, {"x-oss-copy-source": f"/{BUCKET}/{KEY}"})
        assert (refused.status, refused.text("Header")) == (501, f"{name} with x-oss-copy-source")


def test_what_oss_has_beside_what_is_offered_is_a_501_also_where_there_is_no_bucket(
    cloud: LocalOss,
) -> None:
    for bucket in (BUCKET, "missing-bucket"):
        refused = cloud.call("PUT", query={"policy": ""}, bucket=bucket)
        assert (refused.status, refused.text("Header")) == (501, "PutBucketPolicy")
    assert cloud.call("GET", query={"regions": ""}, bucket="").text("Header") == "DescribeRegions"
    assert cloud.call("GET", query={"acl": ""}, bucket="missing-bucket").code == "NoSuchBucket"


def test_a_501_for_a_header_or_a_setting_names_the_operation_too(cloud: LocalOss) -> None:
    redundancy = b"<C><DataRedundancyType>ZRS</DataRedundancyType></C>"
    for headers, body, said in (
        (
            {"x-oss-acl": "public-read"},
            b"",
            "x-oss-acl: public-read, as every request must be signed",
        ),
        ({}, redundancy, "DataRedundancyType ZRS"),
    ):
        refused = cloud.call("PUT", headers=headers, body=body, bucket="new-bucket")
        assert refused.text("Header") == f"PutBucket with {said}"
