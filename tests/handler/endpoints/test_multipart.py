"""Multipart uploads: started here, sent into OSS part by part, resumed, completed and aborted."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from handler import app
from handler.config import Config, InvalidConfig
from handler.oss import OssResponse, OssUnavailable
from handler.request import Request
from tests.handler.client import Answered, context
from tests.handler.keys_fixtures import BUCKET
from tests.handler.upload_fixtures import (
    ALICE,
    MEGABYTE,
    PART,
    WRITER,
    Uploads,
    share_key,
    uploads,
    uploads_with_oss,
    use,
)

CONTENT = bytes(range(256)) * (2 * PART // 256) + b"the end"
SIZE = len(CONTENT)
GIGABYTE = 1024**3
ROUTE = "/-/uploads/{id}/parts"
PREFLIGHT = {
    "Origin": "https://app.example.com",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type",
}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uploads]:
    with uploads_with_oss(tmp_path_factory.mktemp("kept")) as found:
        yield found


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Uploads:
    """A world whose OSS starts every upload and is asked nothing else."""
    body = b"<InitiateMultipartUploadResult><UploadId>0004B9894A22E5B1888A1E29F823EXAM</UploadId>"
    answered = OssResponse(200, {}, body + b"</InitiateMultipartUploadResult>", "")
    monkeypatch.setattr("handler.oss.OssClient.request", lambda *_, **__: answered)
    return uploads(tmp_path)


@pytest.fixture
def plain(tmp_path: Path) -> Uploads:
    return uploads(tmp_path)


def parts_of(world: Uploads, upload: dict[str, Any], key: str | None = None, /, **wish: object) -> Answered:
    """What is answered to someone who resumes an upload."""
    return world.post(f"/-/uploads/{quote(upload['upload_id'], safe='~')}/parts", {"path": "/in/big.bin", **wish}, key)


def assert_hides_id(answer: Answered, upload_id: str) -> None:
    """Neither OSS's own id nor the signature is printed."""
    for piece in upload_id.split("~"):
        assert len(piece) < 8 or piece not in answer.printed


def send(part: dict[str, Any], content: bytes = CONTENT) -> str:
    """Uploads a part; its ETag."""
    import requests

    start = (part["part_number"] - 1) * PART
    body = content[start : start + int(part["headers"]["Content-Length"])]
    answer = requests.put(part["url"], data=body, headers=part["headers"], timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.headers["ETag"]


def whole(etags: dict[int, str]) -> bytes:
    """The document that completes an upload."""
    parts = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag in sorted(etags.items()))
    return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()


