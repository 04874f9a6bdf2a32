"""The commands share and receive, with the shipped links.toml and an OSS that verifies; lines break, files change."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from unittest.mock import patch

import pytest
import requests

from local import samples
from signer.cli.network import Answer, send
from signer.cli.sending import transfer
from signer.cli.service import Service
from tests.e2e.system import TIMEOUT, System, leaks
from tests.fault_proxy import fault_proxy
from tests.handler.upload_fixtures import submit_form
from tests.signer.cli.command import BARE, run, run_process

LARGE = bytes(range(256)) * 40_000  # more than the buffers of a connection hold
ADDRESS = r"http://127\.0\.0\.1:\d+/-/s/\S*\?share=[\w-]{22}"
REFUSAL = b"<Error><Code>AccessDenied</Code><Message>Not you.</Message></Error>"
REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%b" % (len(REFUSAL), REFUSAL)

Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture(scope="module")
def key(system: System) -> str:
    """The key that `make run` makes, once the service knows it."""
    key = samples.api_key(system.stack)
    system.stack.reload()
    return key


@pytest.fixture
def command(system: System, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command with a key, in a folder of its own; the proxy of its environment does not answer."""
    monkeypatch.chdir(tmp_path)
    env = {
        **BARE,
        "FC_PRESIGN_URL": system.stack.http_url,
        "FC_PRESIGN_KEY": key,
        "http_proxy": "http://127.0.0.1:9",
    }

    def execute(*arguments: str, runs: Run = run, **changes: str) -> CompletedProcess[str]:
        done = runs(*arguments, env={**env, **changes}, stdin=f"{key}\n")
        assert leaks(done.stdout + done.stderr, system.stack.credentials) == []
        assert key not in done.stdout + done.stderr
        assert "share=" not in done.stderr
        return done

    return execute


def sent(system: System) -> set[str]:
    """The names of what is in send/, without their folders."""
    return {key.partition("/")[2].partition("/")[2] for key in system.stored_objects("send/")}


def elsewhere(system: System, url: str) -> Any:
    """Lets OSS be at another address for what is sent."""

    def to(method: str, link: str, *arguments: Any, **options: Any) -> Answer:
        assert link.startswith(system.stack.oss_url)
        return send(method, link.replace(system.stack.oss_url, url), *arguments, **options)

    return patch.object(transfer, "send", to)


def test_each_file_is_sent_to_a_folder_of_its_own_and_shared(
    system: System, command: Run, tmp_path: Path
) -> None:
    contents = {
        "季度 报告#1.pdf": LARGE,
        "empty.txt": b"",
        "+%41&?.txt": b"name",
        "deep/q3.pdf": b"three",
    }
    (tmp_path / "deep").mkdir()
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    done = command("share", *contents, "--each", "--expires", "2d", runs=run_process)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert all(re.fullmatch(ADDRESS, line) for line in lines)
    for address, content in zip(lines, contents.values(), strict=True):
        assert requests.get(address, timeout=TIMEOUT).content == content
    for note, name in zip(done.stderr.splitlines(), contents, strict=True):
        name = re.escape(os.path.basename(name))
        assert re.fullmatch(
            rf"[\w-]{{12}}: /send/[\w-]{{8}}/{name}, until [\d-]{{10}}T[\d:]{{8}}Z\.", note
        )
    again = command(
        "share", "empty.txt", "--to", "/send/for/anna", "--key", "-", FC_PRESIGN_KEY="fcp_other"
    )
    assert re.search(r": /send/for/anna/[\w-]{8}/empty\.txt,", again.stderr)


