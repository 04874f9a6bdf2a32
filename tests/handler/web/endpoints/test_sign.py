"""Many links at once: each with its own result or error, in the order of the request."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handler.core.config.table import QUERY
from handler.core.errors import HandlerError
from handler.web.endpoints import sign
from signer import verify
from tests.handler.client import KEYS, NOW, event, invoke
from tests.handler.keys_fixtures import READER, api
from tests.handler.upload_fixtures import MEGABYTE, follow_link, query_of
from tests.system import ALICE, EXPIRING, WRITER, System

PROBLEM = {"type", "title", "status", "detail", "code", "request_id"}
LINK = {"url", "method", "headers", "expires_at", "expires_in", "clamped_by"}


def is_valid(result: dict[str, Any], method: str) -> bool:
    return verify(method, result["url"], headers=result["headers"], credentials=KEYS, now=NOW).ok


class TestManyLinks:
    def test_a_thousand_links_come_in_order_and_each_is_valid(self, in_memory: System) -> None:
        items = [
            {
                "path": f"/both/报告/{n}.pdf",
                "method": "HEAD" if n % 3 else "GET",
                "expires": str(60 + n),
            }
            for n in range(1000)
        ]
        results = in_memory.sign(*items)
        for n, (params, result) in enumerate(zip(items, results, strict=True)):
            assert set(result) == LINK
            assert unquote(urlsplit(result["url"]).path) == f"/both/报告/{n}.pdf"
            assert (result["method"], result["expires_in"]) == (params["method"], 60 + n)
        assert all(is_valid(result, result["method"]) for result in results[::97])

    def test_a_thousand_and_one_are_too_many(self, in_memory: System) -> None:
        assert in_memory.sign() == []
        response = in_memory.post("/-/sign", {"links": [{"path": "/both/a"}] * 1001})
        assert (response.status, response.code) == (413, "too_many_links")

    @pytest.mark.parametrize(("extra", "status"), [(0, 200), (1, 413)])
    def test_a_body_has_at_most_a_megabyte(
        self, in_memory: System, extra: int, status: int
    ) -> None:
        body = json.dumps({"links": [{"path": "/both/a"}]})
        padded = body + " " * (MEGABYTE - len(body) + extra)
        response = in_memory.request("/-/sign", "POST", body=padded)
        assert response.status == status
        if extra:
            assert response.code == "body_too_large"

    # tests/handler/core/test_request.py has every other body.
    def test_a_body_without_a_list_of_links_is_refused(self, in_memory: System) -> None:
        for body in ("", "{}", '{"links": {}}', '{"links": [], "more": 1}'):
            response = in_memory.request("/-/sign", "POST", body=body)
            assert (response.status, response.code) == (400, "bad_body"), response

    def test_each_link_has_the_audit_line_of_its_own_address(self, in_memory: System) -> None:
        paths = ["/both/报告.txt", "/reports/q3.pdf"]
        items = [
            {"path": paths[0]},
            {"path": "/none"},
            7,
            {"path": paths[1], "method": "HEAD", "expires": "1m"},
        ]
        response = in_memory.post("/-/sign", {"links": items}, READER)
        *links, line = response.lines
        assert (line["links"], line["refused"], line["path"], line["mount"]) == (
            2,
            2,
            "/-/sign",
            None,
        )
        methods = [("GET", None), ("HEAD", {"expires": "1m"})]
        for path, link, (method, query) in zip(paths, links, methods, strict=True):
            own = in_memory.request(quote(path), method, query, key=READER).line
            assert link == {name: own[name] for name in link}
            assert own.keys() - link.keys() == {"code", "status", "milliseconds"}
        for result in response.json["links"]:
            for name in ("x-oss-signature", "x-oss-security-token") if "url" in result else ():
                assert query_of(result["url"])[name] not in response.printed

    def test_each_audit_line_of_the_longest_paths_is_under_16_kb(self, in_memory: System) -> None:
        path = "/both/" + "é" * ((1023 - len("both/")) // 2)
        for route, params in (
            ("/-/sign", {"links": [{"path": path}] * 3}),
            ("/-/form", {"path": path}),
        ):
            lines = in_memory.post(route, params).printed.splitlines()
            assert max(map(len, lines)) < 16 * 1024
            assert any(
                path in (json.loads(line).get("body_path"), json.loads(line)["path"])
                for line in lines
            )

    @pytest.mark.parametrize("value", [5, None, ["3.EXAMPLE"], True])
    def test_a_query_value_must_be_a_string(self, in_memory: System, value: object) -> None:
        (refused,) = in_memory.sign({"path": "/both/a", "query": {"versionId": value}})
        error = refused["error"]
        assert (error["status"], error["code"]) == (400, "bad_query")
        assert "versionId must be a string" in error["detail"]

    def test_an_error_that_is_no_problem_of_a_link_fails_the_request(
        self, in_memory: System
    ) -> None:
        with patch.object(sign, "authorize", side_effect=HandlerError("of the service itself")):
            response = in_memory.post("/-/sign", {"links": [{"path": "/both/a"}]})
        assert (response.status, response.code) == (500, "internal_error")
        assert response.line["fault"]["error"] == "HandlerError"

    def test_without_credentials_there_is_one_error(self, in_memory: System) -> None:
        http_event = event(
            "/-/sign", "POST", body='{"links": [{"path": "/both/a"}]}', isBase64Encoded=False
        )
        nobody = type("Context", (), {"request_id": "req-EXAMPLE", "credentials": None})()
        response = invoke(json.dumps(http_event), config=in_memory.config, invocation=nobody)
        assert (response.status, response.code) == (503, "no_credentials")


STRINGS = [
    "/both/a",
    "/in/a",
    "GET",
    "PUT",
    "\ud800",
    "/both/\udfff",
    "//",
    "/../",
    "900",
    "1d",
    "a" * 2000,
]
NASTY: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(STRINGS),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=8,
)
NAMES = ("path", "method", "expires", "query", "headers", "download", "size", "overwrite", "more")
HEADERS = [
    "Content-Type",
    "content-type",
    "Content-MD5",
    "x-oss-meta-a",
    "X-Oss-Meta-A",
    "Host",
    "",
]
ITEM: Any = NASTY | st.dictionaries(st.sampled_from(NAMES), NASTY, max_size=6)
ALMOST: Any = st.fixed_dictionaries(
    {"path": st.sampled_from(["/both/a", "/in/a", "/team/a", "/none"])},
    optional={
        "method": st.sampled_from(["GET", "PUT", "HEAD", "POST", "DELETE"]),
        "size": st.sampled_from([0, 5, 2**40]),
        "query": st.dictionaries(st.text(max_size=12), NASTY, max_size=3),
        "headers": st.dictionaries(st.sampled_from(HEADERS), NASTY, max_size=4),
        "download": st.text(max_size=300),
        "expires": st.text(max_size=6),
    },
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=st.lists(ITEM | ALMOST, max_size=6), position=st.integers(0, 6))
def test_an_invalid_item_does_not_affect_the_others(
    in_memory: System, items: list[Any], position: int
) -> None:
    good = {"path": "/both/good.txt", "expires": "15m"}
    requested = [*items[:position], good, *items[position:]]
    results = in_memory.sign(*json.loads(json.dumps(requested)))
    assert results[min(position, len(items))] == in_memory.sign(good)[0]
    for params, result in zip(requested, results, strict=True):
        if "error" not in result:
            assert set(result) == LINK
            assert is_valid(result, result["method"])
            continue
        assert set(result) == {"path", "error"}
        assert set(result["error"]) == PROBLEM
        assert result["error"]["request_id"] == "req-EXAMPLE"
        assert 400 <= result["error"]["status"] < 500
        path = params.get("path") if isinstance(params, dict) else None
        assert result["path"] == (path if isinstance(path, str) else None)


class TestAuthorization:
    def test_only_a_key_that_may_upload_learns_of_the_route_for_uploads(
        self, in_memory: System
    ) -> None:
        def detail(**headers: str) -> str:
            response = in_memory.request("/team/a.txt", "PUT", headers=headers)
            assert response.status in (401, 405)
            return str(response.json["detail"])

        assert "POST /-/sign" in detail(Authorization=f"Bearer {WRITER}")
        # An anonymous mount takes uploads from everyone, whatever their key covers.
        anyone = in_memory.request(
            "/both/a.txt", "PUT", headers={"Authorization": f"Bearer {ALICE}"}
        )
        assert "POST /-/sign" in anyone.json["detail"]
        reading = api("reading", ALICE, paths=["/team/"], methods=["GET"])
        in_memory = in_memory.with_keys(api=[reading])
        assert "/-/sign" not in detail(Authorization=f"Bearer {ALICE}")
        assert "/-/sign" not in detail()

    def test_a_method_that_a_key_does_not_allow_is_a_404(self, in_memory: System) -> None:
        assert (
            in_memory.sign({"path": "/team/alice/a.txt"}, key=ALICE)[0]["error"]["code"]
            == "not_found"
        )

    def test_a_link_does_not_outlive_its_caller(self, in_memory: System) -> None:
        link = in_memory.sign_put(EXPIRING, path="/team/a.txt", expires="1h")
        assert (link["expires_in"], link["clamped_by"]) == (600, "caller")

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_method_that_is_not_enabled_is_refused(self, in_memory: System, method: str) -> None:
        assert (
            in_memory.sign({"path": "/in/a", "method": method})[0]["error"]["code"]
            == "method_not_enabled"
        )


class TestPut:
    def test_all_limits_of_an_upload_are_signed(self, in_memory: System) -> None:
        link = in_memory.sign_put(headers={"Content-Type": "text/plain; charset=utf-8"})
        assert link["headers"] == {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": "5",
            "x-oss-forbid-overwrite": "true",
        }
        assert query_of(link["url"])["x-oss-additional-headers"] == "content-length"
        assert is_valid(link, "PUT")
        for name in link["headers"]:
            other = {**link["headers"], name: "6"}
            assert not verify("PUT", link["url"], headers=other, credentials=KEYS, now=NOW).ok

    def test_a_size_is_required_and_limited_by_the_mount_and_by_oss(
        self, in_memory: System
    ) -> None:
        for size in (0, MEGABYTE):
            headers = in_memory.sign_put(size=size)["headers"]
            assert (headers["Content-Length"], headers["Content-Type"]) == (
                str(size),
                "application/octet-stream",
            )
        wrong = [
            *((size, "too_large") for size in (MEGABYTE + 1, -1)),
            (True, "bad_body"),
            (None, "size_required"),
        ]
        for odd, code in wrong:
            assert in_memory.sign_put(size=odd)["error"]["code"] == code, odd
        assert "url" in in_memory.sign_put(path="/big/a", size=5 * 1024**3)
        assert (
            in_memory.sign_put(path="/big/a", size=5 * 1024**3 + 1)["error"]["code"] == "too_large"
        )

    @pytest.mark.parametrize(
        ("header", "value", "code"),
        [
            *(
                ("Content-MD5", value, "bad_content_md5")
                for value in ("0", "1B2M2Y8AsgTpgAmY7PhCfh==")
            ),
            *(("x-oss-meta-a", value, "not_signable") for value in ("a\nb", "报告")),
            *((f"x-oss-meta-{name}", "a", "not_signable") for name in ("", "a b", "a\n")),
            *((name, "5", "not_signable") for name in ("Content-Length", "Host", "")),
            ("x-oss-meta-a", 5, "bad_body"),
        ],
    )
    def test_an_invalid_header_is_refused(
        self, in_memory: System, header: str, value: object, code: str
    ) -> None:
        assert in_memory.sign_put(headers={header: value})["error"]["code"] == code

    def test_a_repeated_header_and_members_of_the_other_direction_are_refused(
        self, in_memory: System
    ) -> None:
        repeated = {"Content-Type": "text/plain", "content-type": "text/html"}
        for put in ({"headers": repeated}, {"query": {"versionId": "a"}}, {"download": "a.txt"}):
            assert in_memory.sign_put(path="/both/a", **put)["error"]["code"] == "not_signable"
        headers = ({name: "a/b"} for name in ("Content-Type", "Content-MD5", "x-oss-meta-a"))
        members: list[dict[str, Any]] = [
            {"size": 5},
            {"overwrite": False},
            *({"headers": each} for each in headers),
        ]
        for get in members:
            assert in_memory.sign({"path": "/both/a", **get})[0]["error"]["code"] in (
                "bad_body",
                "not_signable",
            )


def test_overwriting_is_allowed_on_request(in_memory: System) -> None:
    assert (
        "x-oss-forbid-overwrite"
        not in in_memory.sign_put(WRITER, path="/team/a", overwrite=True)["headers"]
    )
    for overwrite in (None, False):
        link = in_memory.sign_put(WRITER, path="/team/a", overwrite=overwrite)
        assert link["headers"]["x-oss-forbid-overwrite"] == "true"


@pytest.mark.parametrize("key", [None, WRITER])
def test_an_anonymous_mount_allows_overwriting_only_if_it_says_so_and_any_may_forbid_it(
    in_memory: System, key: str | None
) -> None:
    error = in_memory.sign_put(key, overwrite=True)["error"]
    assert (error["status"], error["code"]) == (400, "not_signable")
    assert "overwrite" in error["detail"]
    assert in_memory.sign_put(key, overwrite=False)["headers"]["x-oss-forbid-overwrite"] == "true"
    allowing = in_memory.with_mount("/in/", overwrite=True)
    assert "x-oss-forbid-overwrite" not in allowing.sign_put(key, overwrite=True)["headers"]
    assert "x-oss-forbid-overwrite" in allowing.sign_put(key)["headers"]
    forbidding = in_memory.with_mount("/team/", overwrite=False)
    assert (
        forbidding.sign_put(WRITER, path="/team/a", overwrite=True)["error"]["code"]
        == "not_signable"
    )


class TestGetAtOss:
    @pytest.fixture
    def downloads(self, uploads: System) -> System:
        uploads.put("both/a.txt", b"hello")
        query = frozenset(name for name in QUERY if name.startswith("x-oss-ac-"))
        return uploads.with_mount("/both/", query=query, headers=("content-type",))

    def test_a_type_is_signed_and_then_required(self, downloads: System) -> None:
        """The sample of OSS's page on presigned URLs, and what its own clients send."""
        item = {"path": "/both/a.txt", "headers": {"Content-Type": "text/plain; charset=utf8"}}
        (link,) = downloads.sign(item)
        assert link["headers"] == item["headers"]
        assert follow_link(link).status == 200
        for other in (None, "text/plain", "text/plain; charset=utf-8"):
            assert follow_link(link, content_type=other) == (403, "SignatureDoesNotMatch")

    def test_any_other_header_is_refused(self, downloads: System) -> None:
        headers = ({"Range": "bytes=0-1"}, {"Content-Type": 7}, {"Content-Type": "text/plain "})
        others: list[dict[str, Any]] = [
            {"method": "HEAD"},
            {"path": "/out/a"},
            *({"headers": each} for each in headers),
        ]
        for other in others:
            item = {"path": "/both/a.txt", "headers": {"Content-Type": "text/plain"}, **other}
            assert downloads.sign(item)[0]["error"]["code"] == "not_signable"

    def test_a_link_is_limited_to_addresses_by_redirect_and_in_a_batch(
        self, downloads: System
    ) -> None:
        for source, status in (("127.0.0.0", 200), ("203.0.113.0", 403)):
            query = {"x-oss-ac-source-ip": source, "x-oss-ac-subnet-mask": "24"}
            (link,) = downloads.sign({"path": "/both/a.txt", "query": query})
            assert follow_link(link).status == status
            url = downloads.request(
                "/both/a.txt", query={**query, "x-oss-ac-forward-allow": "true"}
            ).url
            assert follow_link({"url": url, "method": "GET", "headers": {}}).status == status
            without = downloads.with_mount("/both/", query=frozenset())
            assert without.request("/both/a.txt", query=query).code == "not_signable"


