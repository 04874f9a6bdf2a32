"""Links for many objects: every record is complete, also in an interrupted run."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest

import signer
from signer import cli
from signer.cli.bulk_formats import FORMATS, Item, Refusal, read_column, read_lines, sign
from signer.cli.bulk_output import Output, OutputFailed
from signer.cli.listing import ListingFailed, objects
from signer.common.files import keep_draft
from signer.common.listing import ListedObject, listing_query
from signer.emulator.ram import Principals
from tests.local_oss import local_oss
from tests.signer.cli import command as command_line
from tests.signer.cli.command import ENVIRONMENT, KEYS

BUCKET = "examplebucket"
HANGZHOU = signer.Endpoint.public("cn-hangzhou")
EARLIER = (
    "They expire at the latest 1 hour after they were signed; earlier if the security token does."
)
NOW = 1_732_494_588
ODD = [
    "a.txt",
    'with "quotes", and commas',
    "報告/q3 <b>.pdf",
    "=cmd()",
    " leading",
    "semi;colon",
    "it's & more",
    "100%",
]


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return command_line.run("bulk", *arguments, stdin=stdin)


def records(text: str, form: str) -> list[tuple[int, str, str]]:
    """Line, key and URL of each record, read with standard parsers."""
    if form == "csv":
        return [
            (int(row["line"]), row["key"], row["url"]) for row in csv.DictReader(io.StringIO(text))
        ]
    if form == "jsonl":
        return [(r["line"], r["key"], r["url"]) for r in map(json.loads, text.splitlines())]
    page = Page()
    page.feed(text)
    page.close()
    assert page.open_tags == []
    return page.rows


class Page(HTMLParser):
    """The rows of an HTML index."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, str, str]] = []
        self.open_tags: list[str] = []
        self._line = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag != "meta":
            self.open_tags.append(tag)
        if tag == "tr" and "data-line" in attributes:
            self._line = int(attributes["data-line"] or 0)
        if tag == "a":
            self.rows.append((self._line, attributes["title"] or "", attributes["href"] or ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag


def lines_of(number: int) -> str:
    return "".join(f"reports/{i:06d} q3.pdf\n" for i in range(1, number + 1))


@pytest.mark.parametrize("form", ["csv", "html"])
def test_a_character_that_breaks_or_reorders_lines_is_an_escape_in_a_file_for_people(
    form: str,
) -> None:
    key = "a\u0085b\u2028c\u202efdp.exe\x9b2J"
    (batch,) = sign(
        read_lines([key], BUCKET),
        credentials=KEYS,
        endpoint=HANGZHOU,
        expires_in=600,
        clock=lambda: NOW,
    )
    assert not isinstance(batch[0], Refusal)
    record = FORMATS[form].record(*batch[0])
    assert len(record.splitlines()) == 1
    assert r"a\u0085b\u2028c\u202efdp.exe\u009b2J" in record


@pytest.mark.parametrize("name", ["x.json", "x.xlsx"])
def test_a_file_of_another_format_is_refused_as_output(name: str, tmp_path: Path) -> None:
    done = run("--bucket", BUCKET, "--output", str(tmp_path / name), stdin="a")
    assert done.returncode == 2
    assert "the formats are CSV, JSON Lines (.jsonl) and HTML" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_each_second_has_its_own_signing_time() -> None:
    times = iter(range(NOW, NOW + 100))
    items = read_lines(lines_of(1100).splitlines(), BUCKET)
    batches = list(
        sign(items, credentials=KEYS, endpoint=HANGZHOU, expires_in=60, clock=lambda: next(times))
    )
    expiries = {
        int(entry.link.expires_at.timestamp())
        for batch in batches
        for entry in batch
        if not isinstance(entry, Refusal)
    }
    assert expiries == {NOW + 60, NOW + 61, NOW + 62}


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_odd_keys_survive_each_format(form: str) -> None:
    done = run("--bucket", BUCKET, "--format", form, stdin="\n".join(ODD))
    assert done.returncode == 0
    links = records(done.stdout, form)
    assert [(line, key) for line, key, _ in links] == list(enumerate(ODD, 1))
    for _, key, url in links:
        assert signer.verify("GET", url, credentials=KEYS).ok
        assert signer.explain(url).key == key


def test_an_invalid_key_is_reported_with_its_line_and_skipped() -> None:
    lines = [
        "a.txt",
        "",
        "../b",
        "c.txt",
        "\udcff\udcfe",
        "oss://other-bucket/d.txt",
        "oss://Bad_Bucket/e",
        "x" * 1024,
    ]
    done = run("--bucket", BUCKET, stdin="\n".join([*lines, "last"]))
    assert done.returncode == 1
    assert [line for line, _, _ in records(done.stdout, "csv")] == [1, 4, 6, 9]
    errors = done.stderr.splitlines()
    assert [error.partition(":")[0] for error in errors[:-1]] == [
        "line 3",
        "line 5",
        "line 7",
        "line 8",
    ]
    assert errors[-1] == f"4 links, 4 refused. {EARLIER}"


def test_lines_without_a_bucket_say_what_to_do() -> None:
    assert list(read_lines(["a.txt", "oss://examplebucket"], None)) == [
        Refusal(1, "Missing bucket: write oss://bucket/key, or pass --bucket."),
        Refusal(2, "Invalid address 'oss://examplebucket': expected oss://bucket/key."),
    ]


def test_a_csv_column_is_taken_by_name_or_by_number(tmp_path: Path) -> None:
    table = tmp_path / "orders.csv"
    table.write_text('id,invoice key\n1,"a, b.pdf"\n2,c.pdf\n', encoding="utf-8-sig")
    done = run(str(table), "--column", "invoice key", "--bucket", BUCKET)
    assert [(line, key) for line, key, _ in records(done.stdout, "csv")] == [
        (2, "a, b.pdf"),
        (3, "c.pdf"),
    ]
    assert list(read_column(io.StringIO("x,a\ny,b\n"), "2", BUCKET)) == [
        Item(1, BUCKET, "a"),
        Item(2, BUCKET, "b"),
    ]
    assert run(str(table), "--bucket", BUCKET).returncode == 2
    unknown = run(str(table), "--column", "nothing", "--bucket", BUCKET)
    assert unknown.returncode == 2
    assert "invoice key" in unknown.stderr


def test_only_the_summary_is_printed_to_a_pipe() -> None:
    done = run("--bucket", BUCKET, stdin=lines_of(2000))
    assert done.stderr == f"2000 links. {EARLIER}\n"
    done = run("--bucket", BUCKET, "--expires", "7d", "--json", "--format", "jsonl", stdin="a\n")
    counts = {"links": 1, "refused": 0, "whole": True, "output": "-"}
    assert json.loads(done.stderr) == {**counts, "expires_in": 43_200, "may_end_early": True}
    assert "&x-oss-expires=43200&" in json.loads(done.stdout)["url"]


def test_a_terminal_shows_the_progress(tmp_path: Path) -> None:
    screen, terminal = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "signer",
        "bulk",
        "--bucket",
        BUCKET,
        "--output",
        str(tmp_path / "links.csv"),
    ]
    try:
        subprocess.run(
            command,
            input=lines_of(1000).encode(),
            stderr=terminal,
            env=ENVIRONMENT,
            timeout=60,
            check=True,
        )
        screen_text = os.read(screen, 1 << 16).decode()
    finally:
        os.close(terminal)
        os.close(screen)
    assert "512 links\r" in screen_text
    assert "1000 links." in screen_text


def test_a_closed_pipe_ends_the_run_without_a_traceback() -> None:
    command = [sys.executable, "-m", "signer", "bulk", "--bucket", BUCKET]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdout
        process.stdout.close()
        _, errors = process.communicate(lines_of(5000).encode(), timeout=30)
    assert (process.returncode, errors) == (1, b"")


@pytest.mark.parametrize(("form", "number"), [("html", signal.SIGINT), ("csv", signal.SIGTERM)])
def test_an_interrupted_run_prints_complete_records_and_says_that_they_are_incomplete(
    form: str, number: int
) -> None:
    command = [sys.executable, "-m", "signer", "bulk", "--bucket", BUCKET, "--format", form]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, env=ENVIRONMENT
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(lines_of(1200).encode())
        process.stdin.flush()
        printed = b""
        while printed.count(b"examplebucket.oss") < 1024:
            assert select.select([process.stdout], [], [], 30)[0]
            printed += os.read(process.stdout.fileno(), 1 << 16)
        process.send_signal(number)
        rest, errors = process.communicate(timeout=30)
        assert process.returncode == 128 + number
    written = records((printed + rest).decode(), form)
    assert [line for line, _, _ in written] == list(range(1, len(written) + 1))
    assert len(written) < 1200
    assert signer.verify("GET", written[-1][2], credentials=KEYS).ok
    assert errors.decode() == f"{len(written)} links, interrupted. The output is incomplete.\n"


def test_an_interrupted_run_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    output = tmp_path / "links.csv"
    output.write_text("before")
    command = [sys.executable, "-m", "signer", "bulk", "--bucket", BUCKET, "--output", str(output)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        assert process.stdin
        process.stdin.write(lines_of(1200).encode())
        process.stdin.flush()

        def written() -> int:
            return sum(
                path.read_bytes().count(b"examplebucket.oss")
                for path in tmp_path.glob("links.csv.*.incomplete")
            )

        deadline = time.monotonic() + 30
        while written() < 1024:
            assert time.monotonic() < deadline
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 130
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        ("links.csv", "before")
    ]
    assert errors == b"1024 links, interrupted. The previous file was kept.\n"


def test_a_signal_is_delayed_until_the_batch_is_written(tmp_path: Path) -> None:
    out = Output(str(tmp_path / "links.csv"), FORMATS["csv"])
    written = ""

    def interrupted() -> None:
        nonlocal written
        with out.opened(), out.uninterrupted():
            os.kill(os.getpid(), signal.SIGTERM)
            out.write("a record\n")
            written = next(tmp_path.iterdir()).read_text()

    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (out.is_complete, out.outcome, out.stopped_by) == (
        False,
        "Nothing was written.",
        signal.SIGTERM,
    )
    assert written == "line,bucket,key,size,expires_at,url\na record\n"
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_ignored_when_the_run_starts_stays_ignored(
    tmp_path: Path, number: signal.Signals
) -> None:
    out = Output(str(tmp_path / "links.csv"), FORMATS["csv"])
    handler = signal.signal(number, signal.SIG_IGN)
    try:
        with out.opened():
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, handler)
    assert out.is_complete