class TestUpload:
    def test_parts_are_sent_and_become_the_object(self, kept: Uploads) -> None:
        found = kept.upload(path="/in/季度 big.bin", content_type="text/plain")
        assert found["part_count"] == 3
        assert [part["part_number"] for part in found["parts"]] == [1, 2, 3]
        assert [part["headers"]["Content-Length"] for part in found["parts"]] == [str(PART), str(PART), "7"]
        etags = {part["part_number"]: send(part) for part in reversed(found["parts"])}
        assert use(found["complete"], whole(etags)).status == 200
        assert kept.stored("inbox/季度 big.bin") == CONTENT
        assert kept.headers_of("inbox/季度 big.bin")["content-type"] == "text/plain"

    def test_it_is_resumed_where_it_broke(self, kept: Uploads) -> None:
        found = kept.upload(path="/in/resumed.bin")
        etags = {1: send(found["parts"][0])}
        again = parts_of(kept, found, path="/in/resumed.bin", **{"from": 2}).json
        assert (again["upload_id"], again["part_count"]) == (found["upload_id"], 3)
        assert [part["part_number"] for part in again["parts"]] == [2, 3]
        etags |= {part["part_number"]: send(part) for part in again["parts"]}
        assert use(again["complete"], whole(etags)).status == 200
        assert kept.stored("inbox/resumed.bin") == CONTENT

    def test_links_that_ended_are_made_anew(self, kept: Uploads) -> None:
        earlier = kept._replace(now=kept.now - 600)
        found = earlier.upload(path="/in/expired.bin", expires="5m")
        assert use(found["parts"][2], b"the end") == (403, "AccessDenied")
        again = parts_of(kept, found, path="/in/expired.bin", **{"from": 3, "count": 1}).json
        assert use(again["parts"][0], b"the end").status == 200

    def test_it_is_aborted(self, kept: Uploads) -> None:
        found = kept.upload(path="/in/aborted.bin")
        etags = {1: send(found["parts"][0])}
        assert use(found["abort"]).status == 204
        assert use(found["complete"], whole(etags)) == (404, "NoSuchUpload")
        assert kept.stored("inbox/aborted.bin") is None

    def test_an_object_that_is_there_is_told_at_the_start(self, kept: Uploads) -> None:
        kept.put("inbox/there.bin", b"older")
        answer = kept.post("/-/uploads", {"path": "/in/there.bin", "size": 5})
        assert (answer.status, answer.code) == (409, "object_exists")

    def test_an_object_that_came_meanwhile_stays(self, kept: Uploads) -> None:
        found = kept.upload(path="/in/raced.bin")
        etags = {part["part_number"]: send(part) for part in found["parts"]}
        kept.put("inbox/raced.bin", b"first")
        assert use(found["complete"], whole(etags)) == (409, "FileAlreadyExists")
        assert use(found["complete"], whole(etags), x_oss_forbid_overwrite=None) == (403, "SignatureDoesNotMatch")
        assert kept.stored("inbox/raced.bin") == b"first"

    def test_of_two_uploads_to_one_path_the_first_wins(self, kept: Uploads) -> None:
        first, second = (kept.upload(path="/in/twice.bin") for _ in range(2))
        tags = [{part["part_number"]: send(part) for part in found["parts"]} for found in (first, second)]
        assert use(second["complete"], whole(tags[1])).status == 200
        assert use(first["complete"], whole(tags[0])) == (409, "FileAlreadyExists")

    def test_a_small_file_is_one_part(self, kept: Uploads) -> None:
        found = kept.upload(path="/in/small.bin", size=5, part_size=None)
        assert found["part_count"] == len(found["parts"]) == 1
        assert use(found["complete"], whole({1: send(found["parts"][0], b"hello")})).status == 200
        assert kept.stored("inbox/small.bin") == b"hello"


class TestHeld:
    """Whatever a client does with its links, the upload is no larger, no other, and reads nothing."""

    @pytest.mark.parametrize("content", [b"", CONTENT[: PART - 1], CONTENT[: PART + 1], CONTENT])
    def test_a_part_of_another_length_is_refused(self, kept: Uploads, content: bytes) -> None:
        part = kept.upload(path="/in/held.bin")["parts"][0]
        assert use(part, content, content_length=None) == (403, "SignatureDoesNotMatch")

    @pytest.mark.parametrize("number", ["0", "2", "4", "10000"])
    def test_a_part_s_link_is_for_no_other_number(self, kept: Uploads, number: str) -> None:
        part = kept.upload(path="/in/held.bin")["parts"][0]
        url = part["url"].replace("partNumber=1&", f"partNumber={number}&")
        assert url != part["url"]
        assert use({**part, "url": url}, CONTENT[:PART]) == (403, "SignatureDoesNotMatch")

    def test_a_part_s_link_copies_nothing(self, kept: Uploads) -> None:
        kept.put("both/secret.bin", CONTENT[:PART])
        part = kept.upload(path="/in/held.bin")["parts"][0]
        for more in ({"x_oss_copy_source": f"/{BUCKET}/both/secret.bin"}, {"x_oss_copy_source_range": "bytes=0-1"}):
            assert use(part, CONTENT[:PART], **more) == (403, "SignatureDoesNotMatch")

    @pytest.mark.parametrize("which", ["part", "complete", "abort"])
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
    def test_no_link_of_it_does_what_another_does(self, kept: Uploads, which: str, method: str) -> None:
        found = kept.upload(path="/in/held.bin")
        link = {"method": "PUT", **found["parts"][0]} if which == "part" else found[which]
        if link["method"] != method:
            assert use({**link, "method": method}).status == 403

    @pytest.mark.parametrize("which", ["complete", "abort"])
    def test_without_its_upload_id_a_link_is_none(self, kept: Uploads, which: str) -> None:
        kept.put("inbox/kept.bin", b"kept")
        found = kept.upload(path="/in/held.bin")
        url = found[which]["url"].replace("&uploadId=", "&x-none=").replace("?uploadId=", "?x-none=")
        assert use({**found[which], "url": url}).status == 403
        assert kept.stored("inbox/kept.bin") == b"kept"


