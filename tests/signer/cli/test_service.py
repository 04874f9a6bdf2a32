"""The commands that ask a service: shares and revoke from the real one, ls from a stub of the JSON of folders."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request, Response
from werkzeug.utils import redirect

from signer.emulator.server import listen, serve
from tests.handler.client import NOW
from tests.handler.keys_fixtures import api
from tests.local_oss import FakeClock, LocalOss
from tests.memory_oss import MemoryOss, memory_oss
from tests.signer.cli.command import BARE, run
from tests.system import DAY, HOST, MAKER, OTHER, WRITER, System, secret_of, service, share_id

ADMIN = "fcp_admin_EXAMPLE_00000000000000000000000000000"
HOSTILE = "a\x1b[2J\u202efdp\nfake-id.txt"
TIME = "2026-03-01T06:41:11Z"
FILES = [
    {"name": f"{n}.txt", "path": f"/reports/{n}.txt", "size": n, "modified_at": TIME}
    for n in range(5)
]
FILES[1] |= {"name": HOSTILE, "path": None, "size": 1_500_000}
FOLDERS = [{"name": "2026", "path": "/reports/2026/"}, {"name": "季度", "path": "/reports/%E5/"}]
# The first has folders, and one is empty although more follow.
PAGES: list[tuple[list[Any], list[Any]]] = [
    (FOLDERS, FILES[:1]),
    ([], []),
    ([], FILES[1:3]),
    ([], FILES[3:]),
]


ODD: dict[str, object] = {
    "/empty/": {"folders": [], "files": [], "next": None},
    "/numbers/": {"folders": [1], "files": []},
    "/nameless/": {"folders": [{}], "files": []},
    "/large/": {"folders": [], "files": [{"name": "a", "size": 10**400}]},
    "/negative/": {"folders": [], "files": [{"name": "a", "size": -1}]},
    "/number/": {"folders": [], "files": [], "next": 7},
}
# What may stand in place of the service, whatever it is asked.
ANSWERS: list[tuple[int, str]] = [
    (204, ""),
    *(
        (200, body)
        for body in ("", "7", "[]", '"a"', "{}", "[" * 3000, '{"shares": 1}', '{"shares": [[]]}')
    ),
    *(
        (200, f'{{"shares": [{{"id": "a"}}], "next": {following}}}')
        for following in ('"again"', "7", "{}", "true")
    ),
    (
        200,
        '{"shares": [{"id": {}, "path": [], "state": 5, "expires_at": {"a": null}}], "expires_at": [], "next": 0}',
    ),
    *((201, f'{{"url": {url}, "id": "a", "expires_at": "b"}}') for url in ("7", '""', '["a"]')),
    *(
        (200, f'{{"links": [{link}]}}')
        for link in ("7", "{}", '{"error": {"code": "a"}}', '{"url": "a", "headers": 5}')
    ),
    *(
        (200, f'{{"links": [{{"url": "{url}", "headers": {{}}}}]}}')
        for url in ("file:///etc/passwd", "//[", "http://[/")
    ),
    (200, '{"links": [{"url": "http://127.0.0.1:1/", "headers": {"Ü": {}}}]}'),
    *(
        (404, body)
        for body in ("null", '{"code": 7}', '{"code": ["a"]}', '{"code": "\\ud800", "detail": {}}')
    ),
]


class Stub:
    """The service, with a stub for the folder /reports/ü/; /moved/ is a redirect, and all else HTML."""

    def __init__(self, world: System, oss: MemoryOss) -> None:
        self.world = world
        self.oss = oss
        self.keys = list[str | None]()
        self.sent = list[str]()
        self.url = ""
        self.odd: tuple[int, str] | None = None  # what it answers to everything, but
        self.even: dict[str, str] = {}  # to these paths, as it is

    def env(self, key: str = MAKER, **changes: str) -> dict[str, str]:
        return {**BARE, "FC_PRESIGN_URL": self.url, "FC_PRESIGN_KEY": key, **changes}

    def answer(self, request: Request) -> Response:
        path = request.environ["RAW_URI"].partition("?")[0]
        key = request.headers.get("Authorization")
        self.keys.append(key)
        assert request.headers["Accept"] == "application/json"
        if path in self.even:
            return Response(self.even[path], mimetype="application/json")
        if self.odd is not None:
            return Response(self.odd[1], self.odd[0])
        if path.startswith("/-/"):
            sent = {"Authorization": key} if key else {}
            self.sent.append(request.url)
            body = request.get_data(as_text=True)
            answered = self.world.request(
                path, request.method, request.args.to_dict(), sent, body=body
            )
            return Response(answered.body, answered.status, answered.headers)
        if path in ODD:
            return Response(json.dumps(ODD[path]), mimetype="application/json")
        if path == "/moved/":
            return redirect(f"{self.url}/-/shares")
        if path != "/reports/%C3%BC/":
            return Response("<h1>Bad Gateway</h1>", 502, mimetype="text/html")
        assert request.args["limit"] == "1000"
        number = int(request.args.get("after", "page-0").removeprefix("page-"))
        following = f"page-{number + 1}" if number + 1 < len(PAGES) else None
        folders, files = PAGES[number]
        page = {"path": "/reports/ü/", "folders": folders, "files": files, "next": following}
        return Response(json.dumps(page), mimetype="application/json")


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[Stub]:
    world = service(tmp_path)
    world.oss = LocalOss(clock=FakeClock(NOW))
    with memory_oss({}, world.oss.clock.now) as oss:
        stub = Stub(world, oss)
        oss.fill({"reports/q3.pdf": b"content"})
        server = serve(Request.application(stub.answer), listen(0))
        stub.url = server.url
        yield stub
        server.close()


def create(stub: Stub, seconds: int = 0, **params: Any) -> Any:
    return stub.world.request_share(now=NOW + seconds, **params).json["id"]


def test_shares_of_all_pages_are_lines_or_json(stub: Stub) -> None:
    created = [create(stub, second) for second in range(60)][::-1]
    done = run("shares", env=stub.env())
    assert done.returncode == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == [created[0], "active", "2026-03-08T06:42:10Z", "-", "/reports/q3.pdf"]
    assert [identifier for identifier, *_ in lines] == created
    assert done.stderr == ""
    assert len(stub.keys) == 2
    listed = json.loads(run("shares", "--json", env=stub.env()).stdout)["shares"]
    assert [share["id"] for share in listed] == created
    assert run("shares", env=stub.env(OTHER)).stdout == ""


def test_all_names_the_owners_and_requires_admin(stub: Stub) -> None:
    identifier = create(stub, max_uses=2)
    refused = run("shares", "--all", env=stub.env())
    assert (refused.returncode, refused.stdout) == (2, "")
    assert re.search(
        r"Use one that has the method ADMIN, .+ \(admin_required, request .+\)", refused.stderr
    )
    stub.world = stub.world.with_keys(
        api=[api("maker", MAKER), api("admin", ADMIN, methods=["ADMIN"])]
    )
    cells = run("shares", "--all", env=stub.env(ADMIN)).stdout.split()
    assert cells == [
        identifier,
        "active",
        "2026-03-08T06:41:11Z",
        "0",
        "/reports/q3.pdf",
        "api:maker",
    ]


def address(stub: Stub, **params: Any) -> Any:
    """The address of a new share, at the stub."""
    return stub.world.create_share(**params).replace(HOST, stub.url)


def test_revoke_takes_ids_and_addresses_and_says_which_failed(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    awkward = iter([f"{name}{'A' * 31}" for name in ("-h0123456789", "--json567890")])
    with monkeypatch.context() as patch:
        patch.setattr("handler.core.shares.record.secret_hash", lambda _: next(awkward))
        created = [create(stub) for _ in range(2)]
    shared = address(stub, title="Figures")
    secret, elsewhere = secret_of(shared), shared.replace(stub.url, "https://links.example.org")
    wrong = (
        elsewhere,
        shared.partition("://")[2],
        f"{stub.url}/reports/q3.pdf?share={secret}",
        "\udcff",
        secret,
    )
    done = run("revoke", created[0], "z0dbH3m320oM", shared, *wrong, created[1], env=stub.env())
    assert done.returncode == 2
    assert done.stdout == "".join(
        f"Revoked {each}.\n" for each in (created[0], share_id(shared), created[1])
    )
    unknown, *others = done.stderr.splitlines()
    assert unknown.startswith("Error: z0dbH3m320oM: Not found.")
    assert others[2].endswith("This is not the address of a share. Copy it completely.")
    assert [
        line.endswith(f"Expected an id, or an address of {stub.url}.") for line in others
    ].count(True) == 4
    assert others[-1].startswith("Error: REDACTED: ")
    assert len(stub.sent) == 4
    assert secret not in done.stdout + done.stderr + "".join(stub.sent)
    states = json.loads(run("shares", "--json", env=stub.env()).stdout)["shares"]
    assert [share["state"] for share in states] == ["revoked"] * 3
    again = run(
        "revoke", "--json", "--key", "-", created[0], stdin=f"{MAKER}\n", env=stub.env("fcp_wrong")
    )
    assert (again.returncode, json.loads(again.stdout)) == (0, {"revoked": [created[0]]})


def test_of_an_address_that_the_service_refuses_the_id_says_which_it_is(stub: Stub) -> None:
    addresses = [address(stub, password=True) for _ in range(2)]
    revoked = share_id(addresses[0])
    assert run("revoke", addresses[0], env=stub.env()).returncode == 0
    done = run("extend", *addresses, "--expires", "9d", env=stub.env())
    assert done.returncode == 2
    assert done.stderr.startswith(f"Error: {revoked}: This link was withdrawn")
    assert done.stderr.count("Error: ") == 1


def test_extend_says_the_new_end_and_which_failed(stub: Stub) -> None:
    shared = address(stub)
    done = run("extend", shared, "z0dbH3m320oM", "--expires", "30d", env=stub.env())
    assert (done.returncode, done.stdout) == (
        2,
        f"Extended {share_id(shared)} until 2026-03-31T06:41:11Z.\n",
    )
    assert done.stderr.startswith("Error: z0dbH3m320oM: Not found.")
    assert secret_of(shared) not in done.stdout + done.stderr + "".join(stub.sent)
    refused = run("extend", share_id(shared), "--expires", "1d", env=stub.env())
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "bad_expires" in refused.stderr
    output = run("extend", share_id(shared), "--expires", "40d", "--json", env=stub.env()).stdout
    assert [share["expires_at"] for share in json.loads(output)["shares"]] == [
        "2026-04-10T06:41:11Z"
    ]


def test_receive_names_the_folders_of_upload_pages_where_the_path_is_none(stub: Stub) -> None:
    writer = stub.env(WRITER)
    refused = run("receive", "--to", "/customers/", env=writer)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert re.fullmatch(
        r"Error: /customers/: Not found\. Check the address\. \(not_found, request \S+\) "
        r"Use --to with a folder below /both/ or /in/ or /team/\.\n",
        refused.stderr,
    )
    assert [each.partition("/-/")[2] for each in stub.sent] == ["shares", "me"]
    stub.sent.clear()
    assert run("receive", "--to", "/in/", env=writer).returncode == 0
    stub.world = stub.world.with_mount("/in/", max_share=None)
    refused = run("receive", "--to", "/in/", env=writer)
    assert "(not_shareable, request " in refused.stderr
    assert [each.partition("/-/")[2] for each in stub.sent] == ["shares", "shares"]
    refused = run("receive", "--to", "/customers/", env=stub.env(MAKER))
    assert refused.stderr.endswith(") Use another key.\n")


@pytest.mark.parametrize("command", ["revoke", "extend"])
def test_h_is_help_only_as_the_single_argument(stub: Stub, command: str) -> None:
    assert "Usage:" in run(command, "-h", env=stub.env()).stdout
    more = ("--expires", "1d") if command == "extend" else ()
    done = run(command, "-h", "z0dbH3m320oM", *more, env=stub.env())
    assert (done.returncode, done.stdout, stub.keys) == (2, "", [f"Bearer {MAKER}"])
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == ["-h", "z0dbH3m320oM"]


@pytest.mark.parametrize(
    "command",
    [
        "shares",
        "revoke z0dbH3m320oM",
        "extend z0dbH3m320oM --expires 1d",
        "receive",
        "share --path /a",
        "share {}",
    ],
)
def test_an_odd_answer_is_an_error_and_no_traceback(stub: Stub, command: str) -> None:
    for stub.odd in ANSWERS:
        done = run(*command.format(__file__).split(), env=stub.env())
        is_done = {204: "revoke", 201: "extend"}.get(stub.odd[0]) == command.split()[0]
        assert (done.returncode, done.stderr.startswith("Error: ")) == (
            (0, False) if is_done else (2, True)
        ), stub.odd
        assert len(stub.keys) <= 3
        stub.keys.clear()


def test_an_odd_answer_is_an_error_also_where_a_file_may_be_sent(stub: Stub) -> None:
    methods = ["PUT", "SHARE", "GET", "LIST"]
    place = {"path": "/send/", "methods": methods, "list": True, "max_share": 1, "max_size": 10**9}
    stub.even = {"/-/me": json.dumps({"methods": methods, "mounts": [place]})}
    for stub.odd in ANSWERS:
        for more in ((), ("--into", "--to", "/send/a/")):
            done = run("share", __file__, *more, env=stub.env())
            assert (done.returncode, done.stdout) == (2, ""), stub.odd
            assert "Error: " in done.stderr


@pytest.mark.parametrize(
    "place",
    [
        {"path": 7},
        {"methods": 7},
        {"max_size": "large"},
        {"max_size": [1]},
        {"max_size": 1e400},
        {"path": "/send"},
    ],
    ids=str,
)
def test_an_odd_place_is_an_error(stub: Stub, place: dict[str, object]) -> None:
    usual = {"path": "/send/", "methods": ["PUT", "GET"], "list": True, "max_share": 1}
    document = {"methods": ["PUT", "SHARE"], "mounts": [{**usual, "max_size": 9, **place}]}
    stub.even = {"/-/me": json.dumps(document)}
    stub.odd = (500, "")
    done = run("share", __file__, env=stub.env())
    assert (done.returncode, done.stdout, len(stub.keys)) == (2, "", 1)
    assert done.stderr.startswith("Error: ")


def test_the_commands_of_the_skill_have_the_options_that_it_names() -> None:
    skill = (Path(__file__).parents[3] / "skills/fc-presign-share/SKILL.md").read_text("utf-8")
    commands = [
        shlex.split(line)
        for line in re.findall(r"fc-presign ((?:share|receive|extend|revoke) [^`\n]+)", skill)
    ]
    assert {command for command, *_ in commands} == {"share", "receive", "extend", "revoke"}
    for command in commands:
        assert "Set FC_PRESIGN_URL" in run(*command, env=BARE).stderr


def test_ls_prints_folders_and_files_of_all_pages(stub: Stub) -> None:
    done = run("ls", "/reports/ü", env=stub.env())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "        -  -                     2026/",
        "        -  -                     季度/",
        f"      0 B  {TIME}  0.txt",
        f"   1.4 MB  {TIME}  a\\u001b[2J\\u202efdp\\u000afake-id.txt",
        *(f"      {n} B  {TIME}  {n}.txt" for n in (2, 3, 4)),
    ]
    output = run("ls", "/reports/ü/", "--json", env=stub.env()).stdout
    assert json.loads(output) == {"path": "/reports/ü/", "folders": FOLDERS, "files": FILES}
    assert "\x1b" not in output
    empty = run("ls", "/empty/", env=stub.env())
    assert (empty.returncode, empty.stdout, empty.stderr) == (0, "", "Nothing is in /empty/.\n")


def test_the_key_comes_from_the_environment_or_standard_input_and_goes_to_the_service_alone(
    stub: Stub, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    for key, *arguments in ((MAKER,), ("fcp_wrong", "--key", "-"), ("",)):
        stub.keys.clear()
        done = run(
            "ls", "/reports/ü/", *arguments, stdin=f" {MAKER}\n", env=stub.env(key, HOME=str(home))
        )
        assert done.returncode == 0, done.stderr
        # A folder for everybody needs none.
        assert {*stub.keys} == {f"Bearer {MAKER}" if key else None}
        assert MAKER not in done.stdout + done.stderr
    assert [path.name for path in home.rglob("*")] == [".netrc"]
    refused = run("shares", env=stub.env("")).stderr
    assert refused.startswith("Error: An API key or token is required.")
    assert "Set FC_PRESIGN_KEY, or pass --key -." in refused


@pytest.mark.parametrize(
    ("arguments", "changes", "message"),
    [
        (("shares",), {"FC_PRESIGN_URL": ""}, "Set FC_PRESIGN_URL"),
        (("shares",), {"FC_PRESIGN_URL": "http://links.example.com"}, "must begin with https://"),
        (
            ("shares",),
            {"FC_PRESIGN_URL": "https://links.example.com/a"},
            "Invalid FC_PRESIGN_URL 'https://links.example.com/a': expected only scheme and host, "
            "such as https://links.example.com.",
        ),
        (("shares",), {"FC_PRESIGN_URL": "127.0.0.1:9470"}, "FC_PRESIGN_URL '127.0.0.1:9470'"),
        (
            ("receive", "--password", "geheim"),
            {},
            "--password takes no value: the service makes the code. ",
        ),
        (
            ("shares",),
            {"FC_PRESIGN_URL": "http://127.0.0.1:9"},
            "Cannot reach http://127.0.0.1:9: Connection refused.",
        ),
        (("shares",), {"FC_PRESIGN_KEY": "fcp_a\nX-Evil: 1"}, "Invalid API key or token"),
        (("shares", "--key", "fcp_key_EXAMPLE"), {}, "'-'"),
        (("revoke",), {}, "Name ids or addresses"),
        (("ls", "reports/"), {}, "begins with /"),
        (("ls", "/-/shares/"), {}, "begins with /"),
        (("ls", "/reports/../"), {}, "must not have a segment . or .."),
        (("ls", "/numbers/"), {}, "did not answer as fc-presign does."),
        *(
            (("ls", f"/{path}/"), {}, "did not answer as fc-presign does.")
            for path in ("nameless", "large", "negative")
        ),
        (("ls", "/number/"), {}, "The list of"),
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
    assert len(stub.keys) <= 1


def test_revoke_of_an_owner_says_how_many_end_and_goes_on_where_it_stopped(stub: Stub) -> None:
    created = [create(stub, second) for second in range(3)]
    stub.world = stub.world.with_keys(
        api=[api("maker", MAKER), api("admin", ADMIN, methods=["ADMIN", "SHARE", "GET"])]
    )
    arguments = ("revoke", "--owner", "api:maker")
    asked = run(*arguments, env=stub.env(ADMIN))
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "api:maker has 3 shares that can be revoked." in asked.stderr
    assert "To revoke without a question: --yes" in asked.stderr
    assert run("revoke", created[0], env=stub.env(ADMIN)).returncode == 0
    done = run(*arguments, "--yes", env=stub.env(ADMIN))
    assert done.returncode == 0
    assert sorted(done.stdout.split()) == sorted(
        word for each in created[1:] for word in ("Revoked", f"{each}.")
    )
    again = run(*arguments, "--yes", env=stub.env(ADMIN))
    assert (again.returncode, again.stdout) == (0, "")
    assert "api:maker has 0 shares" in again.stderr


def test_revoke_of_an_owner_without_shares_fails_since_the_name_may_be_mistyped(stub: Stub) -> None:
    create(stub)
    stub.world = stub.world.with_keys(
        api=[api("maker", MAKER), api("admin", ADMIN, methods=["ADMIN", "SHARE"])]
    )
    done = run("revoke", "--owner", "api:makr", "--yes", env=stub.env(ADMIN))
    assert (done.returncode, done.stdout) == (2, "")
    sentence = "Nobody of the name api:makr has shares. fc-presign shares --all shows every owner."
    assert sentence in done.stderr


def test_revoke_of_an_owner_requires_admin_and_no_id_beside_it(stub: Stub) -> None:
    refused = run("revoke", "--owner", "api:maker", "--yes", env=stub.env())
    assert (refused.returncode, "admin_required" in refused.stderr) == (2, True)
    for arguments in (["revoke"], ["revoke", "z0dbH3m320oM", "--owner", "api:maker"]):
        refused = run(*arguments, env=stub.env())
        assert refused.returncode == 2
        assert "Name ids or addresses, or an --owner." in refused.stderr


def test_extend_raises_the_downloads_and_says_how_many_are_left(stub: Stub) -> None:
    shared = address(stub, max_uses=3)
    identifier = share_id(shared)
    for _ in range(3):
        assert stub.world.use(shared).status == 303
    refused = run("extend", identifier, "--expires", "30d", env=stub.env())
    assert (refused.returncode, "share_used_up" in refused.stderr) == (2, True)
    assert 'was used: raise "max_uses" in the same request.' in refused.stderr
    raised = run("extend", shared, "--max-uses", "5", env=stub.env())
    end = "2026-03-08T06:41:11Z"
    assert (raised.returncode, raised.stdout) == (
        0,
        f"Extended {identifier} until {end}: 5 downloads in all, 2 left.\n",
    )
    both = run("extend", identifier, "--max-uses", "6", "--expires", "365d", env=stub.env())
    assert both.stdout == (
        f"Extended {identifier} until 2026-05-30T06:41:11Z (the latest that the mount allows): "
        "6 downloads in all, 3 left.\n"
    )
    again = run("extend", identifier, "--max-uses", "6", env=stub.env())
    assert (again.returncode, again.stdout) == (2, "")
    assert "more than 6, and at most 20" in again.stderr


def test_revoke_of_an_owner_ends_with_2_where_one_share_was_not_revoked(stub: Stub) -> None:
    create(stub)
    stub.world = stub.world.with_keys(
        api=[api("maker", MAKER), api("admin", ADMIN, methods=["ADMIN"])]
    )
    done = run("revoke", "--owner", "api:maker", "--yes", env=stub.env(ADMIN))
    assert (done.returncode, done.stdout) == (2, "")
    assert "Not found" in done.stderr


def test_an_end_that_was_shortened_is_said(stub: Stub) -> None:
    created = run("share", "--path", "/reports/q3.pdf", "--expires", "365d", env=stub.env())
    assert created.returncode == 0
    assert "until 2026-05-30T06:41:11Z (the latest that the mount allows)." in created.stderr
    (identifier,) = re.findall(r"^(\S{12}):", created.stderr)
    extended = run("extend", identifier, "--expires", "365d", env=stub.env())
    assert extended.returncode == 2  # no later end is possible
    short = run("share", "--path", "/reports/q3.pdf", "--expires", "1d", env=stub.env())
    assert "latest" not in short.stderr
    (identifier,) = re.findall(r"^(\S{12}):", short.stderr)
    extended = run("extend", identifier, "--expires", "365d", env=stub.env())
    assert "until 2026-05-30T06:41:11Z (the latest that the mount allows)." in extended.stdout


def test_what_is_deleted_before_the_share_ends_is_said(stub: Stub) -> None:
    stub.world = stub.world.with_mount("/reports/", delete_after=30 * DAY)
    said = "OSS deletes files of it before, from 2026-04-01T00:00:00Z on."
    path = ("share", "--path", "/reports/q3.pdf")
    created = run(*path, "--expires", "40d", env=stub.env())
    assert f"until 2026-04-10T06:41:11Z. {said}\n" in created.stderr
    short = run(*path, "--expires", "7d", env=stub.env())
    assert "deletes" not in short.stderr
    (identifier,) = re.findall(r"^(\S{12}):", short.stderr)
    extended = run("extend", identifier, "--expires", "40d", env=stub.env())
    assert extended.stdout.endswith(f"until 2026-04-10T06:41:11Z. {said}\n")
    as_json = run(*path, "--expires", "40d", "--json", env=stub.env())
    assert json.loads(as_json.stdout)["shares"][0]["deleted_at"] == "2026-04-01T00:00:00Z"