def test_a_share_has_the_limits_code_and_words_of_the_options(
    system: System, command: Run, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_bytes(b"content")
    words = ("--title", "季度", "--message", "Two\nlines")
    done = command("share", "a.txt", "--password", "--max-uses", "2", *words)
    assert (address := re.fullmatch(rf"({ADDRESS}) (\w{{4}}-\w{{4}})\n", done.stdout)), done
    assert (
        requests.post(address[1], json={"password": "K7QM-2TXP"}, timeout=TIMEOUT).status_code
        == 403
    )
    assert (
        requests.post(address[1], json={"password": address[2]}, timeout=TIMEOUT).content
        == b"content"
    )
    (shared,) = json.loads(command("share", "a.txt", "--password", "--json", *words).stdout)[
        "shares"
    ]
    assert [*shared] == ["path", "url", "id", "expires_at", "clamped_by", "password"]
    page = requests.get(
        shared["url"], headers={"Accept": "text/html,application/xhtml+xml"}, timeout=TIMEOUT
    ).text
    assert all(word in page for word in ("季度", "Two", "lines"))


def test_what_is_there_is_shared_also_a_folder(system: System, command: Run) -> None:
    system.put("send/there/报告.txt", b"report")
    done = command(
        "share",
        "--path",
        "/send/there/报告.txt",
        "--path",
        "/send/there/",
        "--path",
        "/send/none.txt",
    )
    assert done.returncode == 2
    file, folder = done.stdout.splitlines()
    assert requests.get(file, timeout=TIMEOUT).content == b"report"
    assert [each["name"] for each in requests.get(folder, timeout=TIMEOUT).json()["files"]] == [
        "报告.txt"
    ]
    assert "also what is added later." in done.stderr
    assert re.search(
        r"(?m)^Error: /send/none\.txt: The object does not exist\. .* \(no_such_object,",
        done.stderr,
    )


def test_receive_prints_the_address_of_an_upload_page(system: System, command: Run) -> None:
    done = command(
        "receive",
        "--max-files",
        "3",
        "--max-size",
        "1KB",
        "--password",
        "--title",
        "Photos",
        "--to",
        "/in",
    )
    address, code = done.stdout.split()
    file = {"name": "a.txt", "size": 5, "type": "text/plain", "password": code}
    for size, status in ((1025, 400), (5, 200)):
        assert (
            requests.post(address, json={**file, "size": size}, timeout=TIMEOUT).status_code
            == status
        )
    assert re.fullmatch(
        r"([\w-]{12}): /in/, until .*\.\n"
        r"Files arrive in /received/\1/\. List them: fc-presign ls /received/\1/\n",
        done.stderr,
    )
    (shared,) = json.loads(command("receive", "--expires", "1h", "--json").stdout)["shares"]
    large = {**file, "size": 100 * 1024**2}
    assert requests.post(shared["url"], json=large, timeout=TIMEOUT).status_code == 200
    refused = command("receive", "--to", "/send/")
    assert (refused.returncode, refused.stdout, "POST is not enabled" in refused.stderr) == (
        2,
        "",
        True,
    )


def test_what_arrives_is_listed_fetched_and_reported_with_the_title(
    system: System, command: Run
) -> None:
    done = command("receive", "--title", "合同 & 发票")
    page = requests.post(
        done.stdout.strip(),
        json={"name": "报告 1.txt", "size": 5, "type": "text/plain"},
        timeout=TIMEOUT,
    ).json()
    assert submit_form(page, b"three") == (200, "")
    path = done.stderr.split()[-1]
    assert command("ls", path).stdout.endswith("  1-报告 1.txt\n")
    listed = json.loads(command("ls", path, "--json").stdout)["files"]
    assert [each["path"] for each in listed] == [f"{path}1-报告 1.txt"]
    assert system.stack.dispatcher.wait(TIMEOUT)
    reported = b"".join(system.stored_objects(".links/notices/").values()).decode()
    (notice,) = [
        each for each in map(json.loads, reported.splitlines()) if each["path"] == listed[0]["path"]
    ]
    assert (notice["mount"], notice["title"], notice["size"]) == ("/received/", "合同 & 发票", 5)
    assert requests.get(notice["url"], timeout=TIMEOUT).content == b"three"


@pytest.mark.parametrize("path", ["/exampledir/", "/exampledir/x"])
def test_ls_says_that_a_mount_does_not_list(command: Run, path: str) -> None:
    assert "set list in links.toml. (not_listed," in command("ls", path, FC_PRESIGN_KEY="").stderr


def test_who_cannot_be_sent_is_named_and_the_others_stand(
    system: System, command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr("signer.cli.sending.destination.MAX_PUT", 1023)
    (tmp_path / "large").write_bytes(bytes(1024))
    names = ["good.txt", "bell\x07.txt", os.fsdecode(b"\xff.txt")]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    arguments = [*names, "pipe", "/dev/zero", "large", "absent", "folder/good.txt"]
    done = command("share", "--each", *arguments)
    assert (done.returncode, len(done.stdout.splitlines())) == (2, 1)
    note, *errors = done.stderr.splitlines()
    assert "good.txt" in note
    assert errors[0].startswith("Error: bell\\u0007.txt: No link can have this name.")
    assert errors[1].startswith("Error: \\udcff.txt: No link can have this name.")
    assert [error.split(": ", 2)[2].partition(".")[0] for error in errors[2:]] == [
        *["This is neither a file nor a folder, and cannot be sent"] * 2,
        "It has 1 KB, and one upload at most 1023 B",
        *["No such file or directory"] * 2,
    ]
    assert "ossutil cp, then use fc-presign share --path" in errors[4]


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


CHANGES: dict[str, Callable[[Path], object]] = {
    "grows": _grow,
    "shrinks": lambda path: os.truncate(path, 5),
    "is written again": lambda path: os.utime(path, (1, 1)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("content", [LARGE, b""])
def test_a_file_that_changes_while_it_is_sent_fails_and_is_not_stored(
    system: System, command: Run, tmp_path: Path, change: str, content: bytes
) -> None:
    name = f"{change} {len(content)}.bin"
    (tmp_path / name).write_bytes(content)
    ask = Service.ask

    def answer(service: Service, *arguments: Any, **options: Any) -> dict[str, Any]:
        if "/-/sign" in arguments:  # after it was opened, before it is read
            CHANGES[change](tmp_path / name)
        return ask(service, *arguments, **options)

    with patch.object(Service, "ask", answer):
        done = command("share", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"Error: {name}: The file changed while it was sent. Try again when it is complete.\n"
    )
    assert name not in sent(system)


@pytest.mark.parametrize("file", ["/proc/version", "/sys/devices/system/cpu/online"])
def test_a_file_with_more_or_fewer_bytes_than_its_size_fails(command: Run, file: str) -> None:
    if not os.path.exists(file):
        pytest.skip("Linux alone has such files")
    assert command("share", file).stderr.startswith(
        f"Error: {file}: The file changed while it was sent."
    )


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (REFUSED, "OSS refused it: AccessDenied, Not you."),
        (b"", "Sending it to 127.0.0.1 failed: connection closed."),
        (None, "Sending it to 127.0.0.1 failed: no response in time."),
    ],
)
def test_a_refusal_an_end_in_the_middle_and_a_transfer_without_progress_fail(
    system: System, command: Run, tmp_path: Path, answer: bytes | None, sentence: str
) -> None:
    (tmp_path / "a.bin").write_bytes(LARGE)
    head, ended = list[bytes](), threading.Event()
    assert transfer.IDLE == (60, 60)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT)

        def serve() -> None:
            with listener.accept()[0] as connection:
                head.append(connection.recv(1 << 16))
                if answer is not None:
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                while answer is not None and connection.recv(1 << 20):
                    pass
                ended.wait(TIMEOUT)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with elsewhere(system, url), patch.object(transfer, "IDLE", (0.5, 0.5)):
            done = command("share", "a.bin")
        ended.set()
        thread.join(TIMEOUT)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"Error: a.bin: {sentence}\n")
    assert b"Authorization" not in head[0]


