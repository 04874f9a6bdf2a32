"""Links for many objects: every record is complete, also in an interrupted run."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

import signer
from local.oss import create_app
from local.server import listen, serve
from signer import cli
from signer.cli.bulk_formats import FORMATS, Item, Refusal, read_column, read_lines, sign
from signer.cli.bulk_output import open_output
from signer.cli.listing import ListedObject, ListingFailed, objects
from signer.times import rfc3339

KEYS = signer.Credentials("STS.EXAMPLE", "secretEXAMPLE", "CAIStoken+/EXAMPLE==")
BUCKET = "examplebucket"
HANGZHOU = signer.Endpoint.public("cn-hangzhou")
EARLIER = "They expire at the latest 1 hour after they were signed; earlier if the security token does."
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
ENVIRONMENT = {
    "OSS_ACCESS_KEY_ID": KEYS.access_key_id,
    "OSS_ACCESS_KEY_SECRET": KEYS.access_key_secret,
    "OSS_SESSION_TOKEN": KEYS.security_token or "",
    "OSS_REGION": "cn-hangzhou",
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "PYTHONPATH": str(Path(signer.__file__).parents[1]),
    "PYTHONIOENCODING": "utf-8",
}


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "signer", "bulk", *arguments],
        input=stdin,
        capture_output=True,
        env=ENVIRONMENT,
        timeout=60,
        check=False,
    )


def records(text: str, form: str) -> list[tuple[int, str, str]]:
    """Line, key and URL of each record, read with standard parsers."""
    if form == "csv":
        return [(int(row["line"]), row["key"], row["url"]) for row in csv.DictReader(io.StringIO(text))]
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
        self._url: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag != "meta":
            self.open_tags.append(tag)
        if tag == "tr" and "data-line" in attributes:
            self._line = int(attributes["data-line"] or 0)
        if tag == "a":
            self._url = attributes["href"]

    def handle_data(self, data: str) -> None:
        if self._url is not None:
            self.rows.append((self._line, data, self._url))
            self._url = None

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag


def lines_of(number: int) -> str:
    return "".join(f"reports/{i:06d} q3.pdf\n" for i in range(1, number + 1))


def test_the_links_are_those_of_presign() -> None:
    items = read_lines([f"{key}\n" for key in ODD], BUCKET)
    (batch,) = sign(items, credentials=KEYS, endpoint=HANGZHOU, expires_in=600, clock=lambda: NOW + 0.9)
    for key, signed in zip(ODD, batch, strict=True):
        link = signer.presign("GET", BUCKET, key, credentials=KEYS, endpoint=HANGZHOU, expires_in=600, now=NOW)
        assert not isinstance(signed, Refusal)
        assert signed.link == link


def test_each_second_has_its_own_signing_time() -> None:
    times = iter(range(NOW, NOW + 100))
    items = read_lines(lines_of(1100).splitlines(), BUCKET)
    batches = list(sign(items, credentials=KEYS, endpoint=HANGZHOU, expires_in=60, clock=lambda: next(times)))
    expiries = {
        int(entry.link.expires_at.timestamp()) for batch in batches for entry in batch if not isinstance(entry, Refusal)
    }
    assert expiries == {NOW + 60, NOW + 61, NOW + 62}


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_odd_keys_survive_each_format(form: str) -> None:
    done = run("--bucket", BUCKET, "--format", form, stdin="\n".join(ODD).encode())
    assert done.returncode == 0
    links = records(done.stdout.decode(), form)
    assert [(line, key) for line, key, _ in links] == list(enumerate(ODD, 1))
    for _, key, url in links:
        assert signer.verify("GET", url, credentials=KEYS).ok
        assert signer.explain(url).key == key


def test_an_invalid_key_is_reported_with_its_line_and_skipped() -> None:
    text = (
        b"a.txt\n\n../b\nc.txt\n"
        + b"\xff\xfe\n"
        + b"oss://other-bucket/d.txt\noss://Bad_Bucket/e\n"
        + b"x" * 1024
        + b"\nlast"
    )
    done = run("--bucket", BUCKET, stdin=text)
    assert done.returncode == 1
    assert [line for line, _, _ in records(done.stdout.decode(), "csv")] == [1, 4, 6, 9]
    errors = done.stderr.decode().splitlines()
    assert [error.partition(":")[0] for error in errors[:-1]] == ["line 3", "line 5", "line 7", "line 8"]
    assert errors[-1] == f"4 links, 4 refused. {EARLIER}"


def test_lines_without_a_bucket_say_what_to_do() -> None:
    refusals = list(read_lines(["a.txt", "oss://examplebucket"], None))
    assert refusals == [
        Refusal(1, "Missing bucket: write oss://bucket/key, or pass --bucket."),
        Refusal(2, "Invalid address 'oss://examplebucket': expected oss://bucket/key."),
    ]


def test_a_csv_column_is_taken_by_name_or_by_number(tmp_path: Path) -> None:
    table = tmp_path / "orders.csv"
    table.write_text('id,invoice key\n1,"a, b.pdf"\n2,c.pdf\n', encoding="utf-8-sig")
    done = run(str(table), "--column", "invoice key", "--bucket", BUCKET)
    assert [(line, key) for line, key, _ in records(done.stdout.decode(), "csv")] == [(2, "a, b.pdf"), (3, "c.pdf")]
    assert list(read_column(io.StringIO("x,a\ny,b\n"), "2", BUCKET)) == [Item(1, BUCKET, "a"), Item(2, BUCKET, "b")]
    assert run(str(table), "--bucket", BUCKET).returncode == 2
    unknown = run(str(table), "--column", "nothing", "--bucket", BUCKET)
    assert unknown.returncode == 2
    assert b"invoice key" in unknown.stderr


def test_only_the_summary_is_printed_to_a_pipe() -> None:
    done = run("--bucket", BUCKET, stdin=lines_of(2000).encode())
    assert done.stderr.decode() == f"2000 links. {EARLIER}\n"
    summary = run("--bucket", BUCKET, "--json", stdin=b"a\n").stderr
    assert json.loads(summary) == {
        "links": 1,
        "refused": 0,
        "whole": True,
        "output": "-",
        "expires_in": 3600,
        "may_end_early": True,
    }


def test_links_do_not_outlive_the_expiry_of_the_credentials_that_is_passed() -> None:
    expiry = rfc3339(int(time.time()) + 600)
    done = run("--bucket", BUCKET, "--format", "jsonl", "--credentials-expire-at", expiry, stdin=b"a\n")
    assert json.loads(done.stdout)["expires_at"] == expiry
    assert done.stderr == b"1 link.\n"


def test_an_index_heads_its_column_with_what_it_knows() -> None:
    page = run("--bucket", BUCKET, "--format", "html", stdin=b"a\n").stdout.decode()
    assert '<th scope="col">Expires at the latest</th>' in page


def test_a_terminal_shows_a_progress_bar(tmp_path: Path) -> None:
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "signer", "bulk", "--bucket", BUCKET, "--output", str(tmp_path / "links.csv")]
    try:
        done = subprocess.run(
            command, input=lines_of(1000).encode(), stderr=terminal, env=ENVIRONMENT, timeout=60, check=True
        )
        screen_text = os.read(screen, 1 << 16).decode()
    finally:
        os.close(terminal)
        os.close(screen)
    assert done.returncode == 0
    assert re.search(r"1\.0+k links \[", screen_text)
    assert "1000 links." in screen_text


def test_a_closed_pipe_ends_the_run_without_a_traceback() -> None:
    command = [sys.executable, "-m", "signer", "bulk", "--bucket", BUCKET]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        try:
            process.stdin.write(lines_of(5000).encode())
            process.stdin.close()
        except BrokenPipeError:
            pass
        assert b"Traceback" not in process.stderr.read()
        assert process.wait(30) == 1


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    run("--bucket", BUCKET, "--output", str(tmp_path / "links.csv"), stdin=b"a\n")
    assert (tmp_path / "links.csv").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("form", sorted(FORMATS))
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_complete_records_and_says_that_it_is_incomplete(
    form: str, number: int, tmp_path: Path
) -> None:
    output = tmp_path / f"links.{form}"
    command = [sys.executable, "-m", "signer", "bulk", "--bucket", BUCKET, "--output", str(output)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(lines_of(1200).encode())
        process.stdin.flush()
        wait_until(lambda: output.exists() and output.read_bytes().count(b"reports") >= 1024)
        process.send_signal(number)
        errors = process.stderr.read().decode()
        assert process.wait(30) == 1
    written = records(output.read_text(), form)
    assert written
    assert [line for line, _, _ in written] == list(range(1, len(written) + 1))
    assert len(written) < 1200
    assert all(signer.verify("GET", url, credentials=KEYS).ok for _, _, url in written)
    assert errors == f"{len(written)} links; interrupted: the output is incomplete. {EARLIER}\n"


def test_a_signal_is_delayed_until_the_batch_is_written(tmp_path: Path) -> None:
    def interrupted() -> None:
        with open_output(str(tmp_path / "links.csv"), FORMATS["csv"]) as out, out.uninterrupted():
            os.kill(os.getpid(), signal.SIGTERM)
            out.write("a record\n")

    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "links.csv").read_text() == "line,bucket,key,size,expires_at,url\na record\n"
    assert signal.getsignal(signal.SIGTERM) is handler


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        os.sched_yield()


def test_memory_does_not_grow_with_the_list(tmp_path: Path) -> None:
    code = (
        "import re, sys\n"
        "from signer.cli import run\n"
        "status = run(['bulk', sys.argv[1], '--bucket', 'examplebucket', '--output', '/dev/null'])\n"
        # Unlike ru_maxrss, this does not include the memory of the parent process.
        "print(status, re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
    )
    peaks = []
    for number in (2_000, 60_000):
        source = tmp_path / f"{number}.txt"
        source.write_text(lines_of(number))
        done = subprocess.run(
            [sys.executable, "-c", code, str(source)],
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            timeout=60,
            check=True,
        )
        status, peak = done.stdout.split()
        assert status == "0"
        peaks.append(int(peak))
    assert peaks[1] - peaks[0] < 4096  # KiB, for thirty times the links


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[signer.Endpoint]:
    """A local OSS with 22 objects under in/ and one outside it."""
    app = create_app(tmp_path / "oss", region="cn-hangzhou", credentials=[KEYS], buckets=[BUCKET])
    client = app.test_client()
    endpoint = signer.Endpoint.path_style("http://127.0.0.1", "cn-hangzhou")
    for number in range(1, 23):
        key = f"in/報告 {number:04d}+&.txt"
        link = signer.presign("PUT", BUCKET, key, credentials=KEYS, endpoint=endpoint)
        assert client.put(link.url, data=b"x" * number).status_code == 200
    link = signer.presign("PUT", BUCKET, "other.txt", credentials=KEYS, endpoint=endpoint)
    assert client.put(link.url, data=b"x").status_code == 200
    server = serve(app, listen(0))
    yield signer.Endpoint.path_style(server.url, "cn-hangzhou")
    server.close()


def test_everything_under_a_prefix_is_listed_page_by_page(
    cloud: signer.Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signer.cli.listing.PAGE", 5)
    listed = list(objects(BUCKET, "in/", credentials=KEYS, endpoint=cloud))
    assert [(entry.key, entry.size) for entry in listed] == [(f"in/報告 {n:04d}+&.txt", n) for n in range(1, 23)]


def test_bulk_signs_all_objects_under_a_prefix_with_their_sizes(cloud: signer.Endpoint, tmp_path: Path) -> None:
    output = tmp_path / "index.html"
    address = f"{cloud.scheme}://{cloud.domain}"
    assert run(f"oss://{BUCKET}/in/", "--output", str(output), "--endpoint", address).returncode == 0
    page = output.read_text()
    assert [(line, key) for line, key, _ in records(page, "html")] == [
        (n, f"in/報告 {n:04d}+&.txt") for n in range(1, 23)
    ]
    assert '<td class="size">22</td>' in page
    everything = run(f"oss://{BUCKET}", "--endpoint", address)
    assert len(records(everything.stdout.decode(), "csv")) == 23


def test_a_refused_listing_says_why(cloud: signer.Endpoint) -> None:
    wrong = KEYS._replace(access_key_secret="anotherEXAMPLE")
    with pytest.raises(ListingFailed, match="SignatureDoesNotMatch"):
        list(objects(BUCKET, "", credentials=wrong, endpoint=cloud))
    unreachable = signer.Endpoint.path_style("http://127.0.0.1:9", "cn-hangzhou")
    pauses: list[float] = []
    reports: list[str] = []
    with pytest.raises(ListingFailed, match=r"at 127\.0\.0\.1:9: Connection refused\."):
        list(objects(BUCKET, "", credentials=KEYS, endpoint=unreachable, pause=pauses.append, report=reports.append))
    assert len(pauses) == 3
    assert reports[0] == "127.0.0.1:9: Connection refused. Trying again (2 of 4)..."
    assert len(reports) == 3


def test_a_failed_list_names_host_and_reason_before_anything_is_written(cloud: signer.Endpoint, tmp_path: Path) -> None:
    output = tmp_path / "links.csv"
    output.write_text("precious")
    cloud_address = f"{cloud.scheme}://{cloud.domain}"
    for address, target, reason in (
        (cloud_address, str(output), f"at {cloud.domain}: NoSuchBucket"),
        (cloud_address, "-", f"at {cloud.domain}: NoSuchBucket"),
    ):
        done = run("oss://missing-bucket/in/", "--endpoint", address, "--output", target)
        assert (done.returncode, done.stdout) == (2, b"")
        assert reason in done.stderr.decode()
        assert done.stderr.count(b"\n") == 1
    assert output.read_text() == "precious"


def test_a_list_that_fails_later_says_that_the_output_is_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object, **options: object) -> Iterator[ListedObject]:
        yield ListedObject("a.txt", 1)
        raise ListingFailed("Cannot list oss://examplebucket/ at host: Connection refused.")

    # The package's attribute `bulk` is the command, not the module.
    monkeypatch.setattr(sys.modules["signer.cli.bulk"], "objects", broken)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert cli.run(["bulk", "oss://examplebucket/", "--output", str(tmp_path / "links.csv")]) == 2
    assert "Connection refused. The output is incomplete." in capsys.readouterr().err


def test_a_missing_source_does_not_change_the_output(tmp_path: Path) -> None:
    output = tmp_path / "links.csv"
    output.write_text("precious")
    assert run(str(tmp_path / "none.txt"), "--bucket", BUCKET, "--output", str(output)).returncode == 2
    assert output.read_text() == "precious"
