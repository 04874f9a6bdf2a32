"""An allow-list decides what is signed for a caller.

These tests send every sub-resource and every x-oss-* header of the OSS reference, in the query and in the headers, for
every method, to every route. Each is refused or ignored, and never signed.

Sources: the OSS pages "PutObject", "PostObject", "CopyObject", "AppendObject", "InitiateMultipartUpload", "Common HTTP
headers", "Include a signature in the Authorization header"; oss2's own list of sub-resources.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import oss2
import pytest

from handler.config.load import QUERY
from signer import verify
from tests.handler.client import KEYS, SIGNATURE
from tests.handler.upload_fixtures import WRITER, UploadService, query_of, upload_service, upload_service_with_oss

SUB_RESOURCES = sorted(
    {
        *oss2.Auth._subresource_key_set,
        *(
            "accelerate",
            "accesspoint",
            "cleanRestoredObject",
            "dataLakeStorageTransfer",
            "img",
            "objectACL",
            "select/meta",
        ),
        *("csv/select", "json/select", "torrent", "udf", "undelete", "x-oss-object-acl", "x-oss-tagging"),
        *("x-oss-symlink-target", "x-oss-copy-source", "x-oss-copy-source-range", "x-oss-forbid-overwrite"),
        *("x-oss-security-token", "x-oss-signature", "x-oss-signature-version", "x-oss-credential", "x-oss-date"),
        *("x-oss-expires", "x-oss-additional-headers", "x-oss-callback", "x-oss-callback-var", "x-oss-content-sha256"),
        *("OSSAccessKeyId", "Signature", "Expires", "security-token", "fetch", "list-type", "prefix", "encoding-type"),
    }
    - {"expires", "format", "download", "share"}
)
HEADERS = sorted(
    {
        *(
            value
            for value in vars(oss2.headers).values()
            if isinstance(value, str) and value.startswith("x-oss-") and not value.startswith("x-oss-meta-")
        ),
        *("x-oss-ac-forward-allow", "x-oss-ac-source-ip", "x-oss-ac-subnet-mask", "x-oss-ac-vpc-id", "x-oss-acl"),
        *("x-oss-additional-headers", "x-oss-async-process", "x-oss-callback", "x-oss-callback-var"),
        *("x-oss-content-sha256", "x-oss-content-type", "x-oss-copy-source", "x-oss-copy-source-if-match"),
        *("x-oss-copy-source-if-modified-since", "x-oss-copy-source-if-none-match", "x-oss-copy-source-range"),
        *("x-oss-copy-source-if-unmodified-since", "x-oss-credential", "x-oss-data-redundancy-type", "x-oss-date"),
        *("x-oss-expires", "x-oss-forbid-overwrite", "x-oss-fwd-header-content-type", "x-oss-fwd-status"),
        *("x-oss-hash-ctx", "x-oss-metadata-directive", "x-oss-meta-", "x-oss-meta", "x-oss-object-acl"),
        *("x-oss-object-worm-mode", "x-oss-object-worm-retain-until-date", "x-oss-persistent-headers", "x-oss-process"),
        *("x-oss-range-behavior", "x-oss-request-payer", "x-oss-restore", "x-oss-security-token"),
        *("x-oss-server-side-data-encryption", "x-oss-server-side-encryption", "x-oss-server-side-encryption-key-id"),
        *("x-oss-signature", "x-oss-signature-version", "x-oss-storage-class", "x-oss-symlink-target"),
        *("x-oss-tagging", "x-oss-tagging-directive", "x-oss-traffic-limit", "x-oss-write-get-object-response"),
        *("cache-control", "content-disposition", "content-encoding", "content-language", "expires", "range"),
        *("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "host", "date", "authorization"),
        *("content-length", "transfer-encoding", "origin", "referer"),
    }
)
VALUES = ("", "1", "public-read", "/examplebucket/.links/keys.json")
# What a mount may list, and what of it is refused for its value.
MAY_LIST = {*QUERY}
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


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> UploadService:
    return upload_service(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UploadService]:
    with upload_service_with_oss(tmp_path_factory.mktemp("oss")) as running:
        yield running


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


def check(service: UploadService, document: Any, own: frozenset[str] = frozenset()) -> int:
    """The number of links; each must sign only known parameters, and be valid with exactly its headers."""
    count = 0
    for link in links_in(document):
        headers = link.get("headers", {})
        query = set(query_of(link["url"])) - SIGNATURE - {"x-oss-additional-headers", "uploadId", "partNumber"}
        assert query <= own, query
        assert {name.lower() for name in headers} <= SIGNED_HEADERS
        method = link.get("method", "PUT")
        assert verify(method, link["url"], headers=headers, credentials=KEYS, now=service.now).ok
        count += 1
    return count


def check_form(form: Any) -> None:
    """The policy of a form must contain only known fields."""
    conditions = json.loads(base64.b64decode(form["fields"]["policy"]))["conditions"]
    names = {
        next(iter(c)) if isinstance(c, dict) else c[1] if len(c) == 3 and c[0] != "content-length-range" else c[0]
        for c in conditions
    }
    assert names <= FORM_FIELDS
    assert {"x-oss-object-acl": "default"} in conditions
    assert set(form["fields"]) <= {"key", "policy", "x-oss-signature", "x-oss-content-type", *FORM_FIELDS}


class TestObjectPath:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("path", ["/both/a", "/out/a"])
    def test_a_query_parameter_is_refused_by_name_unless_the_mount_lists_it(
        self, plain: UploadService, path: str, method: str
    ) -> None:
        listed = {mount.path: mount.query for mount in plain.config.mounts}[path[:-1]]
        for name in SUB_RESOURCES:
            if name in listed:
                continue
            for value in VALUES:
                response = plain.request(path, method, {name: value})
                assert response.status == 400, name
                if method == "GET":
                    assert response.code == "not_signable"
                    assert repr(name) in response.json["detail"]

    def test_other_spellings_of_listed_parameters_are_refused(self, plain: UploadService) -> None:
        for name in (
            "versionid",
            "VersionId",
            " versionId",
            "versionId ",
            "X-Oss-Process",
            "x-oss-process\n",
            "response-",
        ):
            assert plain.request("/both/a", query={name: "1"}).status == 400, name

    def test_a_listed_parameter_accepts_only_allowed_values(self, plain: UploadService) -> None:
        for value in (
            "image/resize,w_101",
            "image/watermark,image_a2V5cy5qc29u",
            "",
            "image/resize,w_100/",
            "sys/saveas",
        ):
            assert plain.request("/both/a", query={"x-oss-process": value}).code == "bad_query"
        for value in ("0", "819199", "838860801", "0x1", "1e6", "819200 ", "八一九二〇〇"):
            assert plain.request("/both/a", query={"x-oss-traffic-limit": value}).code == "bad_query"

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
    def test_the_headers_of_the_request_are_not_signed(self, plain: UploadService, method: str) -> None:
        unkeyed = [name for name in HEADERS if name != "authorization"]
        before = plain.request("/both/a", method, headers={"Accept": "application/json"})
        for name in unkeyed:
            for value in VALUES:
                response = plain.request("/both/a", method, headers={"Accept": "application/json", name: value})
                assert (response.status, response.body) == (before.status, before.body)
                assert response.headers.get("Location") is None

    @pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH", "TRACE"])
    def test_other_methods_return_no_link(self, plain: UploadService, method: str) -> None:
        for name in SUB_RESOURCES:
            response = plain.request("/both/a", method, {name: ""})
            assert response.status == 405
            assert "Location" not in response.headers

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_with_a_share_all_other_parameters_are_dropped(self, plain: UploadService, method: str) -> None:
        created = plain.post("/-/shares", {"path": "/both/a", "allow_missing": True}, WRITER)
        share = created.json["url"].partition("share=")[2]
        for name in SUB_RESOURCES:
            response = plain.request(
                "/both/a", method, {"share": share, name: "1"}, {name: "1"} if name in HEADERS else None
            )
            assert response.status == 302
            assert set(query_of(response.headers["Location"])) == SIGNATURE

    def test_ignored_parameters_are_not_signed(self, plain: UploadService) -> None:
        ignoring = plain.with_mount("/out/", unknown_query="ignore")
        for name in SUB_RESOURCES:
            response = ignoring.request("/out/a", query={name: "1"})
            assert set(query_of(response.headers["Location"])) == SIGNATURE


class TestSign:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
    def test_a_sub_resource_is_refused_by_name(self, plain: UploadService, method: str) -> None:
        names = [name for name in SUB_RESOURCES if method == "PUT" or name not in MAY_LIST]
        size = {"size": 5} if method == "PUT" else {}
        for value in (*VALUES, None, 1, ["1"]):
            items = [{"path": "/both/a", "method": method, "query": {name: value}, **size} for name in names]
            for name, result in zip(names, plain.sign(*items), strict=True):
                assert result["error"]["code"] == "not_signable", name
                assert repr(name) in result["error"]["detail"]

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
    def test_a_header_is_refused_by_name(self, plain: UploadService, method: str) -> None:
        size = {"size": 5} if method == "PUT" else {}
        names = [
            spelling for name in HEADERS for spelling in (name, name.title(), name.upper(), f"{name} ", f" {name}")
        ]
        for value in VALUES:
            items = [{"path": "/both/a", "method": method, "headers": {name: value}, **size} for name in names]
            for name, result in zip(names, plain.sign(*items), strict=True):
                assert result["error"]["code"] == "not_signable", name
                assert repr(name) in result["error"]["detail"]

    @pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "COPY"])
    def test_other_methods_are_not_signed(self, plain: UploadService, method: str) -> None:
        names = [{"query": {name: ""}} for name in SUB_RESOURCES] + [{"headers": {name: "1"}} for name in HEADERS]
        for result in plain.sign(*[{"path": "/both/a", "method": method, **more} for more in names]):
            assert result["error"]["code"] == "bad_body"

    def test_downloads_accept_no_headers(self, plain: UploadService) -> None:
        for name in ("Content-Type", "Content-MD5", "x-oss-meta-a"):
            assert plain.sign({"path": "/both/a", "headers": {name: "a"}})[0]["error"]["code"] == "not_signable"


@pytest.mark.parametrize("route", POST_ROUTES)
class TestRoutes:
    def test_a_member_of_the_body_is_refused_by_name(self, plain: UploadService, route: str) -> None:
        for name in {*SUB_RESOURCES, *HEADERS, "query", "headers"} - {"expires"}:
            response = plain.post(route, {**POST_ROUTES[route], name: "1"}, WRITER)
            assert (response.status, response.code) == (400, "bad_body"), name
            assert repr(name) in response.json["detail"]

    def test_the_query_and_headers_of_the_request_are_not_signed(self, service: UploadService, route: str) -> None:
        params = json.dumps(POST_ROUTES[route])
        links = 0
        names = sorted({*SUB_RESOURCES, *HEADERS} - {"authorization"})
        # Each name separately, but all at once if each request would start an upload.
        for chosen in [names] if route == "/-/uploads" else [names, *([name] for name in names)]:
            extra = dict.fromkeys(chosen, "1")
            headers = {**extra, "Content-Type": "application/json"}
            response = service.request(route, "POST", extra, headers, body=params, key=WRITER)
            assert response.status in (200, 201), response
            links += check(service, response.json)
            if route == "/-/form":
                check_form(response.json)
            if route == "/-/shares":
                shared = service.request(
                    "/both/a", query={**extra, "share": response.json["url"].partition("share=")[2]}
                )
                assert set(query_of(shared.headers["Location"])) == SIGNATURE
        assert links or route in ("/-/form", "/-/shares")

    def test_a_query_in_a_path_is_part_of_the_key(self, plain: UploadService, route: str) -> None:
        for name in SUB_RESOURCES:
            path = f"/both/a?{name}=1&acl#x"
            params: dict[str, Any] = {"links": [{"path": path}]} if route == "/-/sign" else {"path": path}
            if route == "/-/shares":
                params["allow_missing"] = True
            if route == "/-/uploads":
                continue
            response = plain.post(route, params, WRITER)
            assert response.status in (200, 201)
            check(plain, response.json)
            if route == "/-/form":
                assert response.json["fields"]["key"] == path[1:]


class TestParts:
    def test_further_parts_sign_no_other_parameters(self, service: UploadService) -> None:
        upload = service.start_upload(path="/both/parts.bin")
        route = f"/-/uploads/{upload['upload_id']}/parts"
        names = sorted({*SUB_RESOURCES, *HEADERS} - {"authorization"})
        extra = dict.fromkeys(names, "1")
        response = service.request(
            route,
            "POST",
            extra,
            {**extra, "Content-Type": "application/json"},
            body=json.dumps({"path": "/both/parts.bin"}),
        )
        assert check(service, response.json) == 5
        for name in {*names} - {"expires"}:
            response = service.post(route, {"path": "/both/parts.bin", name: "1"})
            assert (response.status, response.code) == (400, "bad_body")
