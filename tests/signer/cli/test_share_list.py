"""`share --path - --csv`: rows of a service in memory, and the lines and files that are refused before a request."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from signer.cli.sending import share_list
from tests.handler.keys_fixtures import api
from tests.signer.cli.command import run
from tests.signer.cli.test_service import Stub
from tests.signer.cli.test_service import stub as stub
from tests.system import HOST, MAKER

HEADER = "path,address,code,id,expires_at,error\r\n"


def share(stub: Stub, lines: str, *options: str) -> CompletedProcess[str]:
    return run("share", "--path", "-", "--csv", *options, env=stub.env(), stdin=lines)


def rows(output: str) -> list[list[str]]:
    header, *rows = csv.reader(io.StringIO(output, newline=""), strict=True)
    assert header == share_list.COLUMNS
    return rows


def test_each_path_of_a_list_gets_a_row_and_the_same_path_one_share(stub: Stub) -> None:
    stub.oss.fill({'reports/a,"b"\'1.pdf': b"content"})
    lines = '\ufeff/reports/q3.pdf\r\n\r\n/reports/a,"b"\'1.pdf\r\n/reports/q3.pdf'
    done = share(stub, lines, "--password", "--expires", "12h")
    assert (done.returncode, done.stderr) == (0, "2 of 2 paths have an address now.\n")
    first, second = rows(done.stdout)
    assert [first[0], second[0]] == ["/reports/q3.pdf", '/reports/a,"b"\'1.pdf']
    for _, address, code, share_id, expires_at, error in (first, second):
        assert address.startswith(f"{HOST}/-/s/")
        assert [len(code), len(share_id), expires_at, error] == [9, 12, "2026-03-01T18:41:11Z", ""]


def test_a_row_that_fails_says_why_and_does_not_end_it(stub: Stub) -> None:
    done = share(stub, "/reports/none.pdf\n/reports/q3.pdf\n")
    assert (done.returncode, done.stderr) == (2, "1 of 2 paths have an address now.\n")
    failed, shared = rows(done.stdout)
    assert failed[:5] == ["/reports/none.pdf", "", "", "", ""]
    assert "(no_such_object, request " in failed[5]
    assert shared[1]


@pytest.mark.parametrize(("methods", "code"), [(["GET"], "share_not_allowed"), ([], "unknown")])
def test_a_key_that_is_rejected_ends_it(stub: Stub, methods: list[str], code: str) -> None:
    key = api("maker", MAKER, methods=methods) if methods else api("other", "fcp_other_EXAMPLE")
    stub.world = stub.world.with_keys(api=[key])
    done = share(stub, "/reports/q3.pdf\n/reports/q4.pdf\n")
    assert done.returncode == 2
    (row,) = rows(done.stdout)
    assert code in row[5]
    assert f"Error: {row[5]}" in done.stderr
    assert len(stub.keys) == 1


def test_once_something_was_shared_a_path_that_the_key_does_not_cover_is_a_row(stub: Stub) -> None:
    key = api("maker", MAKER, paths=["/reports/"], methods=["SHARE"])
    stub.world = stub.world.with_keys(api=[key])
    done = share(stub, "/reports/q3.pdf\n/open/a.txt\n/reports/none.pdf\n")
    assert done.returncode == 2
    shared, refused, missing = rows(done.stdout)
    assert shared[1]
    assert "(share_not_allowed, request " in refused[5]
    assert "(no_such_object, request " in missing[5]


def test_an_earlier_run_is_resumed_also_one_that_was_cut(stub: Stub, tmp_path: Path) -> None:
    lines = "/reports/q1.pdf\n/reports/季度　报告.pdf\n/reports/q3.pdf\n"
    stub.oss.fill({"reports/季度　报告.pdf": b"content"})
    earlier = tmp_path / "earlier.csv"
    first = share(stub, lines).stdout
    earlier.write_text(f"\ufeff{first}", "utf-8", newline="")
    stub.oss.fill({"reports/q1.pdf": b"content"})
    done = share(stub, lines, "--resume", str(earlier))
    assert [row[0] for row in rows(done.stdout)] == ["/reports/q1.pdf"]
    assert done.stderr == ("1 of 1 paths have an address now. 2 have one of an earlier run.\n")
    for cut in range(len(HEADER), len(first)):
        earlier.write_text(first[:cut], "utf-8", newline="")
        lines_left = first[:cut].splitlines()
        with_address = {line.split(",")[0] for line in lines_left if line.count(",") == 5}
        expected = with_address - {"path", "/reports/q1.pdf"}
        assert share_list.read_shared(str(earlier)) == expected


@pytest.mark.parametrize("content", [b"", b"/reports/q3.pdf\n", b"path;address\n", b"\xff\xfe"])
def test_what_is_not_the_output_of_an_earlier_run_is_refused(
    stub: Stub, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "earlier.csv").write_bytes(content)
    done = share(stub, "/reports/q3.pdf\n", "--resume", str(tmp_path / "earlier.csv"))
    assert (done.returncode, done.stdout, stub.keys) == (2, "", [])
    assert "Error: --resume: " in done.stderr
    assert "--resume" in share(stub, "", "--resume", str(tmp_path / "none.csv")).stderr


@pytest.mark.parametrize(
    "line",
    [
        "reports/q3.pdf",
        "https://links.example.com/reports/q3.pdf",
        "/-/shares",
        "/reports/\x00q3.pdf",
        "/reports/\udcff.pdf",
    ],
)
def test_a_line_that_is_no_path_is_refused_before_the_first_request(stub: Stub, line: str) -> None:
    done = share(stub, f"/reports/q3.pdf\n\n{line}\n")
    assert (done.returncode, done.stdout, stub.keys) == (2, "", [])
    assert "Line 3 is not a path of the service in UTF-8" in done.stderr


def test_more_paths_than_the_maximum_are_refused_before_the_first_request(stub: Stub) -> None:
    assert share_list.MAX_PATHS == 100_000
    done = share(stub, "".join(f"/reports/{n}\n" for n in range(100_001)))
    assert (done.returncode, done.stdout, stub.keys) == (2, "", [])
    assert "Line 100001 is one path more than 100,000, the maximum." in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--csv"],
        ["--csv", "--path", "/reports/q3.pdf"],
        ["--path", "-"],
        ["--csv", "--path", "-", "--path", "/reports/q3.pdf"],
        ["--csv", "--path", "-", "--json"],
        ["--csv", "--path", "-", "--key", "-"],
        ["--csv", "q3.pdf"],
        ["--path", "/reports/q3.pdf", "--resume", "earlier.csv"],
    ],
)
def test_options_that_do_not_go_together_are_refused(stub: Stub, arguments: list[str]) -> None:
    done = run("share", *arguments, env=stub.env(), stdin="/reports/q3.pdf\n")
    assert (done.returncode, done.stdout, stub.keys) == (2, "", [])