class TestResuming:
    def test_every_character_of_an_id_counts(self, started: Uploads) -> None:
        found = started.upload()
        upload_id = found["upload_id"]
        for at in range(len(upload_id)):
            for letter in LETTERS:
                altered = f"{upload_id[:at]}{letter}{upload_id[at + 1 :]}"
                if altered != upload_id:
                    answer = parts_of(started, {"upload_id": altered}, **{"from": 1, "count": 1})
                    assert (answer.status, answer.code) == (404, "not_found"), at

    @pytest.mark.parametrize(
        "altered",
        [
            "{}=",
            "{}A",
            "A{}",
            "~{}",
            "{}~",
            "~",
            "~~~",
            "{}%0a",
            "{}%00",
            "{}%2F",
            "{}%C3%A9",
            "a",
            "a~b~c~d",
            "1~1~1~" + "A" * 43,
        ],
    )
    def test_no_other_text_is_an_id(self, started: Uploads, altered: str) -> None:
        upload_id = altered.format(started.upload()["upload_id"])
        answer = started.post(f"/-/uploads/{upload_id}/parts", {"path": "/in/big.bin"})
        assert answer.status in (400, 404)

    def test_an_id_is_for_its_path_alone(self, started: Uploads) -> None:
        found = started.upload(WRITER, path="/team/alice/a.bin")
        for path, key in (("/team/alice/b.bin", WRITER), ("/both/a.bin", WRITER), ("/in/a.bin", None)):
            assert parts_of(started, found, key, path=path).status == 404
        assert parts_of(started, found, WRITER, path="/team/alice/a.bin").status == 200

    def test_the_same_checks_are_made_again(self, started: Uploads) -> None:
        found = started.upload(WRITER, path="/team/alice/a.bin")
        assert parts_of(started, found, path="/team/alice/a.bin").status == 401
        assert parts_of(started, found, ALICE, path="/team/alice/a.bin").status == 200
        found = started.upload(WRITER, path="/team/bob/a.bin")
        assert parts_of(started, found, ALICE, path="/team/bob/a.bin").status == 404
        no_longer = started.having_mount("/in/", methods=("POST",))
        assert parts_of(no_longer, started.upload()).code == "not_offered"
        smaller = started.having_mount("/in/", max_size=PART)
        assert parts_of(smaller, started.upload()).code == "too_large"

    def test_a_new_share_key_keeps_it_and_a_retired_one_ends_it(self, started: Uploads) -> None:
        older = started.with_keys(share=[share_key("a")])
        found = older.upload()
        assert parts_of(older.with_keys(share=[share_key("a"), share_key("b")]), found).status == 200
        assert parts_of(older.with_keys(share=[share_key("b")]), found).status == 404

    def test_without_share_keys_the_role_s_own_secret_holds_it(self, started: Uploads) -> None:
        found = started.with_keys(share=[])
        assert parts_of(found, found.upload()).status == 200

    @pytest.mark.parametrize(
        "wish", [{"from": 0}, {"from": 4}, {"from": -1}, {"count": 0}, {"count": 1001}, {"from": "1"}]
    )
    def test_parts_that_it_has_not_are_refused(self, started: Uploads, wish: dict[str, object]) -> None:
        answer = parts_of(started, started.upload(), **wish)
        assert (answer.status, answer.code) == (400, "bad_body")

    @pytest.mark.parametrize("member", ["size", "part_size", "part_count", "content_type"])
    def test_its_sizes_are_said_once(self, started: Uploads, member: str) -> None:
        assert parts_of(started, started.upload(), **{member: 1}).code == "bad_body"

    def test_the_audit_line_does_not_have_the_id(self, started: Uploads) -> None:
        found = started.upload()
        answer = parts_of(started, found)
        assert_hides_id(answer, found["upload_id"])
        assert answer.line["path"] == ROUTE

    @pytest.mark.parametrize(
        ("method", "path", "headers", "status"),
        [
            ("OPTIONS", "/-/uploads/{}/parts", {}, 204),
            ("OPTIONS", "/-/uploads/{}/parts", PREFLIGHT, 204),
            ("GET", "/-/uploads/{}/parts", {}, 405),
            ("GET", "/-/uploads/{}/parts", {"Accept": "text/html"}, 405),
            ("DELETE", "/-/uploads/{}/parts", {}, 405),
            ("POST", "/-/uploads/{}/parts", {}, 400),
            ("POST", "/-/uploads/{}/parts", {"Authorization": "Bearer fcp_unknown"}, 401),
            ("POST", "/-/uploads/{}", {}, 404),
            ("POST", "/-/uploads/{}/", {}, 404),
            ("POST", "/-/uploads/{}/part", {}, 404),
            ("POST", "/-/uploads/a/{}/parts", {}, 404),
            ("POST", "/-/uploads%2F{}/parts", {}, 400),
            ("POST", "/-/uploads/{}/parts%0A", {}, 400),
            ("POST", "/-/uploads/{}/parts%ff", {}, 400),
            ("POST", "/-/uploads/{}//parts", {}, 400),
        ],
    )
    def test_below_uploads_the_audit_line_names_the_route_whatever_the_response(
        self, started: Uploads, method: str, path: str, headers: Mapping[str, str], status: int
    ) -> None:
        upload_id = started.upload()["upload_id"]
        answer = started.ask(path.format(upload_id), method, headers=headers)
        assert answer.status == status
        assert answer.line["path"] == ROUTE
        assert_hides_id(answer, upload_id)

    def test_so_it_does_while_the_configuration_is_invalid(self, started: Uploads) -> None:
        upload_id = started.upload()["upload_id"]

        def invalid() -> Config:
            raise InvalidConfig("mount 1: missing path.")

        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            request = Request("POST", f"/-/uploads/{upload_id}/parts", {}, {}, b"", "")
            response = app.answer(lambda: request, invalid, context(), request_id="req-EXAMPLE")
        assert response.status == 500
        assert json.loads(out.getvalue())["path"] == ROUTE

    @pytest.mark.parametrize(
        "path",
        [
            "/links/-/uploads/{}/parts",
            "/-/upload/{}",
            "/-//uploads/{}/parts",
            "/-/x/../uploads/{}/parts",
            "/-/uploads%252F{}",
            "/in/{}",
            "/{}",
        ],
    )
    @pytest.mark.parametrize("encoded", [False, True])
    def test_an_id_at_a_wrong_address_is_not_logged_either(self, started: Uploads, path: str, encoded: bool) -> None:
        upload_id = started.upload()["upload_id"]
        written = upload_id.replace("~", "%7E").replace("A", "%41") if encoded else upload_id
        assert_hides_id(started.ask(path.format(written), "GET"), upload_id)


