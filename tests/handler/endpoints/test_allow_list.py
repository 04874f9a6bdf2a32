"""What a caller can have signed is an allow-list.

Every sub-resource and every x-oss-* header of the OSS reference is tried, in the query and in the headers, for every
method, through every route. It is refused or it is ignored; it is never in what is signed.

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
from tests.handler.upload_fixtures import WRITER, Uploads, query_of, uploads, uploads_with_oss

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
    "/-/shares": {"path": "/both/a"},
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Uploads:
    return uploads(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uploads]:
    with uploads_with_oss(tmp_path_factory.mktemp("kept")) as found:
        yield found


def links_in(document: Any) -> Iterator[dict[str, Any]]:
    """Every link of an answer, wherever it stands."""
    if isinstance(document, list):
        for item in document:
            yield from links_in(item)
    elif isinstance(document, dict):
        if "url" in document and "fields" not in document and "share=" not in document["url"]:
            yield document
        for value in document.values():
            yield from links_in(value)


def check(world: Uploads, document: Any, own: frozenset[str] = frozenset()) -> int:
    """How many links there are; each signs nothing but what is known here, and holds with exactly that."""
    count = 0
    for link in links_in(document):
        headers = link.get("headers", {})
        query = set(query_of(link["url"])) - SIGNATURE - {"x-oss-additional-headers", "uploadId", "partNumber"}
        assert query <= own, query
        assert {name.lower() for name in headers} <= SIGNED_HEADERS
        method = link.get("method", "PUT")
        assert verify(method, link["url"], headers=headers, credentials=KEYS, now=world.now).ok
        count += 1
    return count


def check_form(form: Any) -> None:
    """A form's policy names nothing but what is known here."""
    conditions = json.loads(base64.b64decode(form["fields"]["policy"]))["conditions"]
    names = {
        next(iter(c)) if isinstance(c, dict) else c[1] if len(c) == 3 and c[0] != "content-length-range" else c[0]
        for c in conditions
    }
    assert names <= FORM_FIELDS
    assert {"x-oss-object-acl": "default"} in conditions
    assert set(form["fields"]) <= {"key", "policy", "x-oss-signature", "x-oss-content-type", *FORM_FIELDS}


def _condition(condition: Any) -> str:
    """What a condition is about."""
    if isinstance(condition, dict):
        return str(*condition)
    return str(condition[0] if condition[0] == "content-length-range" else condition[1])


class TestObjectPath:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("path", ["/both/a", "/out/a"])
    def test_a_query_parameter_is_refused_by_name_unless_the_mount_lists_it(
        self, plain: Uploads, path: str, method: str
    ) -> None:
        listed = {mount.path: mount.query for mount in plain.policy.mounts}[path[:-1]]
        for name in SUB_RESOURCES:
            if name in listed:
                continue
            for value in VALUES:
                answer = plain.ask(path, method, {name: value})
                assert answer.status == 400, name
                if method == "GET":
                    assert answer.code == "not_signable"
                    assert repr(name) in answer.json["detail"]

    def test_other_spellings_of_what_is_listed_are_refused(self, plain: Uploads) -> None:
        for name in (
            "versionid",
            "VersionId",
            " versionId",
            "versionId ",
            "X-Oss-Process",
            "x-oss-process\n",
            "response-",
        ):
            assert plain.ask("/both/a", query={name: "1"}).status == 400, name

    def test_what_is_listed_has_only_values_that_are_offered(self, plain: Uploads) -> None:
        for value in (
            "image/resize,w_101",
            "image/watermark,image_a2V5cy5qc29u",
            "",
            "image/resize,w_100/",
            "sys/saveas",
        ):
            assert plain.ask("/both/a", query={"x-oss-process": value}).code == "bad_query"
        for value in ("0", "819199", "838860801", "0x1", "1e6", "819200 ", "八一九二〇〇"):
            assert plain.ask("/both/a", query={"x-oss-traffic-limit": value}).code == "bad_query"

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "OPTIONS"])
    def test_a_header_of_the_request_is_in_no_link(self, plain: Uploads, method: str) -> None:
        unkeyed = [name for name in HEADERS if name != "authorization"]
        before = plain.ask("/both/a", method, headers={"Accept": "application/json"})
        for name in unkeyed:
            for value in VALUES:
                answer = plain.ask("/both/a", method, headers={"Accept": "application/json", name: value})
                assert (answer.status, answer.body) == (before.status, before.body)
                assert answer.headers.get("Location") is None

    @pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH", "TRACE"])
    def test_no_other_method_gives_a_link(self, plain: Uploads, method: str) -> None:
        for name in SUB_RESOURCES:
            answer = plain.ask("/both/a", method, {name: ""})
            assert answer.status == 405
            assert "Location" not in answer.headers

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_with_a_share_everything_else_is_dropped(self, plain: Uploads, method: str) -> None:
        made = plain.post("/-/shares", {"path": "/both/a"}, WRITER)
        share = made.json["url"].partition("share=")[2]
        for name in SUB_RESOURCES:
            answer = plain.ask("/both/a", method, {"share": share, name: "1"}, {name: "1"} if name in HEADERS else None)
            assert answer.status == 302
            assert set(query_of(answer.headers["Location"])) == SIGNATURE

    def test_where_unknown_names_are_ignored_they_are_not_signed(self, plain: Uploads) -> None:
        ignoring = plain.having_mount("/out/", unknown_query="ignore")
        for name in SUB_RESOURCES:
            answer = ignoring.ask("/out/a", query={name: "1"})
            assert set(query_of(answer.headers["Location"])) == SIGNATURE


