"""What `share` refuses before anything is sent, and what it leaves out: a real service, whose OSS is in memory."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from werkzeug import Request, Response

from handler.core import words
from signer.cli.sending.files import select_files
from signer.emulator.server import listen, serve
from tests.handler.client import NOW
from tests.handler.keys_fixtures import api
from tests.memory_oss import MemoryOss, memory_oss
from tests.signer.cli.command import BARE, run
from tests.system import MAKER, System, service

ALL = ["PUT", "SHARE", "GET", "LIST"]
HEADERS = ("Authorization", "Accept")
Run = Callable[..., "CompletedProcess[str]"]


class Sender:
    """A service at an address, with one key, for the mount /team/, which lists. Files go nowhere."""

    def __init__(self, world: System) -> None:
        self.world = world.with_mount("/team/", lists=True)
        self.asked: list[str] = []
        self.url = ""
        self.allow(ALL)

    def allow(self, methods: list[str], *paths: str) -> None:
        entry = api("maker", MAKER, paths=list(paths or ("/team/",)), methods=methods)
        self.world = self.world.with_keys(api=[entry])

    def answer(self, request: Request) -> Response:
        path = request.environ["RAW_URI"].partition("?")[0]
        self.asked.append(f"{request.method} {path}")
        answered = self.world.request(
            path,
            request.method,
            request.args.to_dict(),
            {name: request.headers[name] for name in HEADERS if name in request.headers},
            body=request.get_data(as_text=True),
        )
        return Response(answered.body, answered.status, answered.headers)


@pytest.fixture
def oss() -> Iterator[MemoryOss]:
    with memory_oss({}, now=lambda: NOW) as oss:
        yield oss


@pytest.fixture
def sender(oss: MemoryOss, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sender]:
    """The current folder has files, and nothing else."""
    sender = Sender(service(tmp_path))
    server = serve(Request.application(sender.answer), listen(0))
    sender.url = server.url
    files = tmp_path / "files"
    files.mkdir()
    monkeypatch.chdir(files)
    yield sender
    server.close()


@pytest.fixture
def share(sender: Sender) -> Run:
    def execute(*arguments: str) -> CompletedProcess[str]:
        env = {**BARE, "FC_PRESIGN_URL": sender.url, "FC_PRESIGN_KEY": MAKER}
        return run("share", "--to", "/team/", *arguments, env=env)

    return execute


def write(*names: str, content: bytes = b"content") -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)


def refusal(sender: Sender, done: CompletedProcess[str]) -> str:
    """Why nothing was sent, without the usage before it."""
    assert (done.returncode, done.stdout) == (2, "")
    assert not {"POST /-/sign", "POST /-/shares"} & {*sender.asked}
    return done.stderr.partition("Error: ")[2].strip()


@pytest.mark.parametrize("missing", ALL)
def test_a_key_without_one_of_the_methods_is_refused_with_what_it_lacks(
    sender: Sender, share: Run, missing: str
) -> None:
    write("a.pdf", "b.pdf")
    sender.allow([method for method in ALL if method != missing])
    sentence = refusal(sender, share("a.pdf", "b.pdf"))
    assert sentence.startswith(
        f"/team/: This key or the mount does not allow {missing} there; several"
    )
    if missing in ("GET", "LIST"):
        assert sentence.endswith("Use --each, so that each file has an address of its own.")
    else:
        assert sentence.endswith("GET, LIST, PUT, SHARE. Use another key.")


@pytest.mark.parametrize(
    ("option", "maximum"), [(f"--{name}", rule.max_length) for name, rule in words.RULES.items()]
)
def test_words_that_no_page_says_are_refused_before_anything_is_sent(
    sender: Sender, share: Run, option: str, maximum: int
) -> None:
    write("a.pdf", "b.pdf")
    for value in ("", " ", "x" * (maximum + 1)):
        done = share("a.pdf", "b.pdf", option, value)
        assert refusal(sender, done).endswith(
            f"expected 1 to {maximum} characters, not only spaces."
        )
    assert sender.asked == []
    share("a.pdf", "b.pdf", option, "x" * maximum)
    assert sender.asked != []


def test_several_methods_that_a_key_lacks_are_one_list(sender: Sender, share: Run) -> None:
    write("a.pdf", "b.pdf")
    for methods, missing in ((["SHARE"], "GET, LIST and PUT"), (["SHARE", "PUT"], "GET and LIST")):
        sender.allow(methods)
        assert f"does not allow {missing} there; " in refusal(sender, share("a.pdf", "b.pdf"))


@pytest.mark.parametrize("missing", ["PUT", "SHARE"])
def test_one_file_that_could_not_be_shared_is_not_sent(
    sender: Sender, share: Run, missing: str
) -> None:
    write("a.pdf")
    sender.allow([method for method in ALL if method != missing])
    for more in ((), ("--each",)):
        assert f"does not allow {missing} there; a file" in refusal(sender, share("a.pdf", *more))


def test_a_mount_that_does_not_list_takes_files_with_an_address_each(
    sender: Sender, share: Run
) -> None:
    write("a.pdf", "b.pdf")
    sender.world = sender.world.with_mount("/team/", lists=False)
    sentence = refusal(sender, share("a.pdf", "b.pdf"))
    assert "This key or the mount does not allow LIST there; " in sentence
    assert "Use --each" in sentence


def test_a_folder_where_nothing_can_be_sent_is_refused_with_those_where_it_can(
    sender: Sender, share: Run
) -> None:
    write("a.pdf")
    sender.allow(ALL, "/team/ann/", "/reports/", "/in/")
    for to in ("/team/", "/reports/", "/in/", "/customers/", "send"):
        sentence = refusal(sender, share("a.pdf", "--to", to))
        assert sentence.endswith("requires PUT, SHARE. Use --to with a folder below /team/ann/.")
    assert "exceeds" not in refusal(sender, share("a.pdf", "--to", "/team"))


@pytest.mark.parametrize("command", [("ls",), ("share", "--path")])
@pytest.mark.parametrize(
    ("methods", "instead"),
    [(ALL, "a folder below /team/ann/ or /team/bob/"), (["PUT"], "another key")],
)
def test_where_a_folder_is_not_found_those_that_are_there_are_named(
    sender: Sender, command: tuple[str, ...], methods: list[str], instead: str
) -> None:
    sender.allow(methods, "/team/ann/", "/reports/", "/team/bob/")
    env = {**BARE, "FC_PRESIGN_URL": sender.url, "FC_PRESIGN_KEY": MAKER}
    done = run(*command, "/customers/", env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: /customers/: Not found. Check the address. (not_found, ")
    assert done.stderr.endswith(f") Use {instead}.\n")


def test_without_a_key_a_folder_that_is_not_found_is_no_question_about_keys(sender: Sender) -> None:
    done = run("ls", "/customers/", env={**BARE, "FC_PRESIGN_URL": sender.url})
    assert done.stderr.startswith("Error: Not found. Check the address. (not_found, ")
    assert sender.asked == ["GET /customers/"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("a.pdf b.pdf --max-uses 3", "--max-uses counts the downloads of one file: add --each."),
        ("folder --max-uses 3", "--max-uses counts the downloads of one file: add --each."),
        (
            "a.pdf --into --max-uses 3",
            "--into shares all files at one address: leave out --each and --max-uses.",
        ),
        ("a.pdf --path /team/b.pdf", "Name files to send, or with --path what to share, not both."),
        ("a.pdf b.pdf --into --each", "--into shares all files at one address: leave out --each"),
        ("a.pdf folder/a.pdf", "folder/a.pdf: Another file has the same name. Rename one, or"),
        ("a.pdf a.pdf", "a.pdf: Another file has the same name. Rename one, or use --each."),
        ("a.pdf absent.pdf", "absent.pdf: No such file or directory."),
        ("a.pdf --password geheim", "--password takes no value: the service makes the code. "),
        ("--each --password geheim a.pdf", "--password takes no value: the service makes the code"),
        ("a.pdf pipe", "pipe: This is neither a file nor a folder, and cannot be sent."),
        ("a.pdf large.pdf", "large.pdf: It has 11 MB, and one upload at most 10 MB. "),
        ("a.pdf b.pdf --into", "--into shares all of a folder, and /team/ has what everybody"),
        ("empty", "There is no file to send."),
        ("empty --each", "There is no file to send."),
    ],
)
def test_what_cannot_be_one_share_is_refused_before_anything_is_sent(
    sender: Sender, share: Run, arguments: str, sentence: str
) -> None:
    write("a.pdf", "b.pdf", "folder/a.pdf")
    os.mkdir("empty")
    os.mkfifo("pipe")
    os.truncate(os.open("large.pdf", os.O_CREAT | os.O_WRONLY), 11 * 1024**2)
    assert refusal(sender, share(*arguments.split())).startswith(sentence)


@pytest.mark.parametrize(
    "name",
    [b"bell\x07.txt", b"c1\xc2\x85.txt", b"\xff.txt", b"/".join([b"x" * 201] * 5)],
    ids=["control", "C1", "not UTF-8", "1029 bytes"],
)
def test_a_name_that_no_link_can_have_is_refused(sender: Sender, share: Run, name: bytes) -> None:
    write(os.fsdecode(b"folder/" + name))
    assert "No link can have this name. With its folders " in refusal(sender, share("folder"))


def test_the_longest_name_is_one(sender: Sender, share: Run) -> None:
    above = len("team/12345678/folder/")
    for size, is_possible in ((1023, True), (1024, False)):
        name = "/".join(["x" * 200] * 4 + ["x" * (size - above - 4 * 201)])
        write(f"folder/{name}")
        refused = "No link can have this name" in share("folder").stderr
        assert refused != is_possible
        os.unlink(f"folder/{name}")


@pytest.mark.parametrize("to", ["/team//a/", "/team/../team/a/", "/team/./"])
def test_a_folder_whose_path_clients_rewrite_is_refused(
    sender: Sender, share: Run, to: str
) -> None:
    write("a.pdf", "b.pdf")
    assert "No link can have this name" in refusal(sender, share("a.pdf", "b.pdf", "--to", to))


@pytest.mark.parametrize("name", ["..", ".", "", "bell\x07"])
def test_a_folder_there_whose_name_no_link_can_have_is_not_looked_into(
    sender: Sender, share: Run, oss: MemoryOss, name: str
) -> None:
    write("a.pdf")
    oss.fill({f"team/x/{name}/b.pdf": b"content", "team/c.pdf": b"content"})
    sentence = refusal(sender, share("a.pdf", "--to", "/team/x/", "--into"))
    shown = name.replace("\x07", "\\u0007")
    assert sentence.startswith(f"/team/x/{shown}/: No link can have this name. Rename it in OSS")
    assert sender.asked == ["GET /-/me", "GET /team/x/"]


def test_more_than_a_thousand_files_are_refused(sender: Sender, share: Run, oss: MemoryOss) -> None:
    write(*(f"folder/{number}" for number in range(1001)), content=b"")
    for more in ((), ("--each",)):
        assert refusal(sender, share("folder", *more)).startswith("These are more than 1000 files")
    os.unlink("folder/7")
    assert len(select_files(["folder"], hidden=False)[0]) == 1000
    oss.fill({"team/AbCd1234/more": b""})
    sentence = refusal(sender, share("folder", "--into", "--to", "/team/AbCd1234/"))
    assert sentence.startswith("/team/AbCd1234/ would have more than 1000 files")
    oss.fill({f"team/AbCd1234/folder/{number}": b"" for number in range(1001, 2002)})
    sentence = refusal(sender, share("folder", "--into", "--to", "/team/AbCd1234/"))
    assert sentence.startswith("/team/AbCd1234/ has more than 1000 files")


def test_a_file_that_is_there_with_another_size_is_refused(
    sender: Sender, share: Run, oss: MemoryOss
) -> None:
    write("a.pdf", "folder/b.pdf")
    oss.fill({"team/AbCd1234/a.pdf": b"content", "team/AbCd1234/folder/b.pdf": b"other"})
    sentence = refusal(sender, share("a.pdf", "folder", "--into", "--to", "/team/AbCd1234"))
    assert sentence.startswith("folder/b.pdf: /team/AbCd1234/folder/b.pdf has another size")


def test_into_requires_a_folder_that_the_sender_may_list(sender: Sender, share: Run) -> None:
    write("a.pdf")
    for methods in (["PUT", "SHARE"], ["PUT", "SHARE", "GET"]):
        sender.allow(methods)
        assert "does not allow" in refusal(sender, share("a.pdf", "--into", "--to", "/team/a/"))


# --- which files ----------------------------------------------------------------------------------------------------


def test_what_is_left_out_is_counted_and_named(sender: Sender, share: Run) -> None:
    write("photos/a.jpg", "photos/.env", "photos/.git/config", "photos/deep/.hidden/x", "target")
    os.makedirs("photos/old/older")
    os.symlink("../target", "photos/link")
    os.symlink("..", "photos/deep/up")
    os.mkfifo("photos/pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("photos/socket")
        files, left_out = select_files(["photos"], hidden=False)
        done = share("photos")
    assert [name for _, name in files] == ["photos/a.jpg"]
    assert left_out == {
        "hidden (--hidden sends them)": ["photos/.env", "photos/.git", "photos/deep/.hidden"],
        "symbolic links": ["photos/link", "photos/deep/up"],
        "pipes, sockets and devices": ["photos/pipe", "photos/socket"],
        "empty folders": ["photos/old/older"],
    }
    assert {
        "Left out, symbolic links: 2 (photos/link, photos/deep/up)",
        "Left out, empty folders: 1 (photos/old/older)",
    } <= {*done.stderr.splitlines()}


def test_of_many_that_are_left_out_ten_are_named(sender: Sender, share: Run) -> None:
    write("folder/a", *(f"folder/.{number}" for number in range(13)))
    sender.allow(["LIST"])
    note = share("folder").stderr.splitlines()[0]
    assert note.startswith("Left out, hidden (--hidden sends them): 13 (folder/.0,")
    assert note.count("folder/.") == 10
    assert note.endswith(", …)")


def test_hidden_files_are_sent_where_they_are_wanted_or_named(sender: Sender) -> None:
    write("folder/.env", "folder/.git/config", ".profile")
    inside = ["folder/.env", "folder/.git/config"]
    for hidden, names in ((False, [".profile"]), (True, [".profile", *inside])):
        files, _ = select_files([".profile", "folder"], hidden=hidden)
        assert [name for _, name in files] == names


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("a/photos", "photos/x/1.jpg"),
        ("a/photos/", "photos/x/1.jpg"),
        ("./a/../a/photos/.", "photos/x/1.jpg"),
        ("a", "a/photos/x/1.jpg"),
        (".", "files/a/photos/x/1.jpg"),
        ("a/photos/x/..", "photos/x/1.jpg"),
    ],
)
def test_a_folder_keeps_its_names_below_its_own(sender: Sender, folder: str, name: str) -> None:
    write("a/photos/x/1.jpg")
    ((file,), _) = select_files([folder], hidden=False)
    assert file.name == name
    assert Path(file.path).read_bytes() == b"content"


def test_a_folder_that_cannot_be_read_is_named(
    sender: Sender, share: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("folder/closed/a")
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert refusal(sender, share("folder")) == "folder/closed: Permission denied."