class TestSizes:
    def test_the_first_thousand_come_at_once_and_the_rest_when_asked(self, started: Uploads) -> None:
        found = started.upload(path="/big/a", size=2500 * PART, part_size=PART)
        assert found["part_count"] == 2500
        assert [part["part_number"] for part in found["parts"]] == list(range(1, 1001))
        answer = parts_of(started, found, path="/big/a", **{"from": 2001})
        assert [part["part_number"] for part in answer.json["parts"]] == list(range(2001, 2501))
        last = parts_of(started, found, path="/big/a", **{"from": 2500, "count": 1000}).json["parts"]
        assert [part["part_number"] for part in last] == [2500]

    @pytest.mark.parametrize(
        ("size", "part_size", "count"),
        [
            (0, PART, 1),
            (1, PART, 1),
            (PART, PART, 1),
            (PART + 1, PART, 2),
            (10_000 * PART, PART, 10_000),
            (10_000 * PART + 1, PART, None),
            (PART, PART - 1, None),
            (PART, 0, None),
            (PART, -1, None),
            (5 * GIGABYTE, 5 * GIGABYTE, 1),
            (5 * GIGABYTE + 1, 5 * GIGABYTE, 2),
            (5 * GIGABYTE, 5 * GIGABYTE + 1, None),
            (45_000 * GIGABYTE, 5 * GIGABYTE, 9000),
            (45_000 * GIGABYTE, None, 10_000),
            (8 * MEGABYTE + 1, None, 2),
        ],
    )
    def test_ten_thousand_parts_of_a_hundred_kilobytes_to_five_gigabytes(
        self, started: Uploads, size: int, part_size: int | None, count: int | None
    ) -> None:
        answer = started.post("/-/uploads", {"path": "/big/a", "size": size, "part_size": part_size})
        if count is None:
            assert (answer.status, answer.code) == (400, "bad_body")
            return
        assert answer.json["part_count"] == count
        last = parts_of(started, answer.json, path="/big/a", **{"from": count, "count": 1}).json["parts"][0]
        first = answer.json["parts"][0]
        assert int(first["headers"]["Content-Length"]) * (count - 1) + int(last["headers"]["Content-Length"]) == size

    @pytest.mark.parametrize(
        ("wish", "code"),
        [
            ({"size": MEGABYTE + 1}, "too_large"),
            ({"size": -1}, "too_large"),
            ({"size": None}, "bad_body"),
            ({"size": "5"}, "bad_body"),
            ({"size": True}, "bad_body"),
            ({"path": None}, "bad_body"),
            ({"path": "/in//a"}, "bad_path"),
            ({"path": "/out/a"}, "not_offered"),
            ({"content_type": "text"}, "bad_content_type"),
            ({"content_type": "text/plain\r\nx-oss-object-acl: public-read"}, "bad_content_type"),
            ({"expires": "0"}, "bad_expires"),
            ({"overwrite": True}, "bad_body"),
            ({"headers": {"x-oss-object-acl": "public-read"}}, "bad_body"),
        ],
    )
    def test_a_wish_that_cannot_be_followed_starts_nothing(
        self, started: Uploads, monkeypatch: pytest.MonkeyPatch, wish: dict[str, object], code: str
    ) -> None:
        monkeypatch.setattr("handler.oss.OssClient.request", lambda *_, **__: pytest.fail("an upload was started"))
        answer = started.post("/-/uploads", {"path": "/in/a", "size": 5, **wish})
        assert (answer.status, answer.code) == (400, code)

    @pytest.mark.parametrize("path", ["/in/", "/none/a", "/.links/keys.json", "/team/a"])
    def test_what_is_not_there_for_a_caller_starts_nothing(
        self, started: Uploads, monkeypatch: pytest.MonkeyPatch, path: str
    ) -> None:
        monkeypatch.setattr("handler.oss.OssClient.request", lambda *_, **__: pytest.fail("an upload was started"))
        assert started.post("/-/uploads", {"path": path, "size": 5}, ALICE).status == 404