class TestSign:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
    def test_a_sub_resource_is_refused_by_name(self, plain: Uploads, method: str) -> None:
        names = [name for name in SUB_RESOURCES if method == "PUT" or name not in MAY_LIST]
        size = {"size": 5} if method == "PUT" else {}
        for value in (*VALUES, None, 1, ["1"]):
            wishes = [{"path": "/both/a", "method": method, "query": {name: value}, **size} for name in names]
            for name, result in zip(names, plain.sign(*wishes), strict=True):
                assert result["error"]["code"] == "not_signable", name
                assert repr(name) in result["error"]["detail"]

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
    def test_a_header_is_refused_by_name(self, plain: Uploads, method: str) -> None:
        size = {"size": 5} if method == "PUT" else {}
        names = [
            spelling for name in HEADERS for spelling in (name, name.title(), name.upper(), f"{name} ", f" {name}")
        ]
        for value in VALUES:
            wishes = [{"path": "/both/a", "method": method, "headers": {name: value}, **size} for name in names]
            for name, result in zip(names, plain.sign(*wishes), strict=True):
                assert result["error"]["code"] == "not_signable", name
                assert repr(name) in result["error"]["detail"]

    @pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "COPY"])
    def test_no_other_method_is_signed(self, plain: Uploads, method: str) -> None:
        names = [{"query": {name: ""}} for name in SUB_RESOURCES] + [{"headers": {name: "1"}} for name in HEADERS]
        for result in plain.sign(*[{"path": "/both/a", "method": method, **more} for more in names]):
            assert result["error"]["code"] == "bad_body"

    def test_what_reads_takes_no_header_at_all(self, plain: Uploads) -> None:
        for name in ("Content-Type", "Content-MD5", "x-oss-meta-a"):
            assert plain.sign({"path": "/both/a", "headers": {name: "a"}})[0]["error"]["code"] == "not_signable"


@pytest.mark.parametrize("route", POST_ROUTES)
class TestRoutes:
    def test_a_member_of_the_body_is_refused_by_name(self, plain: Uploads, route: str) -> None:
        for name in {*SUB_RESOURCES, *HEADERS, "query", "headers"} - {"expires"}:
            answer = plain.post(route, {**POST_ROUTES[route], name: "1"}, WRITER)
            assert (answer.status, answer.code) == (400, "bad_body"), name
            assert repr(name) in answer.json["detail"]

    def test_the_request_s_own_query_and_headers_are_in_nothing(self, kept: Uploads, route: str) -> None:
        wish = json.dumps(POST_ROUTES[route])
        links = 0
        names = sorted({*SUB_RESOURCES, *HEADERS} - {"authorization"})
        # Every one by itself where it costs nothing, all at once where each starts an upload.
        for chosen in [names] if route == "/-/uploads" else [names, *([name] for name in names)]:
            asked = dict.fromkeys(chosen, "1")
            headers = {**asked, "Content-Type": "application/json"}
            answer = kept.ask(route, "POST", asked, headers, body=wish, key=WRITER)
            assert answer.status in (200, 201), answer
            links += check(kept, answer.json)
            if route == "/-/form":
                check_form(answer.json)
            if route == "/-/shares":
                shared = kept.ask("/both/a", query={**asked, "share": answer.json["url"].partition("share=")[2]})
                assert set(query_of(shared.headers["Location"])) == SIGNATURE
        assert links or route in ("/-/form", "/-/shares")

    def test_a_path_is_only_a_path(self, plain: Uploads, route: str) -> None:
        """What looks like a query in a path is part of the key, and percent-encoded."""
        for name in SUB_RESOURCES:
            path = f"/both/a?{name}=1&acl#x"
            wish = {"links": [{"path": path}]} if route == "/-/sign" else {"path": path}
            if route == "/-/uploads":
                continue
            answer = plain.post(route, wish, WRITER)
            assert answer.status in (200, 201)
            check(plain, answer.json)
            if route == "/-/form":
                assert answer.json["fields"]["key"] == path[1:]


class TestParts:
    def test_further_parts_sign_nothing_more(self, kept: Uploads) -> None:
        found = kept.upload(path="/both/parts.bin")
        route = f"/-/uploads/{found['upload_id']}/parts"
        names = sorted({*SUB_RESOURCES, *HEADERS} - {"authorization"})
        asked = dict.fromkeys(names, "1")
        answer = kept.ask(
            route,
            "POST",
            asked,
            {**asked, "Content-Type": "application/json"},
            body=json.dumps({"path": "/both/parts.bin"}),
        )
        assert check(kept, answer.json) == 5
        for name in {*names} - {"expires"}:
            answer = kept.post(route, {"path": "/both/parts.bin", name: "1"})
            assert (answer.status, answer.code) == (400, "bad_body")
