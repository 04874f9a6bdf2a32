"""On a full disk, or with an output that is full or closed, a command fails in a sentence and leaves no half file."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from deploy import build, command
from deploy.package import archive, contents, vendor
from handler.commands import keys_edit
from handler.core.config import Location
from signer.emulator.oss.storage import Draft
from tests.deploy.project_copy import BUILT, ProjectCopy
from tests.handler.core.keys.command import ADD
from tests.local_oss import BUCKET, REGION, local_oss
from tools import reference, template

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    "PATH": os.defpath,
    "PYTHONPATH": str(ROOT),
    "PYTHONDONTWRITEBYTECODE": "1",
    "HOME": "/nonexistent",
    "OSS_ACCESS_KEY_ID": "LTAI5tEXAMPLE",
    "OSS_ACCESS_KEY_SECRET": "secretEXAMPLE",
    "LINK_REGION": REGION,
    "LINK_BUCKET": BUCKET,
}
OBJECT = ("oss://examplebucket/a.txt", "--region", REGION)
FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")


def disk_of(size: int) -> Callable[[], None]:
    """Lets a process write files of so many bytes at most: a write beyond fails as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def run(
    *arguments: str, size: int | None = None, stdout: Any = subprocess.PIPE, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        input=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        preexec_fn=None if size is None else disk_of(size),
    )


def assert_one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode != 0
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr
    for secret in ("secretEXAMPLE", "x-oss-signature", "fcp_"):
        assert secret not in done.stderr


class TestKeys:
    @pytest.fixture
    def document(self, tmp_path: Path) -> Path:
        path = tmp_path / "keys.json"
        path.write_bytes(keys_edit.serialize(keys_edit.new()))
        return path

    @pytest.mark.parametrize("size", [0, 160], ids=["no lock", "no document"])
    def test_the_document_stays_as_it_was(self, document: Path, size: int) -> None:
        before = document.read_bytes()
        assert_one_sentence(
            run("handler.commands", "keys", "--keys", f"file:{document}", *ADD, size=size),
            f"file:{document}: write: File too large. Check the path and its permissions.",
        )
        assert document.read_bytes() == before
        assert sorted(path.name for path in document.parent.iterdir()) == [
            "keys.json",
            "keys.json.lock",
        ]

    def test_a_document_that_cannot_be_written_is_not_created(self, tmp_path: Path) -> None:
        done = run(
            "handler.commands", "keys", "--keys", f"file:{tmp_path / 'keys.json'}", "init", size=160
        )
        assert_one_sentence(done, "write: File too large.")
        assert [path.name for path in tmp_path.iterdir()] == ["keys.json.lock"]


BULK = ("signer", "bulk", "--bucket", BUCKET, "--region", REGION)


class TestBulk:
    @pytest.fixture
    def keys(self, tmp_path: Path) -> Path:
        path = tmp_path / "keys.txt"
        path.write_text("".join(f"reports/{number}.txt\n" for number in range(3000)))
        return path

    @pytest.mark.parametrize(("form", "size"), [("csv", 0), ("html", 500_000)])
    def test_the_previous_file_is_kept(self, keys: Path, form: str, size: int) -> None:
        output = keys.with_name(f"links.{form}")
        output.write_text("before\n")
        done = run(*BULK, str(keys), "--output", str(output), size=size)
        assert_one_sentence(
            done, f"{output} cannot be written (File too large). The previous file was kept."
        )
        assert output.read_text() == "before\n"
        assert sorted(path.name for path in keys.parent.iterdir()) == ["keys.txt", output.name]

    def test_no_half_file_is_left(self, keys: Path) -> None:
        output = keys.with_name("links.csv")
        done = run(*BULK, str(keys), "--output", str(output), size=4000)
        assert_one_sentence(
            done, f"{output} cannot be written (File too large). Nothing was written."
        )
        assert list(keys.parent.iterdir()) == [keys]

    def test_what_is_written_directly_is_incomplete_and_says_so(self, keys: Path) -> None:
        with keys.with_name("output").open("w") as output:
            done = run(*BULK, str(keys), "--format", "html", size=4000, stdout=output)
        assert_one_sentence(
            done, "Standard output cannot be written (File too large). The output is incomplete."
        )
        # An incomplete page looks incomplete: its end is missing.
        assert not keys.with_name("output").read_text().endswith("</html>\n")


