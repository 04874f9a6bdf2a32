"""The doctor uploads what breaks a link or a form, and says what OSS made of it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from werkzeug.formparser import parse_form_data

from deploy.probes.uploads import uploads
from local.stack import Stack
from tests.deploy.deployments import KEYS, deployed, faults, levels

LENGTH_HOLDS = "/in/: a PUT in chunks stores no more than its link's Content-Length."
LEFT_OUT_REFUSED = "/in/: OSS refuses a form that leaves out a field which its policy names."
FORBIDDEN = "/in/: a policy can forbid fields that the form does not have."


class Oss(ThreadingHTTPServer):
    """OSS as far as the probe asks it, with a behaviour for each thing that is in doubt."""

    def __init__(self, doubts: frozenset[str]) -> None:
        super().__init__(("127.0.0.1", 0), OssHandler)
        self.doubts = doubts
        self.objects: dict[str, int] = {}
        self.pairs: list[tuple[str | None, str | None]] = []


class OssHandler(BaseHTTPRequestHandler):
    server: Oss

    def do_PUT(self) -> None:
        length, coding = self.headers["Content-Length"], self.headers["Transfer-Encoding"]
        self.server.pairs.append((length, coding))
        size = len(self.rfile.read(int(length)))
        if coding:
            self.close_connection = True
            size = {"chunks win": 8, "length wins": size}.get(next(iter(self.server.doubts), ""), 0)
        if size and "read only" not in self.server.doubts:
            self.server.objects[urlsplit(self.path).path] = size
        self.respond(200 if size else 400)

    def do_POST(self) -> None:
        body = {"wsgi.input": self.rfile, "CONTENT_LENGTH": self.headers["Content-Length"]}
        _, form, files = parse_form_data(
            {**body, "CONTENT_TYPE": self.headers["Content-Type"], "REQUEST_METHOD": "POST"}
        )
        *_, (_, _, pinned) = json.loads(base64.b64decode(form["policy"]))["conditions"]
        sent = form.get("Cache-Control")
        accepted = sent == pinned
        if sent is None:
            accepted = "absent passes" in self.server.doubts or (
                not pinned and "absent fails" not in self.server.doubts
            )
        if pinned == "" and sent:
            accepted = "empty passes" in self.server.doubts
        if accepted and "read only" not in self.server.doubts:
            self.server.objects[f"{self.path.rstrip('/')}/{form['key']}"] = len(files["file"].read())
        self.respond(200 if accepted else 403)

    def do_HEAD(self) -> None:
        size = self.server.objects.get(urlsplit(self.path).path)
        self.respond(404 if size is None else 200, size or 0)

    def do_DELETE(self) -> None:
        if "no delete" in self.server.doubts:
            self.respond(403)
            return
        del self.server.objects[urlsplit(self.path).path]
        self.respond(204)

    def respond(self, status: int, length: int = 0) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def oss(*doubts: str) -> Iterator[tuple[str, Oss]]:
    server = Oss(frozenset(doubts))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


def test_an_oss_that_holds_every_upload_to_its_link_and_form_is_ok() -> None:
    with oss() as (url, server):
        assert [str(finding.sentence) for finding in uploads(deployed(url, KEYS))] == [
            LENGTH_HOLDS,
            LEFT_OUT_REFUSED,
            FORBIDDEN,
        ]
        assert server.objects == {}
        assert server.pairs == [("3", None), ("3", "chunked")]


@pytest.mark.parametrize(
    ("doubt", "fault"),
    [
        ("chunks win", "/in/: a PUT in chunks stored 8 bytes with a link for 3, so max_size does not hold: "),
        ("absent passes", "/in/: OSS accepts a form that leaves out a field which its policy names, "),
    ],
)
def test_an_upload_that_oss_stores_against_its_link_or_form_is_a_fault(doubt: str, fault: str) -> None:
    with oss(doubt) as (url, server):
        (sentence,) = faults(uploads(deployed(url, KEYS)))
        assert sentence.startswith(fault)
        assert server.objects == {}


def test_an_oss_that_stores_what_the_length_says_is_ok() -> None:
    with oss("length wins") as (url, _):
        assert LENGTH_HOLDS in [finding.sentence for finding in uploads(deployed(url, KEYS))]


@pytest.mark.parametrize("doubt", ["empty passes", "absent fails"])
def test_fields_that_a_policy_cannot_forbid_are_a_warning(doubt: str) -> None:
    with oss(doubt) as (url, _):
        findings = list(uploads(deployed(url, KEYS)))
    assert [finding.level for finding in findings] == ["ok", "ok", "warning"]
    assert "a policy cannot forbid fields that the form does not have" in findings[-1].sentence


def test_without_rights_to_upload_nothing_is_known() -> None:
    with oss("read only") as (url, _):
        findings = list(uploads(deployed(url, KEYS)))
    assert [(finding.level, finding.subject) for finding in findings] == [("unknown", "uploads")] * 2
    assert all("oss:PutObject" in finding.sentence for finding in findings)
    assert levels(uploads(deployed("http://127.0.0.1:9", None))) == [("unknown", "uploads")] * 2


def test_what_cannot_be_deleted_is_named() -> None:
    with oss("no delete") as (url, server):
        warnings = [finding.sentence for finding in uploads(deployed(url, KEYS)) if finding.level == "warning"]
        assert len(warnings) == len(server.objects) > 0
        for path in server.objects:
            assert f"oss:/{path} could not be deleted: delete it." in warnings


def test_conditions_are_tried_at_the_local_oss_with_real_signatures(stack: Stack) -> None:
    sentences = {f.sentence: f.level for f in uploads(deployed(stack.oss_url, stack.credentials))}
    assert sentences[LEFT_OUT_REFUSED] == sentences[FORBIDDEN] == "ok"
