"""The documentation: each command that is for a stack as `make run` starts it works with one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest
import requests

from signer.emulator.oss.storage import Buckets
from tests.local.programs import ROOT, Program, started
from tools import secret_search

Run = Callable[[list[str]], str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stack and the shell run."""
    return tmp_path_factory.mktemp("try_it")


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Program]:
    """What `make run` starts, on free ports, in a folder that has nothing else."""
    with started(
        "--root", "samples", "--config", str(ROOT / "s.yaml"), folder=folder, quick=True
    ) as program:
        program.wait_for('"path":"/-/shares"')  # of the sample
        for_you = program.output
        yield program
        program.process.send_signal(signal.SIGINT)
        program.end()
        # It prints an API key and a share to try, and no other secret, also while these are used.
        environment = (folder / "samples/env.sh").read_text("utf-8")
        made = re.findall(
            r"(?m)^export (?:KEY|OSS_ACCESS_KEY_SECRET|OSS_SESSION_TOKEN)='?([^'\n]+)", environment
        )
        assert len(made) == 3
        kinds = {finding.kind for finding in secret_search.search(for_you)}
        assert kinds == {"an API key", "a share"}
        findings = secret_search.search(program.output.removeprefix(for_you), made)
        assert findings == []


@pytest.fixture
def run(folder: Path) -> Run:
    """Runs commands in one new shell, and returns what they print; fc-presign is that of this clone."""
    for name in ("bash", "curl", "jq"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is required")

    program = f'fc-presign() {{ PYTHONPATH="{ROOT}" "{sys.executable}" -m signer "$@"; }}'

    def execute(commands: list[str]) -> str:
        process = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join([program, *commands])],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "http_proxy": "http://127.0.0.1:9"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert process.returncode == 0, process.stderr
        return process.stdout

    return execute