COMMANDS = {  # others end as one of these does
    "sign": ("signer", "sign", *OBJECT),
    "bulk": (*BULK, "-"),
    "template": ("tools.template", "{folder}/template"),
}


class TestStandardOutput:
    @pytest.fixture(params=["sign", "bulk", pytest.param("template", marks=pytest.mark.long)])
    def arguments(self, request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
        return [argument.format(folder=tmp_path) for argument in COMMANDS[request.param]]

    @FULL
    def test_that_is_full(self, arguments: list[str]) -> None:
        with open("/dev/full", "w") as full:
            done = run(*arguments, stdout=full, stdin="a.txt\n")
        assert_one_sentence(done, "utput cannot be written (No space left on device)")

    def test_that_nobody_reads_any_more(self, arguments: list[str]) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = run(*arguments, stdout=writer, stdin="a.txt\n")
        finally:
            os.close(writer)
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        assert done.stderr.count("\n") <= 1, done.stderr


def full_disk(*arguments: object, **options: object) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "handler")


class TestDeploy:
    @pytest.mark.parametrize(
        "step",
        [pytest.param((contents, "copy_ours"), marks=pytest.mark.long), (archive, "write_zip")],
        ids=["copy", "zip"],
    )
    def test_a_build_keeps_the_package_before(
        self,
        tmp_path: Path,
        step: tuple[Any, str],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        copy = ProjectCopy.of(tmp_path, BUILT)
        package = tmp_path / "build/code"
        package.mkdir(parents=True)
        (package / "before").touch()
        monkeypatch.setattr(vendor, "install", lambda lock, runtime, folder: folder.mkdir())
        for module, name in (
            (vendor, "reachable"),
            (vendor, "clean"),
            (contents, "check_package"),
        ):
            monkeypatch.setattr(module, name, lambda *arguments: set())
        monkeypatch.setattr(*step, full_disk)
        assert command.run("make build", lambda: build.main([str(copy.config)])) == 1
        assert (
            capsys.readouterr().err
            == "make build: The package cannot be written (No space left on device).\n"
        )
        assert [path.name for path in (tmp_path / "build").iterdir()] == ["code"]
        assert (package / "before").exists()

    def test_no_half_template_is_left_and_it_is_made_later_in_the_same_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with monkeypatch.context() as context:
            context.setattr(template, "s_yaml", full_disk)
            assert (
                command.run("make template", lambda: template.main([str(tmp_path / "made")])) == 1
            )
        said = capsys.readouterr().err
        assert ("No space left on device" in said, said.count("\n")) == (True, 1)
        assert list(tmp_path.iterdir()) == []
        assert template.main([str(tmp_path / "made")]) == 0

    def test_the_pages_of_the_reference_are_kept(self, tmp_path: Path) -> None:
        for name in reference.PAGES:
            page = tmp_path / name
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text((ROOT / name).read_text("utf-8"), "utf-8")
        first = tmp_path / next(iter(reference.PAGES))
        stale = first.read_text("utf-8") + "stale"
        first.write_text(stale, "utf-8")
        script = (
            "import sys; from pathlib import Path; from deploy import command; from tools import reference; "
            "reference.ROOT = Path(sys.argv[1]); sys.exit(command.run('make reference', lambda: reference.main([])))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            cwd=ROOT,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=60,
            preexec_fn=disk_of(2000),
        )
        assert_one_sentence(done, f"{first} cannot be written (File too large)")
        assert first.read_text("utf-8") == stale
        assert [*first.parent.glob(f"*{first.name}*")] == [first]


def test_an_object_is_stored_entirely_or_not_at_all(tmp_path: Path) -> None:
    write, place = Draft.write, Location(BUCKET, "a.txt")

    def fill(draft: Draft, blocks: Iterable[bytes]) -> None:
        write(draft, [b"".join(blocks)[:50_000]])
        full_disk()

    with local_oss(tmp_path / "oss") as oss:
        assert oss.client.put(place, b"before", content_type="text/plain").ok
        with patch.object(Draft, "write", fill):
            response = oss.client.put(place, b"x" * 100_000, content_type="text/plain")
        assert (response.status, response.code) == (500, "InternalError")
        assert oss.client.get(place).body == b"before"
        assert oss.client.put(place, b"after", content_type="text/plain").ok
        assert list((oss.root / BUCKET / ".oss/drafts").iterdir()) == []


@FULL
def test_a_log_that_is_full_fails_no_response() -> None:
    script = "from handler.core import audit; audit.write({}); import os; os._exit(7)"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (7, b"")