@pytest.mark.parametrize("fault", ["reset", "reset after", "503"])
def test_of_two_files_one_is_cut_and_the_other_stands(
    system: System, command: Run, tmp_path: Path, fault: str
) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_bytes(b"content")
    with fault_proxy(system.stack.oss_url) as proxy, elsewhere(system, proxy.url):
        proxy.play(fault)
        done = command("share", "a.txt", "b.txt", "--each", "--json")
    assert done.returncode == 2
    (shared,) = json.loads(done.stdout)["shares"]
    assert shared["path"].endswith("/b.txt")
    assert done.stderr.startswith("Error: a.txt: ")


def test_ctrl_c_ends_it_and_prints_what_was_shared(command: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"content")
    answers = iter([send])

    def interrupted(*arguments: Any, **options: Any) -> Answer:
        answer = next(answers, None)
        if answer is None:
            raise KeyboardInterrupt
        return answer(*arguments, **options)

    with patch.object(transfer, "send", interrupted):
        done = command("share", "a.txt", "a.txt", "--each", "--json")
    assert (done.returncode, done.stderr.strip()) == (130, "Interrupted.")
    assert len(json.loads(done.stdout)["shares"]) == 1


def test_a_file_that_is_sent_and_not_shared_is_named_with_what_to_do(
    system: System, command: Run, tmp_path: Path
) -> None:
    (tmp_path / "a b.txt").write_bytes(b"content")
    unfit = "for\nyou"
    done = command("share", "a b.txt", "--password", "--expires", "2d", "--title", unfit)
    _, _, again = done.stderr.partition("It was sent, and not shared. To go on:\nfc-presign ")
    assert (done.returncode, bool(again)) == (2, True), done.stderr
    # With the options that were given: without --password, the share would be open to everybody.
    words = shlex.split(again)
    assert words[words.index("--title") + 1] == unfit
    words[words.index("--title") + 1] = "for you"
    shared = command(*words, "--json")
    assert shared.returncode == 0, shared.stderr
    (share,) = json.loads(shared.stdout)["shares"]
    assert re.fullmatch("[0-9A-Z]{4}-[0-9A-Z]{4}", share["password"])
    assert share["path"].endswith("/a b.txt")


def test_progress_is_shown_on_a_terminal_after_two_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(400))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    now = iter([100.0, 101.9, 102.0, 102.4, 102.5])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    with (tmp_path / "a.bin").open("rb") as file:
        content = transfer.Content(file, transfer.Progress(400))
        for _ in range(4):
            content.read(100)
    assert capsys.readouterr().err == "\r 50 % of 400 B\r100 % of 400 B"