def blocks(page: str) -> list[list[str]]:
    """The commands in each console block of the section."""
    title = "A running service" if page == "cli.md" else "Try it"
    section = (
        (ROOT / "docs" / page)
        .read_text("utf-8")
        .partition(f"## {title}\n")[2]
        .partition("\n## ")[0]
    )
    consoles = re.findall(r"^```console\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert len(consoles) >= 1
    return [re.findall(r"^\$ ((?:.*\\\n)*.*)$", console, re.MULTILINE) for console in consoles]


def commands(page: str) -> list[str]:
    return [command for block in blocks(page) for command in block]


def test_make_run_starts_the_stack_that_these_tests_start() -> None:
    assert re.search(
        r"^run: .*\n\t@\$\(BIN\)/python -m local --root samples\b",
        (ROOT / "Makefile").read_text(),
        re.M,
    )


def test_the_commands_of_shares_md(stack: Program, run: Run) -> None:
    output = run(commands("shares.md"))
    assert output.startswith(f"{stack.http}/-/s/q3.txt?share=")
    assert '"uses_left": 1' in output
    assert "Quarter three\n{" in output
    assert '"code": "share_used_up"' in output


def test_the_commands_of_uploads_md(stack: Program, run: Run) -> None:
    output = run(commands("uploads.md"))
    assert re.fullmatch(
        rf"{stack.http}/-/s/\?share=.*\n(.*\n)*[\w-]{{12}}  active    .*  0  /in/\n(.*\n)*", output
    )


def test_the_commands_of_cli_md_and_readme_md_ask_the_service(
    stack: Program, run: Run, folder: Path
) -> None:
    output = run(commands("cli.md"))
    assert re.match(
        rf"{stack.http}/-/s/\?share=\S* \w{{4}}-\w{{4}}\n"
        rf"{stack.http}/-/s/[\w-]{{8}}/\?share=\S*\n{stack.http}/-/s/exampledir/\?share=",
        output,
    )
    assert re.search(
        r"\nExtended (.{12}) until .*\.\nRevoked \1\.\n.* exampleobject\.txt\n.* 示例\.txt\n$",
        output,
    )
    readme = (ROOT / "README.md").read_text("utf-8")
    shutil.copy(ROOT / "README.md", folder)
    shutil.copy(ROOT / "README.md", folder / "q3.pdf")
    (examples,) = re.findall(r"(?ms)^make run\n(.*?)^```$", readme)
    (command, address) = re.findall(r"(?ms)^\$ (fc-presign share [^\n]*)\n(\S+)", readme)[0]
    asked = run([*examples.splitlines(), command]).splitlines()
    shown = address.replace("http://127.0.0.1:9000", stack.http).rstrip("…")
    assert [line.partition("share=")[0] + "share=" for line in asked] == [shown] * 3
    assert [len(line.split()) for line in asked] == [2, 1, 2]


@pytest.mark.ci
def test_the_commands_of_git_lfs_md_keep_a_file_in_oss(
    stack: Program, run: Run, folder: Path
) -> None:
    if shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is required")
    (lfs_url,) = re.findall(r"(?m)^  lfs\.url +(\S+)$", stack.output)
    before, five, second = blocks("git-lfs.md")
    assert len(five) == 5
    page = (ROOT / "docs/git-lfs.md").read_text("utf-8")
    scripts = re.findall(r"(?ms)^```sh\n(.*?)^```$", page)
    (move,) = (script for script in scripts if "push --all" in script)
    (pull,) = (script for script in scripts if "LFS_KEY" in script)
    example = "https://links.example.com"
    moved = move.replace(f"{example}/-/lfs/lfs/repository", '"$SERVICE/-/lfs/lfs/moved"')
    assert moved != move
    person = [
        f"export HOME={folder} GIT_CONFIG_NOSYSTEM=1",
        "export GIT_AUTHOR_NAME=Example GIT_AUTHOR_EMAIL=a@example.com",
        "export GIT_COMMITTER_NAME=Example GIT_COMMITTER_EMAIL=a@example.com",
    ]
    runner = [
        "unset GIT_CONFIG_COUNT",
        "export LFS_KEY=$KEY",
        "GIT_LFS_SKIP_SMUDGE=1 git clone --quiet ../origin.git ../runner",
        "cd ../runner",
        pull.replace(example, stack.http),
        "sha256sum model.bin",
    ]
    printed = run(
        [
            *person,
            *before,
            *five,
            *second,
            "cat .lfsconfig",
            moved,
            "git lfs ls-files --long",
            *runner,
        ]
    )
    assert f"url = {lfs_url}\n" in printed
    (oid,) = re.findall(r"(?m)^([0-9a-f]{64}) \* model\.bin$", printed)
    assert printed.endswith(f"{oid}  model.bin\n")
    bucket = Buckets(folder / "samples").get("examplebucket")
    assert bucket is not None
    for store in ("repository", "moved"):
        record = bucket.current(f"lfs/{store}/{oid[:2]}/{oid[2:4]}/{oid}")
        assert record is not None
        assert record.size == 1_000_000


def test_the_examples_of_the_pages_work_with_the_shipped_links_toml(
    stack: Program, run: Run, folder: Path
) -> None:
    examples = [
        block
        for page in ("uploads.md", "api.md")
        for block in re.findall(
            r"(?ms)^```sh\n(.*?)^```$", (ROOT / "docs" / page).read_text("utf-8")
        )
    ]
    assert len(examples) >= 8
    output = run([". samples/env.sh", *examples])
    for part in (
        '"part_count": 3',
        "/-/s/?share=",
        '"expires_in": 600, "clamped_by": null',
        "Allow: POST, OPTIONS",
    ):
        assert part in output
    assert output.count('3600\nnull\n900\nnull\nnull\n"not_found"\n') == 1
    bucket = Buckets(folder / "samples").get("examplebucket")
    assert bucket is not None
    sizes = {key: record.size for key in bucket.all_keys() if (record := bucket.current(key))}
    assert [sizes.get(f"inbox/{name}") for name in ("a.txt", "photo.png", "big.bin")] == [
        5,
        8,
        None,
    ]
    assert (folder / "object.txt").read_text("utf-8").startswith("A private object")


def test_the_javascript_of_api_md_is_there_for_each_command_and_works(
    stack: Program, run: Run, folder: Path
) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is required")
    page = (ROOT / "docs/api.md").read_text("utf-8")
    with_curl = [section for section in page.split("\n## ") if "\ncurl " in section]
    assert len(with_curl) == 4
    assert all("\n```js\n" in section for section in with_curl)
    code = "".join(re.findall(r"(?ms)^```js\n(.*?)^```$", page))
    (folder / "api.mjs").write_text(code, "utf-8")
    printed = run([". samples/env.sh", "node api.mjs"]).splitlines()
    assert printed == [
        "600 A private object, opened with a link that expires in minutes.",
        "",
        "/send/exampledir/exampleobject.txt 62",
        "/send/exampledir/示例.txt 62",
        "3600 undefined",
        "undefined not_found",
        "POST, OPTIONS",
    ]


def test_the_commands_of_the_page_at_the_root_work(stack: Program, run: Run) -> None:
    page = requests.get(
        f"{stack.http}/", headers={"Accept": "text/html,*/*;q=0.8"}, timeout=20
    ).text
    assert not re.findall(r"</h2>\s*(?:<h2>|</main>)", page)
    commands = [unescape(block) for block in re.findall(r"(?s)<pre>(.*?)</pre>", page)]
    assert len(commands) == 3
    assert Path(commands.pop()).name == "outbox"
    assert requests.get(run(commands).strip(), timeout=20).text.startswith("A private object")
    (sender,) = re.findall(r'<a href="(/-/)">', page)
    assert (
        "<title>Send and receive files</title>"
        in requests.get(stack.http + sender, timeout=20).text
    )
    # A page of another name, which leads here, must not read the addresses of the samples.
    foreign = {"Accept": "text/html", "Host": "links.example.com"}
    assert requests.get(f"{stack.http}/", headers=foreign, timeout=20).status_code == 404
    # Programs get the function's own answers, and an icon is not worth a line of the log.
    assert requests.get(f"{stack.http}/", timeout=20).status_code == 404
    assert requests.get(f"{stack.http}/favicon.ico", timeout=20).status_code == 204


def test_the_commands_of_events_md(stack: Program, run: Run) -> None:
    before, after = blocks("events.md")
    assert run(before) == ""
    # Files that others sent to inbox/ are events, too.
    link = stack.wait_for('"path":"/outbox/minutes.txt"')
    (request_id,) = re.findall(r'"request_id":"([^"]+)"', link)
    while '"notices":1' not in stack.wait_for(request_id):
        pass
    # The event can be answered before the file is announced.
    announced = "minutes.txt was uploaded"
    assert announced in stack.output or stack.wait_for(announced)
    assert run(after) == "outbox/minutes.txt\nThe minutes of today\n"


@pytest.mark.parametrize("page", ["shares.md", "uploads.md", "events.md", "cli.md"])
def test_addresses_are_quoted_for_zsh_which_expands_question_marks(page: str) -> None:
    for command in commands(page):
        unquoted = re.sub(r"'[^']*'|\"[^\"]*\"", "", command)
        assert not re.search(r"[?&\[\]{}]", unquoted), command