def test_a_signal_after_the_last_record_does_not_interrupt_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminate_first(draft: str, path: str, mode: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        keep_draft(draft, path, mode)

    monkeypatch.setattr("signer.cli.bulk_output.keep_draft", terminate_first)
    out = Output(str(tmp_path / "links.html"), FORMATS["html"])
    with out.opened():
        pass
    assert out.is_complete
    assert (tmp_path / "links.html").read_text().endswith("</html>\n")


def write(output: Path) -> None:
    with Output(str(output), FORMATS["csv"]).opened():
        pass


class TestExistingFiles:
    """What is at the path of the output, and what becomes of it."""

    def test_only_the_owner_can_read_a_new_file_and_another_keeps_its_mode(
        self, tmp_path: Path
    ) -> None:
        output = tmp_path / "links.csv"
        write(output)
        assert output.stat().st_mode & 0o777 == 0o600
        output.write_text("before")
        output.chmod(0o664)
        write(output)
        assert output.read_text().startswith("line,")
        assert output.stat().st_mode & 0o777 == 0o664

    def test_the_list_may_be_the_output(self, tmp_path: Path) -> None:
        keys = tmp_path / "keys.txt"
        keys.write_text("a.txt\n")
        assert run(str(keys), "--bucket", BUCKET, "--output", str(keys)).returncode == 0
        assert keys.read_text().startswith(
            "line,bucket,key,size,expires_at,url\n1,examplebucket,a.txt,"
        )

    def test_a_symbolic_link_stays_one(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "links.csv").symlink_to("folder/real.csv")
        for before in ("", "before"):
            write(tmp_path / "links.csv")
            assert (tmp_path / "links.csv").is_symlink()
            assert (tmp_path / "folder/real.csv").read_text().startswith("line,")
            (tmp_path / "folder/real.csv").write_text(before)

    @pytest.mark.parametrize(
        "make",
        [os.mkfifo, os.mkdir, partial(os.symlink, "/dev/null")],
        ids=["pipe", "folder", "device"],
    )
    def test_what_is_not_a_file_is_refused_and_stays(
        self, tmp_path: Path, make: Callable[[Path], None]
    ) -> None:
        path = tmp_path / "links.csv"
        make(path)
        before = path.stat()
        with pytest.raises(
            OutputFailed, match=r"\(it is not a regular file: .*\)\. The previous file was kept\."
        ):
            write(path)
        assert path.stat().st_ino == before.st_ino
        assert list(tmp_path.iterdir()) == [path]

    def test_a_file_that_may_not_be_written_is_not_replaced(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(path: str, *arguments: int) -> int:
            if path.endswith(".csv"):
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return open_file(path, *arguments)

        open_file = os.open
        (tmp_path / "links.csv").write_text("before")
        monkeypatch.setattr("signer.cli.bulk_output.os.open", refuse)
        with pytest.raises(
            OutputFailed, match=r"\(Permission denied\)\. The previous file was kept\."
        ):
            write(tmp_path / "links.csv")
        assert (tmp_path / "links.csv").read_text() == "before"

    @pytest.mark.parametrize("path", ["{}/nothing/links.csv", "{}/" + "x" * 255, ""])
    def test_a_file_that_cannot_be_created_is_named_at_once(
        self, tmp_path: Path, path: str
    ) -> None:
        output = Output(path.format(tmp_path), FORMATS["csv"])
        with (
            pytest.raises(
                OutputFailed, match=r"cannot be written \(.*\)\. .* was (written|kept)\."
            ),
            output.opened(),
        ):
            pytest.fail("it was opened")
        assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_list(tmp_path: Path) -> None:
    source, peaks = tmp_path / "keys.txt", []
    for number in (1, 600, 2_600):  # the first loads modules
        source.write_text(lines_of(number))
        tracemalloc.start()
        assert (
            run(str(source), "--bucket", BUCKET, "--output", str(tmp_path / "links.csv")).returncode
            == 0
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < 250_000  # bytes, for 2,000 links, of which each has 500


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[signer.Endpoint]:
    """A local OSS with 22 objects under in/ and one outside it."""
    with local_oss(tmp_path_factory.mktemp("oss"), Principals.of_account([KEYS])) as running:
        oss = replace(running, credentials=KEYS)
        for number, key in enumerate(
            ["other.txt", *(f"in/報告 {number:04d}+&.txt" for number in range(1, 23))]
        ):
            oss.put(key, b"x" * max(number, 1))
        yield oss.endpoint


def test_bulk_signs_all_objects_under_a_prefix_page_by_page_with_their_sizes(
    cloud: signer.Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signer.common.listing.PAGE", 5)
    output = tmp_path / "index.html"
    address = f"{cloud.scheme}://{cloud.domain}"
    assert (
        run(f"oss://{BUCKET}/in/", "--output", str(output), "--endpoint", address).returncode == 0
    )
    page = output.read_text()
    assert [(line, key) for line, key, _ in records(page, "html")] == [
        (n, f"in/報告 {n:04d}+&.txt") for n in range(1, 23)
    ]
    assert '<td class="size">22 B</td>' in page
    assert ">報告 0022+&amp;.txt</a><small>in/</small>" in page
    everything = run(f"oss://{BUCKET}", "--endpoint", address)
    assert len(records(everything.stdout, "csv")) == 23


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_proxy_is_not_asked_for_a_list_of_this_machine(
    host: str, cloud: signer.Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    own = signer.Endpoint.path_style(
        f"http://{host}:{cloud.domain.rpartition(':')[2]}", "cn-hangzhou"
    )
    assert (
        len(list(objects(BUCKET, "", credentials=KEYS, endpoint=own, pause=lambda seconds: None)))
        == 23
    )


def test_a_list_is_asked_for_four_times_where_nobody_answers() -> None:
    unreachable = signer.Endpoint.path_style("http://127.0.0.1:9", "cn-hangzhou")
    pauses: list[float] = []
    reports: list[str] = []
    with pytest.raises(ListingFailed, match=r"at 127\.0\.0\.1:9: Connection refused\."):
        list(
            objects(
                BUCKET,
                "",
                credentials=KEYS,
                endpoint=unreachable,
                pause=pauses.append,
                report=reports.append,
            )
        )
    assert len(pauses) == 3
    assert reports[0] == "127.0.0.1:9: Connection refused. Trying again (2 of 4)..."
    assert len(reports) == 3


def test_a_failed_list_names_host_and_reason_before_anything_is_written(
    cloud: signer.Endpoint, tmp_path: Path
) -> None:
    output = tmp_path / "links.csv"
    output.write_text("precious")
    for target in (str(output), "-"):
        done = run(
            "oss://missing-bucket/in/",
            "--endpoint",
            f"{cloud.scheme}://{cloud.domain}",
            "--output",
            target,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert f"at {cloud.domain}: NoSuchBucket" in done.stderr
        assert done.stderr.count("\n") == 1
    assert (
        run(str(tmp_path / "none.txt"), "--bucket", BUCKET, "--output", str(output)).returncode == 2
    )
    assert output.read_text() == "precious"


def test_a_list_that_fails_later_says_what_became_of_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object, **options: object) -> Iterator[ListedObject]:
        yield ListedObject("a.txt", 1)
        raise ListingFailed("Cannot list oss://examplebucket/ at host: Connection refused.")

    # The package's attribute `bulk` is the command, not the module.
    monkeypatch.setattr(sys.modules["signer.cli.bulk"], "objects", broken)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    output = tmp_path / "links.csv"
    outcomes = []
    for path in ("-", str(output), str(output)):
        assert cli.run(["bulk", "oss://examplebucket/", "--output", path]) == 2
        outcomes.append(capsys.readouterr().err.partition("Connection refused. ")[2])
        assert not output.exists() or output.read_text() == "before"
        if path != "-":
            output.write_text("before")
    assert outcomes == [
        "The output is incomplete.\n",
        "Nothing was written.\n",
        "The previous file was kept.\n",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["links.csv"]


def test_the_list_of_an_entire_bucket_names_its_empty_prefix() -> None:
    assert listing_query("")["prefix"] == ""
