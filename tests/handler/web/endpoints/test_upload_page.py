"""Upload shares: a form with one exact key for each file, and no more or larger files than the share allows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.web.endpoints.upload_page import MAX_NAME, safe_name
from tests.handler.upload_fixtures import MEGABYTE, conditions, submit_form
from tests.memory_oss import MemoryOss
from tests.system import HTML, JSON, WRITER, System, share_id

NONCE = "nonce-EXAMPLE-000000000"
UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f/\\$\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class TestForm:
    def test_a_file_gets_a_form_for_one_exact_key(self, uploads: System) -> None:
        url = uploads.create_upload_share()
        response = uploads.request_form(url, name="季度 q3.txt")
        assert response.status == 200
        assert set(response.json) == {"url", "fields", "expires_at", "number", "nonce"}
        key = f"inbox/{share_id(url)}/1-季度 q3.txt"
        form_conditions = conditions(response.json)
        assert ["eq", "$key", key] in form_conditions
        assert ["content-length-range", 0, 5] in form_conditions
        assert ["eq", "$x-oss-content-type", "text/plain"] in form_conditions
        assert {"x-oss-forbid-overwrite": "true"} in form_conditions
        assert submit_form(response.json, b"hello").status == 200
        assert uploads.stored(key) == b"hello"
        assert (response.line["key"], response.line["share"]) == (key, share_id(url))

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            *(({"size": size}, "too_large") for size in (1001, -1)),
            *(({"type": each}, "bad_content_type") for each in ("text", "text/plain; boundary=x")),
            *(({"nonce": nonce}, "bad_body") for nonce in ("short", "x" * 65, "nonce-EXAMPLE-00000000/")),
            *(
                (each, "bad_body")
                for each in ({"size": None}, {"size": "5"}, {"name": None}, {"name": 5}, {"again": 1})
            ),
            *((each, "bad_body") for each in ({"number": 1}, {"path": "/in/a"}, {"max_size": 2000})),
        ],
    )
    def test_an_invalid_request_does_not_count(
        self, in_memory: System, oss: MemoryOss, params: dict[str, object], code: str
    ) -> None:
        url = in_memory.create_upload_share()
        response = in_memory.request_form(url, **params)
        assert (response.status, response.code) == (400, code)
        assert in_memory.files_left(url) == 3

    @pytest.mark.parametrize(
        ("allowed", "content_type", "accepted"),
        [
            *((None, content_type, True) for content_type in ("video/mp4", "")),
            *(("text/", content_type, True) for content_type in ("text/plain", "text/plain; charset=utf-8")),
            *(("text/", content_type, False) for content_type in ("", "image/png")),
            *(("text/plain", f"text/{name}", name == "plain") for name in ("plain", "plainer", "html")),
        ],
    )
    def test_the_type_is_enforced(
        self, uploads: System, allowed: str | None, content_type: str, accepted: bool
    ) -> None:
        url = uploads.create_upload_share(content_type=allowed)
        response = uploads.request_form(url, type=content_type)
        assert response.status == (200 if accepted else 400)
        if not accepted:
            assert response.code == "wrong_type"
            return
        content_type = content_type or "application/octet-stream"
        assert submit_form(response.json, b"hello", x_oss_content_type="application/x-other") == (403, "AccessDenied")
        assert submit_form(response.json, b"hello").status == 200
        assert uploads.stored_headers(f"inbox/{share_id(url)}/1-a.txt")["content-type"] == content_type


class TestNumbers:
    def test_a_retry_gets_the_same_number(self, uploads: System) -> None:
        url = uploads.create_upload_share()
        uploads.request_form(url, name="other.txt")
        first = uploads.request_form(url, nonce=NONCE).json
        uploads.request_form(url, name="another.txt")
        again = uploads.request_form(url, nonce=NONCE, again=True)
        assert (first["number"], again.json["number"]) == (2, 2)
        assert again.json["fields"]["key"] == first["fields"]["key"]
        assert uploads.files_left(url) == 0

    def test_a_number_is_for_one_name(self, uploads: System) -> None:
        """Otherwise one number would be valid for any number of keys."""
        url = uploads.create_upload_share(max_files=3)
        numbers = [
            uploads.request_form(url, nonce=NONCE, name=f"{n}.txt", again=True).json.get("number") for n in range(5)
        ]
        assert numbers == [1, 2, 3, None, None]


class TestLimits:
    def test_a_lower_limit_of_the_mount_holds_for_existing_shares(self, uploads: System) -> None:
        url = uploads.create_upload_share(max_size=1000)
        narrower = uploads.with_mount("/in/", max_size=4)
        assert uploads.request_form(url).status == 200
        assert narrower.request_form(url).code == "too_large"
        assert narrower.open(url, headers=JSON).json["max_size"] == 4
        assert "4 B" in narrower.open(url, headers=HTML).body

    @pytest.mark.parametrize(
        "upload",
        [
            *({"max_size": size} for size in (MEGABYTE + 1, -1)),
            *({"max_files": number} for number in (0, 101, True)),
            {"more": 1},
        ],
    )
    def test_invalid_limits_are_refused(self, in_memory: System, upload: dict[str, object]) -> None:
        assert in_memory.request_share(WRITER, path="/in/", method="POST", upload=upload).status == 400

    @pytest.mark.parametrize("path", ["/in/a.txt", "/both/", "/in/" + "a" * 800 + "/"])
    def test_an_invalid_prefix_is_refused(self, in_memory: System, path: str) -> None:
        assert in_memory.request_share(WRITER, path=path, method="POST", upload={"max_size": 5}).status == 400

    def test_a_form_does_not_outlive_its_share(self, uploads: System) -> None:
        params = {"path": "/in/", "method": "POST", "expires": "90", "upload": {"max_size": 5}}
        url = uploads.post("/-/shares", params, WRITER).json["url"]
        assert uploads.request_form(url).line["expires_in"] == 90
        later = uploads.later(60)
        assert later.request_form(url, nonce=NONCE).code == "share_full"
        assert later.later(30).request_form(url).code == "share_expired"


class TestNames:
    @pytest.mark.parametrize(
        ("name", "safe"),
        [
            *((name, name) for name in ("q3.pdf", "季度 报告.pdf")),
            *((name, "file") for name in ("..", "", " . ")),
            *(("../../etc/passwd", "_.._etc_passwd"), ("C:\\a.txt", "C:_a.txt"), ("${filename}", "_{filename}")),
            *(("a\x00\n\x7fb", "a___b"), ("a\u202etxt.exe", "a_txt.exe"), ("a\ud800b", "a?b")),
            ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ],
    )
    def test_a_name_is_made_safe(self, name: str, safe: str) -> None:
        assert safe_name(name) == safe

    @given(name=st.text(st.characters(), max_size=300))
    def test_every_safe_name_is_one_harmless_segment(self, name: str) -> None:
        safe = safe_name(name)
        assert 0 < len(safe.encode()) <= MAX_NAME
        assert not UNSAFE.search(safe)
        assert safe not in (".", "..")
        assert safe == safe.strip(". ")
        assert safe_name(safe) == safe

    def test_a_hostile_name_becomes_one_object_below_the_share(self, uploads: System) -> None:
        names = ("${filename}", "../a", "a\x00b", "\ud800", "<script>", "'\"&", "x" * 500)
        url = uploads.create_upload_share(max_files=len(names))
        for number, name in enumerate(names, 1):
            form = uploads.request_form(url, name=name).json
            assert submit_form(form, b"hello", "../../other.txt").status == 200
            assert uploads.stored(f"inbox/{share_id(url)}/{number}-{safe_name(name)}") == b"hello"


class TestPage:
    def test_the_content_security_policy_allows_nothing_else(self, uploads: System) -> None:
        response = uploads.open(uploads.create_upload_share(), headers=HTML)
        policy = response.headers["Content-Security-Policy"]
        directives = dict(directive.strip().split(" ", 1) for directive in policy.split(";"))
        (nonce,) = re.findall(r'<script nonce="([A-Za-z0-9_-]{22})">', response.body)
        assert directives["script-src"] == f"'nonce-{nonce}'"
        assert directives["connect-src"] == f"'self' {uploads.oss.url}"
        closed = ("default-src", "form-action", "base-uri", "frame-ancestors")
        assert {directives[name] for name in closed} == {"'none'"}
        assert not {"unsafe", "*"} & {*policy.split()}
        assert not re.search(r'\son[a-z]+="|\sstyle="|javascript:', response.body)
