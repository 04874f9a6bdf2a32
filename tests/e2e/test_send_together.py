"""Several files, or a folder, sent to one address, with the shipped links.toml and an OSS that verifies."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import requests

from signer.cli.network import Answer, send
from signer.cli.sending import transfer
from tests.e2e.system import TIMEOUT, System
from tests.e2e.test_send_and_receive import ADDRESS, Run, elsewhere
from tests.e2e.test_send_and_receive import command as command
from tests.e2e.test_send_and_receive import key as key
from tests.fault_proxy import fault_proxy

CONTENTS = {"季度 报告#1.pdf": b"one", "photos/a.jpg": b"two", "photos/deep/+%41&?.txt": b""}
GO_ON = "Nothing was shared. To go on:\nfc-presign "


@pytest.fixture
def files(tmp_path: Path, command: Run) -> Path:
    """The current folder, with what is sent."""
    for name, content in CONTENTS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


@contextmanager
def sendings() -> Iterator[list[str]]:
    """The names of the files that are sent to OSS."""
    names: list[str] = []

    def count(method: str, url: str, *arguments: Any, **options: Any) -> Answer:
        names.append(url.partition("?")[0].rpartition("/")[2])
        return send(method, url, *arguments, **options)

    with patch.object(transfer, "send", count):
        yield names


def shares(command: Run) -> set[str]:
    return {share["id"] for share in json.loads(command("shares", "--json").stdout)["shares"]}


def stored(system: System, folder: str) -> dict[str, bytes]:
    """What is in a folder of the service, by its name there."""
    prefix = folder.removeprefix("/")
    return {key.removeprefix(prefix): body for key, body in system.stored_objects(prefix).items()}


def goes_on(stderr: str) -> list[str]:
    """The arguments of the command that goes on."""
    _, said, again = stderr.partition(GO_ON)
    assert said, stderr
    return shlex.split(again.removesuffix("Interrupted.\n"))


def test_files_and_folders_get_one_address_and_one_code(
    system: System, command: Run, files: Path
) -> None:
    done = command("share", "季度 报告#1.pdf", "photos", "--password", "--title", "季度")
    assert done.returncode == 0, done.stderr
    match = re.fullmatch(rf"({ADDRESS}) (\w{{4}}-\w{{4}})\n", done.stdout)
    assert match is not None, done.stdout
    first, last = done.stderr.splitlines()
    sending = re.fullmatch(r"Sending 3 of 3 files \(6 B\) to (/send/[\w-]{8}/)\.", first)
    assert sending is not None, first
    assert re.fullmatch(rf"[\w-]{{12}}: {sending[1]}, until [\dTZ:-]{{20}}\. Files: 3\.", last)
    assert stored(system, sending[1]) == CONTENTS
    assert requests.get(match[1], timeout=TIMEOUT).json()["password"] is True

    def unlocked(path: str) -> requests.Response:
        url = match[1].replace("/-/s/", f"/-/s/{path}")
        return requests.post(url, json={"password": match[2]}, timeout=TIMEOUT)

    top = unlocked("").json()
    assert [each["name"] for each in top["files"]] == ["季度 报告#1.pdf"]
    assert [each["name"] for each in top["folders"]] == ["photos"]
    assert unlocked("photos/a.jpg").content == b"two"


def test_its_page_and_its_record_say_how_many_files_there_are(
    system: System, command: Run, files: Path
) -> None:
    done = command("share", "photos", "--json")
    (shared,) = json.loads(done.stdout)["shares"]
    assert [*shared] == ["path", "url", "id", "expires_at", "clamped_by", "covers"]
    browser = {"Accept": "text/html,application/xhtml+xml"}
    page = requests.get(shared["url"], headers=browser, timeout=TIMEOUT).text
    assert "This link opens 2 files in all, until" in page
    listed = json.loads(command("shares", "--json").stdout)["shares"]
    assert [each["files"] for each in listed if each["id"] == shared["id"]] == [2]


def test_with_each_the_files_of_a_folder_have_addresses_of_their_own(
    system: System, command: Run, files: Path
) -> None:
    done = command("share", "photos", "季度 报告#1.pdf", "--each", "--max-uses", "2", "--json")
    assert done.returncode == 0, done.stderr
    paths = [share["path"] for share in json.loads(done.stdout)["shares"]]
    assert [path.rpartition("/")[2] for path in paths] == ["a.jpg", "+%41&?.txt", "季度 报告#1.pdf"]
    assert len({path.split("/")[2] for path in paths}) == 3


@pytest.mark.parametrize("fault", ["reset", "503", "reset after"])
def test_a_file_that_fails_is_named_and_the_printed_command_goes_on(
    system: System, command: Run, files: Path, fault: str
) -> None:
    options = (
        "--password",
        "--title",
        "for Ann's\\team",
        "--message",
        "Two\nlines",
        "--expires",
        "3d",
    )
    before = shares(command)
    with fault_proxy(system.stack.oss_url) as proxy, elsewhere(system, proxy.url):
        proxy.play("", fault)
        done = command("share", "季度 报告#1.pdf", "photos", *options, "--json")
    assert (done.returncode, json.loads(done.stdout)) == (2, {"shares": []})
    assert "\nError: photos/a.jpg: " in done.stderr
    assert shares(command) == before
    again = goes_on(done.stderr)
    assert again[:3] == ["share", "季度 报告#1.pdf", "photos"]
    assert again[3] == "--to"
    folder = again[4]
    # What OSS stored, although its answer was lost, is not sent again.
    present = {"季度 报告#1.pdf": b"one"}
    left = ["a.jpg", "%2B%2541%26%3F.txt"]
    if fault == "reset after":
        present["photos/a.jpg"] = b"two"
        left = left[1:]
    assert stored(system, folder) == present
    with sendings() as names:
        done = command(*again)
    assert done.returncode == 0, done.stderr
    assert names == left
    assert f"Sending {len(left)} of 3 files (" in done.stderr
    (shared,) = json.loads(done.stdout)["shares"]
    assert (shared["path"], len(shared["password"])) == (folder, 9)
    browser = {"Accept": "text/html,application/xhtml+xml"}
    page = requests.get(shared["url"], headers=browser, timeout=TIMEOUT).text
    assert "Ann&#39;s\\team" in page
    assert "Two<br>lines" in page
    assert stored(system, folder) == CONTENTS


def test_after_ctrl_c_the_printed_command_goes_on(
    system: System, command: Run, files: Path
) -> None:
    (files / "-a.txt").write_bytes(b"dash")
    (files / "photos/.env").write_bytes(b"hidden")
    answers = iter([send, send])

    def interrupted(*arguments: Any, **options: Any) -> Answer:
        answer = next(answers, None)
        if answer is None:
            raise KeyboardInterrupt
        return answer(*arguments, **options)

    with patch.object(transfer, "send", interrupted):
        done = command("share", "--hidden", "--key", "-", "photos", "--", "-a.txt")
    assert (done.returncode, done.stdout) == (130, "")
    again = goes_on(done.stderr)
    assert {"--hidden", "--key", "./-a.txt"} <= {*again}
    done = command(*again)
    assert done.returncode == 0, done.stderr
    assert "Sending 2 of 4 files " in done.stderr
    assert {*stored(system, again[again.index("--to") + 1])} == {
        "-a.txt",
        "photos/.env",
        "photos/a.jpg",
        "photos/deep/+%41&?.txt",
    }


def test_what_was_sent_and_not_shared_is_shared_by_the_printed_command(
    system: System, command: Run, files: Path
) -> None:
    unfit = "for\nyou"
    done = command("share", "photos", "--password", "--title", unfit)
    assert (done.returncode, done.stdout) == (2, "")
    assert '\nError: Invalid request body: "title" must be valid UTF-8 without' in done.stderr
    again = goes_on(done.stderr)
    again[again.index(unfit)] = "for you"
    with sendings() as names:
        done = command(*again)
    assert (done.returncode, names) == (0, [])
    assert "Sending 0 of 2 files " in done.stderr
    assert done.stderr.endswith(" Files: 2.\n")


def test_a_file_is_added_to_a_folder_that_was_sent(
    system: System, command: Run, files: Path
) -> None:
    (first,) = json.loads(command("share", "photos", "--json").stdout)["shares"]
    done = command("share", "季度 报告#1.pdf", "--into", "--to", first["path"])
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith(" Files: 3.\n")
    assert stored(system, first["path"]) == CONTENTS
