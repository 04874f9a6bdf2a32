"""An allow-list decides what is signed for a caller.

These tests send every sub-resource and every x-oss-* header of the OSS reference, in the query and in the headers, for
every method, to every route. Each is refused or ignored, and never signed.

Sources: the OSS pages "PutObject", "PostObject", "CopyObject", "AppendObject", "InitiateMultipartUpload", "Common HTTP
headers", "Include a signature in the Authorization header"; oss2's own list of sub-resources.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import oss2
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from handler.core.config import Config
from handler.core.config.table import QUERY
from signer import verify
from tests.handler.client import CONFIG, KEYS, SIGNATURE, ask, mount
from tests.handler.upload_fixtures import conditions, query_of
from tests.system import WRITER, System

# What pages list beside the SDK's own list, and the parameters of a signature.
_SUB_RESOURCES = """
accelerate accessPoint accessPointForObjectProcess accessPointPolicy accessPointPolicyForObjectProcess accesspoint
accessmonitor archive asyncFetch bucketArchiveDirectRead channel cleanRestoredObject csr csv/select
dataLakeStorageTransfer dataRedundancyTransition deleteMultiple dryRun encoding-type eventTriggers fetch group
groupSet httpsConfig img inventoryId json/select list-type meta metaQuery notification objectACL policyStatus prefix
publicAccessBlock quotas redundancyTransition regionList replicationLocation replicationProgress requestPayer
requesterQosInfo resourcePool response-vod rtc security-token select/meta sequential space style styleName tlsVersion
torrent transferAcceleration udf udfApplication udfApplicationLog udfId udfImage udfImageDesc udfName undelete
userDefinedLogFieldsConfig versions vip website worm wormExtend wormId securityToken x-oss-ac-forward-allow
x-oss-ac-source-ip x-oss-ac-subnet-mask x-oss-ac-vpc-id x-oss-acl x-oss-callback x-oss-callback-var
x-oss-content-sha256 x-oss-copy-source x-oss-copy-source-range x-oss-delete-all x-oss-forbid-overwrite x-oss-meta-a
x-oss-object-acl x-oss-rename x-oss-storage-class x-oss-symlink-target x-oss-tagging x-oss-target
x-oss-additional-headers x-oss-credential x-oss-date x-oss-expires x-oss-security-token x-oss-signature
x-oss-signature-version OSSAccessKeyId Signature Expires
"""
SUB_RESOURCES = sorted(
    {*oss2.Auth._subresource_key_set, *_SUB_RESOURCES.split()}
    - {"expires", "format", "download", "share"}
)
_HEADERS = """
x-oss-ac-forward-allow x-oss-ac-source-ip x-oss-ac-subnet-mask x-oss-ac-vpc-id x-oss-acl x-oss-additional-headers
x-oss-async-process x-oss-callback x-oss-callback-var x-oss-content-sha256 x-oss-content-type x-oss-copy-source
x-oss-copy-source-if-match x-oss-copy-source-if-modified-since x-oss-copy-source-if-none-match
x-oss-copy-source-if-unmodified-since x-oss-copy-source-range x-oss-credential x-oss-data-redundancy-type x-oss-date
x-oss-expires x-oss-forbid-overwrite x-oss-fwd-header-content-type x-oss-fwd-status x-oss-hash-ctx x-oss-meta
x-oss-meta- x-oss-metadata-directive x-oss-object-acl x-oss-object-worm-mode x-oss-object-worm-retain-until-date
x-oss-persistent-headers x-oss-process x-oss-range-behavior x-oss-request-payer x-oss-restore x-oss-security-token
x-oss-server-side-data-encryption x-oss-server-side-encryption x-oss-server-side-encryption-key-id x-oss-signature
x-oss-signature-version x-oss-storage-class x-oss-symlink-target x-oss-tagging x-oss-tagging-directive
x-oss-traffic-limit x-oss-write-get-object-response authorization cache-control content-disposition content-encoding
content-language content-length date expires host if-match if-modified-since if-none-match if-unmodified-since origin
range referer transfer-encoding
"""
_SDK_HEADERS = {value for value in vars(oss2.headers).values() if str(value).startswith("x-oss-")}
HEADERS = sorted(
    {*(name for name in _SDK_HEADERS if not name.startswith("x-oss-meta-")), *_HEADERS.split()}
)
VALUES = ("", "1", "public-read", "/examplebucket/.links/keys.json")
SIGNED_HEADERS = {"content-type", "content-length", "content-md5", "x-oss-forbid-overwrite"}
FORM_FIELDS = {
    "bucket",
    "x-oss-signature-version",
    "x-oss-credential",
    "x-oss-date",
    "x-oss-security-token",
    "x-oss-forbid-overwrite",
    "x-oss-object-acl",
    "success_action_status",
    "$key",
    "content-length-range",
    "$x-oss-content-type",
}
POST_ROUTES: Mapping[str, Mapping[str, object]] = {
    "/-/sign": {"links": [{"path": "/both/a"}, {"path": "/both/a", "method": "PUT", "size": 5}]},
    "/-/form": {"path": "/both/a"},
    "/-/uploads": {"path": "/both/a", "size": 5},
    "/-/shares": {"path": "/both/a", "allow_missing": True},
}


UNKEYED = [name for name in HEADERS if name != "authorization"]
PROCESS = ["image/resize,w_100", "style/small"]


def open_mount(**keys: object) -> Config:
    """A mount that lists all that one can list."""
    return mount(query=[*QUERY], process=PROCESS, **keys)


OPEN, LENIENT = open_mount(), mount(unknown_query="ignore")


def links_in(document: Any) -> Iterator[dict[str, Any]]:
    """Every link in the JSON of a response, at any depth."""
    if isinstance(document, list):
        for item in document:
            yield from links_in(item)
    elif isinstance(document, dict):
        if "url" in document and "fields" not in document and "share=" not in document["url"]:
            yield document
        for value in document.values():
            yield from links_in(value)


def check(service: System, document: Any, own: frozenset[str] = frozenset()) -> int:
    """The number of links; each must sign only known parameters, and be valid with exactly its headers."""
    count = 0
    for link in links_in(document):
        headers = link.get("headers", {})
        query = (
            set(query_of(link["url"]))
            - SIGNATURE
            - {"x-oss-additional-headers", "uploadId", "partNumber"}
        )
        assert query <= own, query
        assert {name.lower() for name in headers} <= SIGNED_HEADERS
        method = link.get("method", "PUT")
        assert verify(method, link["url"], headers=headers, credentials=KEYS, now=service.now).ok
        count += 1
    return count


def check_form(form: Any) -> None:
    """The policy of a form must contain only known fields."""
    names = {
        next(iter(c))
        if isinstance(c, dict)
        else c[1]
        if len(c) == 3 and c[0] != "content-length-range"
        else c[0]
        for c in conditions(form)
    }
    assert names <= FORM_FIELDS
    assert {"x-oss-object-acl": "default"} in conditions(form)
    assert set(form["fields"]) <= {
        "key",
        "policy",
        "x-oss-signature",
        "x-oss-content-type",
        *FORM_FIELDS,
    }


class TestObjectPath:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("config", [CONFIG, OPEN], ids=["nothing listed", "everything listed"])
    def test_a_query_parameter_is_refused_by_name_unless_the_mount_lists_it(
        self, config: Config, method: str
    ) -> None:
        for name in {*SUB_RESOURCES, *QUERY} - config.mounts.by_path["/exampledir/"].query:
            for value in VALUES:
                response = ask(method=method, query={name: value}, config=config)
                assert response.status == 400, name
                if method == "GET":
                    assert response.code == "not_signable"
                    assert repr(name) in response.json["detail"]

    @given(name=st.text(st.characters(exclude_categories=["Cs"])), value=st.text(max_size=20))
    def test_no_other_name_is_accepted(self, name: str, value: str) -> None:
        assume(name not in ("expires", "download", "format"))
        assume((name, value) != ("null", ""))
        assert ask(query={name: value}, config=CONFIG).code == "not_signable"
        assert ask(query={name: value}, config=LENIENT).query == {}

    @pytest.mark.parametrize("name", QUERY)
    def test_names_are_compared_exactly(self, name: str) -> None:
        for written in (
            name.upper(),
            name.title(),
            f" {name}",
            f"{name} ",
            f"{name}\0",
            f"{name}\n",
            name[:-1],
        ):
            assert ask(query={written: "1000000"}, config=OPEN).code == "not_signable"

    def test_a_listed_parameter_is_signed_unchanged(self) -> None:
        query = {
            "versionId": "CAEQNhiBgMDJgZCA0BYiIDc4MGZjZGI2OTBjOTRmNTE5NmU5NmFhZjhjYmY0+/=",
            "response-content-type": "text/plain; charset=utf-8",
            "response-content-disposition": 'inline; filename="a b.txt"',
            "response-cache-control": "no-cache,no-store",
            "response-content-encoding": "gzip",
            "response-content-language": "zh-CN",
            "response-expires": "Fri, 24 Feb 2012 17:00:00 GMT",
            "x-oss-traffic-limit": "819200",
            "x-oss-process": "style/small",
        }
        response = ask(query=query, config=OPEN)
        assert response.query == query
        assert response.signs()

    def test_a_listed_parameter_requires_a_value(self) -> None:
        for name in QUERY:
            for unknown in ("refuse", "ignore"):
                response = ask(query={name: ""}, config=open_mount(unknown_query=unknown))
                assert (response.status, response.code) == (400, "bad_query")
                assert name in response.json["detail"]

    @pytest.mark.parametrize("value", ["a\r\nSet-Cookie: a=b", "a\x00", "\x7f", "\ud800"])
    def test_a_value_that_oss_cannot_send_as_a_header_is_refused(self, value: str) -> None:
        response = ask(query={"response-content-language": value}, config=OPEN)
        assert (response.status, response.code) == (400, "bad_query")
        assert value not in response.json["detail"]

    def test_a_repeated_parameter_has_the_joined_value_of_function_compute(self) -> None:
        assert ask(query={"expires": "600,60"}).code == "bad_expires"
        assert ask(query={"versionId": "a,b"}, config=OPEN).query == {"versionId": "a,b"}

    def test_an_empty_null_is_dropped_and_one_with_a_value_is_like_any_other_parameter(
        self,
    ) -> None:
        for config in (CONFIG, LENIENT, OPEN):
            response = ask(query={"null": "", "expires": "90"}, config=config)
            assert (response.query, response.expires_in) == ({}, 90)
        assert ask(query={"null": "null"}).code == ask(query={"Null": ""}).code == "not_signable"

    @pytest.mark.parametrize("unknown", ["refuse", "ignore"])
    def test_only_a_listed_process_is_signed(self, unknown: str) -> None:
        config = open_mount(unknown_query=unknown)
        for value in PROCESS:
            assert ask(query={"x-oss-process": value}, config=config).query == {
                "x-oss-process": value
            }
        listed = PROCESS[0]
        for value in (
            listed[:-1],
            f"{listed} ",
            f"{listed},{listed}",
            f"{listed}|sys/saveas,o_YQ",
            listed.upper(),
        ):
            response = ask(query={"x-oss-process": value}, config=config)
            assert (response.status, response.code) == (400, "bad_query")
            assert "x-oss-process" in response.json["detail"]
            assert listed not in response.json["detail"]

    def test_only_a_traffic_limit_within_the_limits_of_oss_is_signed(self) -> None:
        for value in ("819200", "838860800"):
            assert ask(query={"x-oss-traffic-limit": value}, config=OPEN).query == {
                "x-oss-traffic-limit": value
            }
        odd = (
            "0819200",
            "+819200",
            "819200 ",
            "819200.0",
            "819_200",
            "\uff18\uff11\uff19\uff12\uff10\uff10",
            "1MB",
        )
        for value in ("819199", "838860801", *odd):
            response = ask(query={"x-oss-traffic-limit": value}, config=OPEN)
            assert (response.status, response.code) == (400, "bad_query"), value
            assert "x-oss-traffic-limit" in response.json["detail"]

    def test_a_download_and_a_disposition_exclude_each_other(self) -> None:
        response = ask(
            query={"download": "a", "response-content-disposition": "inline"}, config=OPEN
        )
        assert (response.status, response.code) == (400, "bad_query")

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_the_headers_of_the_request_are_not_signed(
        self, in_memory: System, method: str
    ) -> None:
        before = in_memory.request("/both/a", method, headers={"Accept": "application/json"})
        for name in UNKEYED:
            for value in VALUES:
                response = in_memory.request(
                    "/both/a", method, headers={"Accept": "application/json", name: value}
                )
                assert (response.status, response.body) == (before.status, before.body)
                assert response.headers.get("Location") is None

    @pytest.mark.parametrize("method", ["POST", "PUT", "TRACE"])
    def test_other_methods_return_no_link(self, in_memory: System, method: str) -> None:
        for name in SUB_RESOURCES:
            response = in_memory.request("/both/a", method, {name: ""})
            assert response.status == 405
            assert "Location" not in response.headers

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_with_a_share_all_other_parameters_are_dropped(
        self, in_memory: System, method: str
    ) -> None:
        url = in_memory.create_share(key=WRITER, path="/both/a")
        for name in SUB_RESOURCES:
            response = in_memory.open(
                f"{url}&{name}=1", method, {name: "1"} if name in HEADERS else None
            )
            assert response.status == 302
            assert set(query_of(response.headers["Location"])) == SIGNATURE

    def test_ignored_parameters_are_not_signed(self) -> None:
        plain_url = ask(query={"expires": "90"}, config=LENIENT).url
        for name in (*SUB_RESOURCES, "utm_source", "fbclid", "from", "X-OSS-PROCESS", "null"):
            assert ask(query={name: "1", "expires": "90"}, config=LENIENT).url == plain_url


class TestSign:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
    def test_a_sub_resource_is_refused_by_name(self, in_memory: System, method: str) -> None:
        names = [name for name in SUB_RESOURCES if method == "PUT" or name not in QUERY]
        size = {"size": 5} if method == "PUT" else {}
        for value in ("", "1", None, ["1"]):
            items = [
                {"path": "/both/a", "method": method, "query": {name: value}, **size}
                for name in names
            ]
            for name, result in zip(names, in_memory.sign(*items), strict=True):
                assert result["error"]["code"] == "not_signable", name
                assert repr(name) in result["error"]["detail"]

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
    def test_a_header_is_refused_by_name(self, in_memory: System, method: str) -> None:
        size = {"size": 5} if method == "PUT" else {}
        names = [
            spelling
            for name in HEADERS
            for spelling in (name, name.title(), name.upper(), f"{name} ", f" {name}")
        ]
        items = [
            {"path": "/both/a", "method": method, "headers": {name: "1"}, **size} for name in names
        ]
        for name, result in zip(names, in_memory.sign(*items), strict=True):
            assert result["error"]["code"] == "not_signable", name
            assert repr(name) in result["error"]["detail"]

    @pytest.mark.parametrize("method", ["POST", "DELETE", "get"])
    def test_other_methods_are_not_signed(self, in_memory: System, method: str) -> None:
        names = [{"query": {name: ""}} for name in SUB_RESOURCES] + [
            {"headers": {name: "1"}} for name in HEADERS
        ]
        for result in in_memory.sign(
            *[{"path": "/both/a", "method": method, **more} for more in names]
        ):
            assert result["error"]["code"] == "bad_body"


@pytest.mark.parametrize("route", POST_ROUTES)
class TestRoutes:
    def test_a_member_of_the_body_is_refused_by_name(self, in_memory: System, route: str) -> None:
        for name in {*SUB_RESOURCES, *HEADERS, "query", "headers"} - {"expires"}:
            response = in_memory.post(route, {**POST_ROUTES[route], name: "1"}, WRITER)
            assert (response.status, response.code) == (400, "bad_body"), name
            assert repr(name) in response.json["detail"]

    def test_the_query_and_headers_of_the_request_are_not_signed(
        self, uploads: System, route: str
    ) -> None:
        extra = dict.fromkeys(sorted({*SUB_RESOURCES, *UNKEYED}), "1")
        headers = {**extra, "Content-Type": "application/json"}
        params = json.dumps(POST_ROUTES[route])
        response = uploads.request(route, "POST", extra, headers, body=params, key=WRITER)
        assert response.status in (200, 201), response
        assert check(uploads, response.json) == {"/-/sign": 2, "/-/uploads": 3}.get(route, 0)
        if route == "/-/form":
            check_form(response.json)


def test_further_parts_sign_no_other_parameters(uploads: System) -> None:
    upload = uploads.start_upload(path="/both/parts.bin")
    route = f"/-/uploads/{upload['upload_id']}/parts"
    extra = dict.fromkeys(sorted({*SUB_RESOURCES, *UNKEYED}), "1")
    headers = {**extra, "Content-Type": "application/json"}
    response = uploads.request(
        route, "POST", extra, headers, body=json.dumps({"path": "/both/parts.bin"})
    )
    assert check(uploads, response.json) == 5
    for name in {*extra} - {"expires"}:
        response = uploads.post(route, {"path": "/both/parts.bin", name: "1"})
        assert (response.status, response.code) == (400, "bad_body")