class TestOssIsAway:
    @pytest.mark.parametrize(
        "reply",
        [
            OssResponse(500, {}, b"", ""),
            OssResponse(403, {}, b"<Code>AccessDenied</Code>", "AccessDenied"),
            OssResponse(200, {}, b"", ""),
            OssResponse(200, {}, b"<UploadId></UploadId>", ""),
            OssResponse(200, {}, b"<UploadId>" + b"a" * 201 + b"</UploadId>", ""),
        ],
    )
    def test_an_answer_that_starts_nothing_is_a_503(
        self, started: Uploads, monkeypatch: pytest.MonkeyPatch, reply: OssResponse
    ) -> None:
        monkeypatch.setattr("handler.oss.OssClient.request", lambda *_, **__: reply)
        answer = started.post("/-/uploads", {"path": "/in/a", "size": 5})
        assert (answer.status, answer.code) == (503, "oss_unavailable")

    def test_a_key_that_is_too_long_with_its_prefix_is_refused(self, plain: Uploads) -> None:
        answer = plain.post("/-/uploads", {"path": "/in/" + "a" * 1019, "size": 5})
        assert (answer.status, answer.code) == (400, "bad_path")

    def test_no_answer_is_a_503(self, started: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
        def gone(*_: object, **__: object) -> OssResponse:
            raise OssUnavailable("OSS cannot be reached.")

        monkeypatch.setattr("handler.oss.OssClient.request", gone)
        assert started.post("/-/uploads", {"path": "/in/a", "size": 5}).code == "oss_unavailable"
