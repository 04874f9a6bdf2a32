"""Many links at once: each with its own result or its own error, in the order in which they were asked for."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer import verify
from tests.handler.client import KEYS, NOW, event, invoke
from tests.handler.keys_fixtures import BUCKET
from tests.handler.upload_fixtures import (
    ALICE,
    ENDING,
    MEGABYTE,
    WRITER,
    Uploads,
    query_of,
    uploads,
    uploads_with_oss,
    use,
)

PROBLEM = {"type", "title", "status", "detail", "code", "request_id"}
LINK = {"url", "method", "headers", "expires_at", "expires_in", "clamped_by"}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Uploads:
    return uploads(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uploads]:
    with uploads_with_oss(tmp_path_factory.mktemp("kept")) as found:
        yield found


def holds(result: dict[str, Any], method: str) -> bool:
    return verify(method, result["url"], headers=result["headers"], credentials=KEYS, now=NOW).ok


class TestManyLinks:
    def test_a_thousand_links_come_in_order_and_each_holds(self, plain: Uploads) -> None:
        wishes = [
            {"path": f"/both/报告/{n}.pdf", "method": "HEAD" if n % 3 else "GET", "expires": str(60 + n)}
            for n in range(1000)
        ]
        results = plain.sign(*wishes)
        for n, (wish, result) in enumerate(zip(wishes, results, strict=True)):
            assert set(result) == LINK
            assert unquote(urlsplit(result["url"]).path) == f"/both/报告/{n}.pdf"
            assert (result["method"], result["expires_in"]) == (wish["method"], 60 + n)
        assert all(holds(result, result["method"]) for result in results[::97])

    def test_a_thousand_and_one_are_too_many(self, plain: Uploads) -> None:
        answer = plain.post("/-/sign", {"links": [{"path": "/both/a"}] * 1001})
        assert (answer.status, answer.code) == (413, "too_many_links")

    def test_none_are_none(self, plain: Uploads) -> None:
        assert plain.sign() == []

    @pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 413)])
    def test_a_body_has_at_most_a_megabyte(self, plain: Uploads, more: int, status: int) -> None:
        body = json.dumps({"links": [{"path": "/both/a"}]})
        padded = body + " " * (MEGABYTE - len(body) + more)
        answer = plain.ask("/-/sign", "POST", body=padded)
        assert answer.status == status
        if more:
            assert answer.code == "body_too_large"

    @pytest.mark.parametrize(
        "body",
        [
            "",
            "{",
            "[]",
            "null",
            "1",
            '"links"',
            "{}",
            '{"links": null}',
            '{"links": {}}',
            '{"links": "a"}',
            "[" * 90000,
            '{"links": [], "more": 1}',
            '{"links": [' + "9" * 5000 + "]}",
            "\ufeff{}",
            '{"links": NaN}',
        ],
    )
    def test_a_body_that_is_no_list_of_links_is_refused_whole(self, plain: Uploads, body: str) -> None:
        answer = plain.ask("/-/sign", "POST", body=body)
        assert (answer.status, answer.code) == (400, "bad_body"), answer

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"])
    def test_another_media_type_is_refused(self, plain: Uploads, kind: str) -> None:
        answer = plain.ask("/-/sign", "POST", headers={"Content-Type": kind}, body='{"links": []}')
        assert (answer.status, answer.code) == (415, "not_json")

    def test_the_audit_line_counts_and_names_nothing(self, plain: Uploads) -> None:
        answer = plain.post("/-/sign", {"links": [{"path": "/both/secret.txt"}, {"path": "/none"}, 7]})
        assert (answer.line["links"], answer.line["refused"], answer.line["path"]) == (1, 2, "/-/sign")
        assert "secret.txt" not in answer.printed
        assert BUCKET not in answer.printed

    def test_without_credentials_there_is_one_answer(self, plain: Uploads) -> None:
        asked = event("/-/sign", "POST", body='{"links": [{"path": "/both/a"}]}', isBase64Encoded=False)
        nobody = type("Context", (), {"request_id": "req-EXAMPLE", "credentials": None})()
        answer = invoke(json.dumps(asked), under=plain.policy, invocation=nobody)
        assert (answer.status, answer.code) == (503, "no_credentials")


NASTY: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["/both/a", "/in/a", "GET", "PUT", "\ud800", "/both/\udfff", "//", "/../", "900", "1d", "a" * 2000]
    ),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=8,
)
NAMES = ("path", "method", "expires", "query", "headers", "download", "size", "overwrite", "more")
ITEM: Any = NASTY | st.dictionaries(st.sampled_from(NAMES), NASTY, max_size=6)
ALMOST: Any = st.fixed_dictionaries(
    {"path": st.sampled_from(["/both/a", "/in/a", "/team/a", "/none"])},
    optional={
        "method": st.sampled_from(["GET", "PUT", "HEAD", "POST", "DELETE"]),
        "size": st.sampled_from([0, 5, 2**40]),
        "query": st.dictionaries(st.text(max_size=12), NASTY, max_size=3),
        "headers": st.dictionaries(
            st.sampled_from(
                ["Content-Type", "content-type", "Content-MD5", "x-oss-meta-a", "X-Oss-Meta-A", "Host", ""]
            ),
            NASTY,
            max_size=4,
        ),
        "download": st.text(max_size=300),
        "expires": st.text(max_size=6),
    },
)


@settings(max_examples=150)
@given(items=st.lists(ITEM | ALMOST, max_size=6), place=st.integers(0, 6))
def test_one_bad_item_spoils_no_other(plain: Uploads, items: list[Any], place: int) -> None:
    good = {"path": "/both/good.txt", "expires": "15m"}
    wishes = [*items[:place], good, *items[place:]]
    results = plain.sign(*json.loads(json.dumps(wishes)))
    assert results[min(place, len(items))] == plain.sign(good)[0]
    for wish, result in zip(wishes, results, strict=True):
        if "error" not in result:
            assert set(result) == LINK
            assert holds(result, result["method"])
            continue
        assert set(result) == {"path", "error"}
        assert set(result["error"]) == PROBLEM
        assert result["error"]["request_id"] == "req-EXAMPLE"
        assert 400 <= result["error"]["status"] < 500
        path = wish.get("path") if isinstance(wish, dict) else None
        assert result["path"] == (path if isinstance(path, str) else None)


class TestWhoMayAsk:
    def test_a_mount_that_is_not_anonymous_wants_a_key(self, plain: Uploads) -> None:
        wish = {"path": "/team/alice/a.txt", "method": "PUT", "size": 1}
        assert plain.sign(wish)[0]["error"]["code"] == "unauthorized"
        assert "url" in plain.sign(wish, key=WRITER)[0]
        assert "url" in plain.sign(wish, key=ALICE)[0]

    @pytest.mark.parametrize("path", ["/team/bob/a.txt", "/team/alice", "/none/a", "/team/", "/", "/team"])
    def test_what_a_key_does_not_reach_is_not_there(self, plain: Uploads, path: str) -> None:
        (result,) = plain.sign({"path": path, "method": "PUT", "size": 1}, key=ALICE)
        assert (result["path"], result["error"]["code"]) == (path, "not_found")

    def test_a_key_without_the_method_does_not_reach(self, plain: Uploads) -> None:
        assert plain.sign({"path": "/team/alice/a.txt"}, key=ALICE)[0]["error"]["code"] == "not_found"

    def test_a_link_ends_with_its_caller(self, plain: Uploads) -> None:
        found = plain.sign_one(ENDING, path="/team/a.txt", expires="1h")
        assert (found["expires_in"], found["clamped_by"]) == (600, "caller")

    @pytest.mark.parametrize("path", ["/.links/keys.json", "/both/../.links/keys.json", "/-/sign", "/in//a"])
    def test_nothing_of_the_service_is_signed(self, plain: Uploads, path: str) -> None:
        assert plain.sign({"path": path})[0]["error"]["status"] in (400, 404)

    @pytest.mark.parametrize(("path", "method"), [("/in/a", "GET"), ("/in/a", "HEAD"), ("/out/a", "PUT")])
    def test_what_a_mount_does_not_offer_is_refused(self, plain: Uploads, path: str, method: str) -> None:
        (result,) = plain.sign({"path": path, "method": method, "size": 1 if method == "PUT" else None})
        assert (result["error"]["status"], result["error"]["code"]) == (400, "not_offered")

    @pytest.mark.parametrize("method", ["POST", "DELETE", "get", "PATCH", "OPTIONS", "", "PUT "])
    def test_no_other_method_is_signed(self, plain: Uploads, method: str) -> None:
        (result,) = plain.sign({"path": "/both/a", "method": method, "size": 1})
        assert result["error"]["code"] == "bad_body"


class TestPut:
    def test_everything_that_holds_the_upload_is_signed(self, plain: Uploads) -> None:
        found = plain.sign_one(headers={"Content-Type": "text/plain; charset=utf-8"})
        assert found["headers"] == {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": "5",
            "x-oss-forbid-overwrite": "true",
        }
        assert query_of(found["url"])["x-oss-additional-headers"] == "content-length"
        assert holds(found, "PUT")
        for name in found["headers"]:
            other = {**found["headers"], name: "6"}
            assert not verify("PUT", found["url"], headers=other, credentials=KEYS, now=NOW).ok

    def test_a_type_is_pinned_also_where_none_is_named(self, plain: Uploads) -> None:
        assert plain.sign_one()["headers"]["Content-Type"] == "application/octet-stream"

    def test_overwriting_is_allowed_where_it_is_asked_for(self, plain: Uploads) -> None:
        assert "x-oss-forbid-overwrite" not in plain.sign_one(overwrite=True)["headers"]
        assert plain.sign_one(overwrite=False)["headers"]["x-oss-forbid-overwrite"] == "true"

    @pytest.mark.parametrize(
        ("size", "code"),
        [
            (None, "size_required"),
            (MEGABYTE + 1, "too_large"),
            (-1, "too_large"),
            (2**70, "too_large"),
            (True, "bad_body"),
            (5.0, "bad_body"),
            ("5", "bad_body"),
        ],
    )
    def test_a_size_is_required_and_within_the_mount(self, plain: Uploads, size: object, code: str) -> None:
        assert plain.sign_one(size=size)["error"]["code"] == code

    @pytest.mark.parametrize("size", [0, 1, MEGABYTE])
    def test_a_size_within_the_mount_is_signed(self, plain: Uploads, size: int) -> None:
        assert plain.sign_one(size=size)["headers"]["Content-Length"] == str(size)

    def test_one_request_has_at_most_five_gigabytes(self, plain: Uploads) -> None:
        assert "url" in plain.sign_one(path="/big/a", size=5 * 1024**3)
        assert plain.sign_one(path="/big/a", size=5 * 1024**3 + 1)["error"]["code"] == "too_large"

    @pytest.mark.parametrize(
        ("header", "value", "code"),
        [
            ("Content-Type", "", "bad_content_type"),
            ("content-type", "text", "bad_content_type"),
            ("Content-Type", "text/plain\r\nx-oss-object-acl: public-read", "bad_content_type"),
            ("Content-MD5", "0", "bad_content_md5"),
            ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfh==", "bad_content_md5"),
            ("x-oss-meta-a", "a\nb", "not_signable"),
            ("x-oss-meta-a", "报告", "not_signable"),
            ("x-oss-meta-a", 5, "bad_body"),
            ("x-oss-meta-", "a", "not_signable"),
            ("x-oss-meta-a b", "a", "not_signable"),
            ("x-oss-meta-a\n", "a", "not_signable"),
            ("Content-Length", "5", "not_signable"),
            ("Host", "example.com", "not_signable"),
            ("", "a", "not_signable"),
        ],
    )
    def test_a_header_that_is_none_is_refused(self, plain: Uploads, header: str, value: object, code: str) -> None:
        assert plain.sign_one(headers={header: value})["error"]["code"] == code

    def test_a_header_given_twice_is_refused(self, plain: Uploads) -> None:
        found = plain.sign_one(headers={"Content-Type": "text/plain", "content-type": "text/html"})
        assert found["error"]["code"] == "not_signable"

    @pytest.mark.parametrize("wish", [{"size": 5}, {"overwrite": False}, {"headers": {"Content-Type": "text/plain"}}])
    def test_a_link_that_reads_has_nothing_of_an_upload(self, plain: Uploads, wish: dict[str, object]) -> None:
        assert plain.sign({"path": "/both/a", **wish})[0]["error"]["code"] in ("bad_body", "not_signable")

    @pytest.mark.parametrize("wish", [{"query": {"versionId": "a"}}, {"download": "a.txt"}])
    def test_an_upload_has_nothing_of_a_link_that_reads(self, plain: Uploads, wish: dict[str, object]) -> None:
        assert plain.sign_one(path="/both/a", **wish)["error"]["code"] == "not_signable"


class TestPutAtOss:
    def test_exactly_the_headers_of_the_answer_upload_once(self, kept: Uploads) -> None:
        found = kept.sign_one(
            path="/in/once.txt", headers={"Content-Type": "text/plain", "x-oss-meta-owner": "someone"}
        )
        assert use(found, b"hello").status == 200
        assert kept.stored("inbox/once.txt") == b"hello"
        assert kept.headers_of("inbox/once.txt")["content-type"] == "text/plain"
        assert kept.headers_of("inbox/once.txt")["x-oss-meta-owner"] == "someone"
        assert use(found, b"other") == (409, "FileAlreadyExists")
        assert kept.stored("inbox/once.txt") == b"hello"

    def test_overwriting_replaces(self, kept: Uploads) -> None:
        kept.put("inbox/replaced.txt", b"older")
        assert use(kept.sign_one(path="/in/replaced.txt", overwrite=True), b"newer").status == 200
        assert kept.stored("inbox/replaced.txt") == b"newer"

    @pytest.mark.parametrize("content", [b"", b"hell", b"hello!", b"x" * 100_000])
    def test_another_length_is_refused(self, kept: Uploads, content: bytes) -> None:
        found = kept.sign_one(path="/in/length.txt")
        assert use(found, content, content_length=None) == (403, "SignatureDoesNotMatch")
        assert kept.stored("inbox/length.txt") is None

    def test_a_length_that_is_not_told_is_refused(self, kept: Uploads) -> None:
        found = kept.sign_one(path="/in/chunked.txt")

        def chunks() -> Iterator[bytes]:
            yield b"hello"

        assert use(found, chunks(), content_length=None) == (400, "AuthorizationQueryParametersError")
        assert kept.stored("inbox/chunked.txt") is None

    @pytest.mark.parametrize(
        "header",
        [
            {"content_type": "text/html"},
            {"content_type": None},
            {"x_oss_forbid_overwrite": None},
            {"x_oss_forbid_overwrite": "false"},
            {"x_oss_object_acl": "public-read"},
            {"x_oss_tagging": "a=b"},
            {"x_oss_copy_source": f"/{BUCKET}/.links/keys.json"},
            {"x_oss_meta_more": "1"},
            {"x_oss_callback": "e30="},
            {"x_oss_symlink_target": "other"},
            {"x_oss_storage_class": "Archive"},
            {"content_md5": "AAAAAAAAAAAAAAAAAAAAAA=="},
        ],
    )
    def test_no_header_is_changed_left_out_or_added(self, kept: Uploads, header: dict[str, str | None]) -> None:
        found = kept.sign_one(path="/in/header.txt")
        assert use(found, b"hello", **header) == (403, "SignatureDoesNotMatch")
        assert kept.stored("inbox/header.txt") is None

    def test_a_digest_on_request_holds_the_content(self, kept: Uploads) -> None:
        digest = base64.b64encode(hashlib.md5(b"hello").digest()).decode()
        found = kept.sign_one(path="/in/digest.txt", headers={"Content-MD5": digest})
        assert use(found, b"jello") == (400, "InvalidDigest")
        assert use(found, b"hello", content_md5=None) == (403, "SignatureDoesNotMatch")
        assert use(found, b"hello").status == 200

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
    def test_it_does_nothing_but_upload(self, kept: Uploads, method: str) -> None:
        kept.put("inbox/there.txt", b"secret")
        found = kept.sign_one(path="/in/there.txt", overwrite=True)
        assert use({**found, "method": method}).status == 403
        assert kept.stored("inbox/there.txt") == b"secret"

    @pytest.mark.parametrize("more", ["acl", "tagging", "append&position=0", "symlink", "uploadId=1&partNumber=1"])
    def test_it_is_for_no_sub_resource(self, kept: Uploads, more: str) -> None:
        found = kept.sign_one(path="/in/sub.txt")
        assert use({**found, "url": f"{found['url']}&{more}"}, b"hello").status == 403
