"""Upload shares: a form for one exact key a file, never more files nor larger ones than were shared for."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler import oss, state
from handler.context import Invocation
from handler.endpoints import upload_page
from handler.endpoints.upload_page import MAX_NAME, safe_name
from handler.errors import Problem
from handler.request import Request
from handler.shares.opening import open_share
from tests.handler.client import context
from tests.handler.upload_fixtures import MEGABYTE, WRITER, Uploads, post, uploads, uploads_with_oss

NONCE = "nonce-EXAMPLE-000000000"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f/\\$\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uploads]:
    with uploads_with_oss(tmp_path_factory.mktemp("kept")) as found:
        yield found


@pytest.fixture
def kept(running: Uploads, monkeypatch: pytest.MonkeyPatch) -> Uploads:
    monkeypatch.setattr(state, "_probed", {})
    return running


def share_id(url: str) -> str:
    return urlsplit(url).query.removeprefix("share=")[16:28]


def conditions(form: dict[str, Any]) -> list[Any]:
    found: list[Any] = json.loads(base64.b64decode(form["fields"]["policy"]))["conditions"]
    return found


def opened(world: Uploads, url: str, accept: str) -> Any:
    parts = urlsplit(url)
    return world.ask(parts.path, "GET", dict(parse_qsl(parts.query)), {"Accept": accept})


def files_left(world: Uploads, url: str) -> int:
    left: int = opened(world, url, "application/json").json["files_left"]
    return left


class TestForm:
    def test_a_file_gets_a_form_for_one_exact_key(self, kept: Uploads) -> None:
        url = kept.drop()
        answer = kept.ask_drop(url, name="季度 q3.txt")
        assert answer.status == 200
        assert set(answer.json) == {"url", "fields", "expires_at", "number", "nonce"}
        key = f"inbox/{share_id(url)}/1-季度 q3.txt"
        held = conditions(answer.json)
        assert ["eq", "$key", key] in held
        assert ["content-length-range", 0, 5] in held
        assert ["eq", "$x-oss-content-type", "text/plain"] in held
        assert {"x-oss-forbid-overwrite": "true"} in held
        assert post(answer.json, b"hello").status == 200
        assert kept.stored(key) == b"hello"
        assert (answer.line["key"], answer.line["share"]) == (key, share_id(url))

    def test_two_files_of_one_name_are_two(self, kept: Uploads) -> None:
        url = kept.drop()
        for number, content in ((1, b"first"), (2, b"other")):
            assert post(kept.ask_drop(url).json, content).status == 200
            assert kept.stored(f"inbox/{share_id(url)}/{number}-a.txt") == content

    def test_nothing_is_overwritten(self, kept: Uploads) -> None:
        url = kept.drop()
        form = kept.ask_drop(url).json
        assert post(form, b"first").status == 200
        assert post(form, b"other") == (409, "FileAlreadyExists")
        assert kept.stored(f"inbox/{share_id(url)}/1-a.txt") == b"first"

    def test_a_file_is_no_larger_than_it_said(self, kept: Uploads) -> None:
        assert post(kept.ask_drop(kept.drop()).json, b"hello!") == (400, "EntityTooLarge")

    @pytest.mark.parametrize(
        ("wish", "code"),
        [
            ({"size": 1001}, "too_large"),
            ({"size": -1}, "too_large"),
            ({"size": None}, "bad_body"),
            ({"size": "5"}, "bad_body"),
            ({"name": None}, "bad_body"),
            ({"name": 5}, "bad_body"),
            ({"type": "text"}, "bad_content_type"),
            ({"type": "text/plain; boundary=x"}, "bad_content_type"),
            ({"nonce": "short"}, "bad_body"),
            ({"nonce": "x" * 65}, "bad_body"),
            ({"nonce": "nonce-EXAMPLE-00000000/"}, "bad_body"),
            ({"again": 1}, "bad_body"),
            ({"number": 1}, "bad_body"),
            ({"path": "/in/a"}, "bad_body"),
            ({"max_size": 2000}, "bad_body"),
        ],
    )
    def test_a_wish_that_cannot_be_followed_takes_no_place(
        self, kept: Uploads, wish: dict[str, object], code: str
    ) -> None:
        url = kept.drop()
        answer = kept.ask_drop(url, **wish)
        assert (answer.status, answer.code) == (400, code)
        assert files_left(kept, url) == 3

    @pytest.mark.parametrize(
        ("allowed", "kind", "is_taken"),
        [
            (None, "video/mp4", True),
            (None, "", True),
            ("text/", "text/plain", True),
            ("text/", "text/plain; charset=utf-8", True),
            ("text/", "", False),
            ("text/", "image/png", False),
            ("text/plain", "text/plain", True),
            ("text/plain", "text/plainer", False),
            ("text/plain", "text/html", False),
        ],
    )
    def test_types_are_held(self, kept: Uploads, allowed: str | None, kind: str, is_taken: bool) -> None:
        url = kept.drop(content_type=allowed)
        answer = kept.ask_drop(url, type=kind)
        assert answer.status == (200 if is_taken else 400)
        if not is_taken:
            assert answer.code == "wrong_type"
            return
        kind = kind or "application/octet-stream"
        assert post(answer.json, b"hello", x_oss_content_type="application/x-other") == (403, "AccessDenied")
        assert post(answer.json, b"hello").status == 200
        assert kept.headers_of(f"inbox/{share_id(url)}/1-a.txt")["content-type"] == kind


class TestPlaces:
    def test_no_more_files_than_were_shared_for(self, kept: Uploads) -> None:
        url = kept.drop(max_files=2)
        assert [kept.ask_drop(url, name=f"{n}.txt").status for n in range(3)] == [200, 200, 410]
        assert kept.ask_drop(url).code == "share_full"
        assert files_left(kept, url) == 0

    def test_many_at_once_get_as_many_places_as_there_are(self, kept: Uploads) -> None:
        url = kept.drop(max_files=5)
        with ThreadPoolExecutor(8) as threads:
            numbers = list(threads.map(lambda n: kept_number(kept, url, n), range(20)))
        assert sorted(number for number in numbers if number) == [1, 2, 3, 4, 5]

    def test_a_second_try_takes_no_second_place(self, kept: Uploads) -> None:
        url = kept.drop()
        kept.ask_drop(url, name="other.txt")
        first = kept.ask_drop(url, nonce=NONCE).json
        kept.ask_drop(url, name="another.txt")
        again = kept.ask_drop(url, nonce=NONCE, again=True)
        assert (first["number"], again.json["number"]) == (2, 2)
        assert again.json["fields"]["key"] == first["fields"]["key"]
        assert files_left(kept, url) == 0

    def test_a_second_try_whose_first_never_arrived_takes_its_first_place(self, kept: Uploads) -> None:
        url = kept.drop()
        assert kept.ask_drop(url, nonce=NONCE, again=True).json["number"] == 1
        assert kept.ask_drop(url, nonce=NONCE, again=True).json["number"] == 1

    def test_a_place_is_for_one_name(self, kept: Uploads) -> None:
        """Otherwise one place would be good for any number of keys."""
        url = kept.drop(max_files=3)
        numbers = [kept.ask_drop(url, nonce=NONCE, name=f"{n}.txt", again=True).json.get("number") for n in range(5)]
        assert numbers == [1, 2, 3, None, None]

    def test_a_full_share_still_lets_a_broken_file_in(self, kept: Uploads) -> None:
        url = kept.drop(max_files=1)
        kept.ask_drop(url, nonce=NONCE)
        assert kept.ask_drop(url).code == "share_full"
        assert post(kept.ask_drop(url, nonce=NONCE, again=True).json, b"hello").status == 200

    def test_a_state_that_cannot_be_read_gives_nothing(self, kept: Uploads, monkeypatch: pytest.MonkeyPatch) -> None:
        url = kept.drop()

        def gone(*_: object, **__: object) -> oss.OssResponse:
            raise oss.OssUnavailable("OSS cannot be reached.")

        monkeypatch.setattr("handler.oss.OssClient.request", gone)
        assert (kept.ask_drop(url).status, kept.ask_drop(url).code) == (503, "state_unavailable")


def kept_number(world: Uploads, url: str, n: int) -> int | None:
    """The place of one file of many that are asked for at once, None where there is none."""

    parts = urlsplit(url)
    body = json.dumps({"name": f"{n}.txt", "size": 1}).encode()
    request = Request("POST", parts.path, dict(parse_qsl(parts.query)), {"content-type": "application/json"}, body, "")
    try:
        opening = open_share(request, Invocation(world.policy, context(), world.now, {}), parts.path)
        number: int = json.loads(upload_page.answer(opening).body)["number"]
    except Problem as problem:
        if problem.code != "share_full":
            raise
        return None
    return number


class TestBounds:
    def test_a_mount_that_became_narrower_narrows_the_share(self, kept: Uploads) -> None:
        url = kept.drop(max_size=1000)
        narrower = kept.having_mount("/in/", max_size=4)
        assert kept.ask_drop(url).status == 200
        assert narrower.ask_drop(url).code == "too_large"
        assert opened(narrower, url, "application/json").json["max_size"] == 4
        assert "4 B" in opened(narrower, url, "text/html").body

    def test_a_mount_that_takes_no_more_ends_the_share(self, kept: Uploads) -> None:
        url = kept.drop()
        answer = kept.having_mount("/in/", methods=("PUT",)).ask_drop(url)
        assert (answer.status, answer.code) == (410, "share_not_offered")

    @pytest.mark.parametrize(
        "upload",
        [
            {"max_size": MEGABYTE + 1},
            {"max_size": -1},
            {"max_files": 0},
            {"max_files": 101},
            {"max_files": True},
            {"content_type": ""},
            {"content_type": "text"},
            {"content_type": "*/*"},
            {"more": 1},
        ],
    )
    def test_no_share_is_wider_than_its_mount(self, kept: Uploads, upload: dict[str, object]) -> None:
        wish = {"path": "/in/", "method": "POST", "upload": upload}
        assert kept.post("/-/shares", wish, WRITER).status == 400

    @pytest.mark.parametrize("path", ["/in/a.txt", "/both/", "/in/" + "a" * 800 + "/"])
    def test_a_path_that_collects_no_files_is_not_shared(self, kept: Uploads, path: str) -> None:
        wish = {"path": path, "method": "POST", "upload": {"max_size": 5}}
        assert kept.post("/-/shares", wish, WRITER).status == 400

    def test_a_form_ends_with_its_share(self, kept: Uploads) -> None:
        wish = {"path": "/in/", "method": "POST", "expires": "90", "upload": {"max_size": 5}}
        url = kept.post("/-/shares", wish, WRITER).json["url"]
        assert kept.ask_drop(url).line["expires_in"] == 90
        later = kept._replace(now=kept.now + 60)
        assert later.ask_drop(url, nonce=NONCE).code == "share_full"
        assert later._replace(now=kept.now + 90).ask_drop(url).code == "share_ended"

    def test_it_reads_nothing(self, kept: Uploads) -> None:
        url = kept.drop()
        form = kept.ask_drop(url).json
        post(form, b"hello")
        key = f"{share_id(url)}/1-a.txt"
        assert kept.ask(f"/in/{key}", query={"share": url.partition("share=")[2]}).status == 404
        assert kept.ask(f"/in/{key}").status == 405

    def test_the_share_is_for_no_other_folder(self, kept: Uploads) -> None:
        token = kept.drop().partition("share=")[2]
        for path in ("/both/", "/in/sub/", "/in/a.txt", "/team/"):
            answer = kept.post(path, {"name": "a", "size": 1}, query={"share": token})
            assert (answer.status, answer.code) == (404, "share_invalid")

    def test_revoked_it_takes_nothing(self, kept: Uploads) -> None:
        url = kept.drop()
        assert kept.ask(f"/-/shares/{share_id(url)}", "DELETE", key=WRITER).status == 204
        assert kept.ask_drop(url).code == "share_revoked"


class TestNames:
    @pytest.mark.parametrize(
        ("name", "safe"),
        [
            ("q3.pdf", "q3.pdf"),
            ("季度 报告.pdf", "季度 报告.pdf"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("C:\\a.txt", "C:_a.txt"),
            ("..", "file"),
            ("", "file"),
            (" . ", "file"),
            ("${filename}", "_{filename}"),
            ("a\x00\n\x7fb", "a___b"),
            ("a\u202etxt.exe", "a_txt.exe"),
            ("a\ud800b", "a?b"),
            ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ],
    )
    def test_a_name_is_made_safe(self, name: str, safe: str) -> None:
        assert safe_name(name) == safe

    @given(name=st.text(st.characters(), max_size=300))
    def test_every_name_is_one_segment_that_misleads_nobody(self, name: str) -> None:
        safe = safe_name(name)
        assert 0 < len(safe.encode()) <= MAX_NAME
        assert not UNSAFE.search(safe)
        assert safe not in (".", "..")
        assert safe == safe.strip(". ")
        assert safe_name(safe) == safe

    @pytest.mark.parametrize("name", ["${filename}", "../a", "a/b", "a\x00b", "\ud800", "<script>", "'\"&", "x" * 500])
    def test_a_nasty_name_makes_one_object_below_the_share(self, kept: Uploads, name: str) -> None:
        url = kept.drop()
        form = kept.ask_drop(url, name=name).json
        assert post(form, b"hello", "../../other.txt").status == 200
        assert kept.stored(f"inbox/{share_id(url)}/1-{safe_name(name)}") == b"hello"


class TestPage:
    def test_its_policy_lets_nothing_else_in(self, kept: Uploads) -> None:
        answer = opened(kept, kept.drop(), HTML["Accept"])
        policy = answer.headers["Content-Security-Policy"]
        directives = dict(directive.strip().split(" ", 1) for directive in policy.split(";"))
        nonce = re.search(r'<script nonce="([A-Za-z0-9_-]{22})">', answer.body)
        assert nonce is not None
        assert directives["default-src"] == "'none'"
        assert directives["script-src"] == f"'nonce-{nonce[1]}'"
        assert kept.oss is not None
        assert directives["connect-src"] == f"'self' {kept.oss.url}"
        assert directives["form-action"] == directives["base-uri"] == directives["frame-ancestors"] == "'none'"
        assert "unsafe" not in policy
        assert "*" not in policy
        assert not re.search(r'\son[a-z]+="|\sstyle="|javascript:', answer.body)

    def test_each_page_has_a_nonce_of_its_own(self, kept: Uploads) -> None:
        url = kept.drop()
        assert len({opened(kept, url, HTML["Accept"]).headers["Content-Security-Policy"] for _ in range(3)}) == 3

    def test_looking_takes_no_place(self, kept: Uploads) -> None:
        url = kept.drop()
        for accept in ("text/html", "application/json", "*/*"):
            assert opened(kept, url, accept).status == 200
        assert files_left(kept, url) == 3

    def test_what_was_shared_is_no_markup(self, kept: Uploads) -> None:
        wish = {"path": "/in/<b>'\"&/", "method": "POST", "upload": {"max_size": 5, "content_type": "text/"}}
        url = kept.post("/-/shares", wish, WRITER).json["url"]
        body = opened(kept, url, HTML["Accept"]).body
        assert "<b>" not in body
        assert "&lt;b&gt;" in body


def test_without_a_state_there_is_no_upload_share(tmp_path: Path) -> None:
    world = uploads(tmp_path)
    stateless = world._replace(policy=world.policy._replace(state=None))
    wish = {"path": "/in/", "method": "POST", "upload": {"max_size": 5}}
    assert stateless.post("/-/shares", wish, WRITER).code == "state_required"