class TestPutAtOss:
    def test_exactly_the_headers_of_the_response_upload_once(self, uploads: System) -> None:
        link = uploads.sign_put(
            path="/in/once.txt",
            headers={"Content-Type": "text/plain", "x-oss-meta-owner": "someone"},
        )
        assert follow_link(link, b"hello").status == 200
        assert uploads.stored("inbox/once.txt") == b"hello"
        assert uploads.stored_headers("inbox/once.txt")["content-type"] == "text/plain"
        assert uploads.stored_headers("inbox/once.txt")["x-oss-meta-owner"] == "someone"
        assert follow_link(link, b"other") == (409, "FileAlreadyExists")
        assert uploads.stored("inbox/once.txt") == b"hello"

    def test_another_length_is_refused(self, uploads: System) -> None:
        link = uploads.sign_put(path="/in/length.txt")
        for content in (b"", b"hell", b"hello!"):
            assert follow_link(link, content, content_length=None) == (403, "SignatureDoesNotMatch")
        assert uploads.stored("inbox/length.txt") is None

    def test_a_requested_digest_fixes_the_content(self, uploads: System) -> None:
        digest = base64.b64encode(hashlib.md5(b"hello").digest()).decode()
        link = uploads.sign_put(path="/in/digest.txt", headers={"Content-MD5": digest})
        assert follow_link(link, b"jello") == (400, "InvalidDigest")
        assert follow_link(link, b"hello", content_md5=None) == (403, "SignatureDoesNotMatch")
        assert follow_link(link, b"hello").status == 200
