"""The commands that ask a service: shares and revoke from the real one, ls from a stub of the JSON of folders."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from tests.handler.client import NOW
from tests.memory_oss import memory_oss
from tests.signer.cli.command import BARE, run, run_process
from tests.worlds import MAKER, OTHER, Service, service

HOSTILE = "a\x1b[2J\u202efdp\nfake-id.txt"
FILES = [
    {"name": f"{n}.txt", "path": f"/reports/{n}.txt", "size": n, "modified_at": "2026-03-01T06:41:11Z"}
    for n in range(5)
]
FILES[1] |= {"name": HOSTILE, "path": None, "size": 1_500_000}
FOLDERS = [{"name": "2026", "path": "/reports/2026/"}, {"name": "季度", "path": "/reports/%E5/"}]


class Stub(ThreadingHTTPServer):
    """Answers /-/ as the service does, /reports/ as a folder, /moved/ with a redirect and all else with HTML."""

    def __init__(self, world: Service) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.world, self.requests = world, list[tuple[str, str, str | None]]()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def env(self, key: str = MAKER, **changes: str) -> dict[str, str]:
        return {**BARE, "FC_PRESIGN_URL": self.url, "FC_PRESIGN_KEY": key, **changes}


class Answer(BaseHTTPRequestHandler):
    server: Stub

    def do_GET(self) -> None:
        parts, key = urlsplit(self.path), self.headers["Authorization"]
        query = dict(parse_qsl(parts.query))
        self.server.requests.append((self.command, self.path, key))
        status, headers, body = 502, {"Content-Type": "text/html"}, "<h1>Bad Gateway</h1>"
        if parts.path.startswith("/-/"):
            sent = {"Authorization": key} if key else {}
            answered = self.server.world.request(
                parts.path, self.command, query, {**sent, "Accept": self.headers["Accept"]}
            )
            status, headers, body = answered.status, answered.headers, answered.body
        elif unquote(parts.path) == "/reports/ü/":
            status, headers, body = 200, {"Content-Type": "application/json"}, json.dumps(self.folder(query))
        elif parts.path == "/moved/":
            status, headers, body = 302, {"Location": f"{self.server.url}/-/shares"}, ""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body.encode()))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    do_DELETE = do_GET

    def folder(self, query: dict[str, str]) -> dict[str, Any]:
        """Folders on the first page, then two files on each; one page is empty although more follow."""
        assert query["limit"] == "1000"
        assert self.headers["Accept"] == "application/json"
        number = int(query.get("after", "page-0").removeprefix("page-"))
        pages: list[tuple[list[Any], list[Any]]] = [(FOLDERS, FILES[:1]), ([], []), ([], FILES[1:3]), ([], FILES[3:])]
        folders, files = pages[number]
        following = f"page-{number + 1}" if number + 1 < len(pages) else None
        return {"path": "/reports/", "folders": folders, "files": files, "next": following}

    def log_message(self, *_: object) -> None:
        """Prints nothing."""


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[Stub]:
    with memory_oss({}, now=lambda: NOW):
        server = Stub(service(tmp_path))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def create(stub: Stub, seconds: int = 0, **params: Any) -> str:
    response = stub.world.request_share(revocable=True, now=NOW + seconds, **params)
    identifier = response.json["id"]
    assert isinstance(identifier, str)
    return identifier


def test_shares_of_all_pages_are_lines_or_json(stub: Stub) -> None:
    created = [create(stub, second) for second in range(60)][::-1]
    done = run("shares", env=stub.env())
    assert done.returncode == 0
    assert next(line.split() for line in done.stdout.splitlines()) == [
        *(created[0], "active", "2026-03-08T06:42:10Z", "-", "/reports/q3.pdf")
    ]
    assert [line.split()[0] for line in done.stdout.splitlines()] == created
    assert done.stderr.startswith("Plain shares have no record and are not listed")
    assert len(stub.requests) == 2
    listed = json.loads(run("shares", "--json", env=stub.env()).stdout)["shares"]
    assert [share["id"] for share in listed] == created
    assert run("shares", env=stub.env(OTHER)).stdout == ""


def test_all_names_the_owners_and_requires_admin(stub: Stub) -> None:
    identifier = create(stub, max_uses=2)
    refused = run("shares", "--all", env=stub.env())
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Use one that has the method ADMIN" in refused.stderr
    assert "(admin_required, request " in refused.stderr
    document = json.loads(next(iter(stub.world.folder.glob("keys-*"))).read_text())
    for entry in document["api"]:
        entry["methods"].append("ADMIN")
    stub.world = stub.world.with_keys(api=document["api"])
    assert run("shares", "--all", env=stub.env()).stdout.split() == [
        *(identifier, "active", "2026-03-08T06:41:11Z", "0", "/reports/q3.pdf", "api:maker")
    ]


def test_revoke_takes_every_id_and_says_which_failed(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    awkward = iter(["-h0123456789", "--json567890"])
    monkeypatch.setattr("handler.shares.records.token_urlsafe", lambda _: next(awkward))
    created = [create(stub) for _ in range(2)]
    done = run("revoke", created[0], "plain.new", "a/b", created[1], env=stub.env())
    assert done.returncode == 2
    assert done.stdout == f"Revoked {created[0]}.\nRevoked {created[1]}.\n"
    plain, unknown = done.stderr.splitlines()
    assert plain.startswith("Error: plain.new: A plain share has no record of its own.")
    assert unknown.startswith("Error: a/b: Not found.")
    states = json.loads(run("shares", "--json", env=stub.env()).stdout)["shares"]
    assert [share["state"] for share in states] == ["revoked"] * 2
    again = run("revoke", "--json", "--key", "-", created[0], stdin=f"{MAKER}\n", env=stub.env("fcp_wrong"))
    assert (again.returncode, json.loads(again.stdout)) == (0, {"revoked": [created[0]]})


def test_ls_prints_folders_and_files_of_all_pages(stub: Stub) -> None:
    done = run("ls", "/reports/ü", env=stub.env())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "        -  -                     2026/",
        "        -  -                     季度/",
        "      0 B  2026-03-01T06:41:11Z  0.txt",
        "   1.4 MB  2026-03-01T06:41:11Z  a\\u001b[2J\\u202efdp\\u000afake-id.txt",
        *(f"      {n} B  2026-03-01T06:41:11Z  {n}.txt" for n in (2, 3, 4)),
    ]
    output = run("ls", "/reports/ü/", "--json", env=stub.env()).stdout
    assert json.loads(output) == {"path": "/reports/ü/", "folders": FOLDERS, "files": FILES}
    assert "\x1b" not in output


def test_the_key_comes_from_the_environment_or_standard_input_and_goes_to_the_service_alone(
    stub: Stub, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    before = sorted(home.rglob("*"))
    env = stub.env(HOME=str(home))
    for arguments, stdin in (((), ""), (("--key", "-"), f" {MAKER}\n")):
        stub.requests.clear()
        done = run_process(
            "ls", "/reports/ü/", *arguments, stdin=stdin, env=env if not arguments else {**env, "FC_PRESIGN_KEY": "x"}
        )
        assert done.returncode == 0, done.stderr
        assert {key for _, _, key in stub.requests} == {f"Bearer {MAKER}"}
        assert MAKER not in done.stdout + done.stderr
    assert sorted(home.rglob("*")) == before
    # A folder for everybody needs none.
    stub.requests.clear()
    assert run("ls", "/reports/ü/", env=stub.env("", HOME=str(home))).returncode == 0
    assert {key for _, _, key in stub.requests} == {None}
    assert run("shares", env=stub.env("")).stderr.startswith("Error: An API key or token is required.")
    assert "Set FC_PRESIGN_KEY, or pass --key -." in run("shares", env=stub.env("")).stderr


@pytest.mark.parametrize(
    ("arguments", "changes", "message"),
    [
        (("shares",), {"FC_PRESIGN_URL": ""}, "Set FC_PRESIGN_URL"),
        (("shares",), {"FC_PRESIGN_URL": "http://links.example.com"}, "must begin with https://"),
        (("shares",), {"FC_PRESIGN_URL": "https://links.example.com/a"}, "expected only scheme and host"),
        (("shares",), {"FC_PRESIGN_URL": "http://127.0.0.1:9"}, "Cannot reach http://127.0.0.1:9: Connection refused."),
        (("shares",), {"FC_PRESIGN_KEY": "fcp_a\nX-Evil: 1"}, "Invalid API key or token"),
        (("shares", "--key", "fcp_key_EXAMPLE"), {}, "'-'"),
        (("revoke",), {}, "Missing argument"),
        (("ls", "reports/"), {}, "begins with /"),
        (("ls", "/-/shares/"), {}, "begins with /"),
        (("ls", "/moved/"), {}, "did not answer as fc-presign does (status 302)"),
        (("ls", "/other/"), {}, "did not answer as fc-presign does (status 502)"),
    ],
)
def test_a_failure_is_status_2_and_says_what_to_do(
    stub: Stub, arguments: tuple[str, ...], changes: dict[str, str], message: str
) -> None:
    done = run(*arguments, env=stub.env(**changes))
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "X-Evil" not in done.stderr
    assert len(stub.requests) <= 1
