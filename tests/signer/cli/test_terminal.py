"""No line that a command writes holds what a terminal obeys, or what changes the order of what people read."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import pytest

from tests.signer.cli.command import KEYS, run
from tests.signer.signing import sign

HOSTILE = "\x1b]0;pwned\x07\x1b[2J\x9b31m\u0085\u202efdp.exe\u2028\u2066\x7f"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
OSS = "https://examplebucket.oss-cn-hangzhou.aliyuncs.com"
BIDI = "q3\u202efdp\x9b.exe"  # a key that can be signed


def presign(key: str = BIDI) -> str:
    return sign(key=key, credentials=KEYS, now=None).url


LINKS = {
    "key": f"{OSS}/{quote(HOSTILE)}?x-oss-signature=1",
    "bucket": f"https://oss-cn-hangzhou.aliyuncs.com/{quote(HOSTILE)}/a?x-oss-signature=1",
    "region": f"{OSS}/a?x-oss-credential=a%2F20251128%2Fcn{quote(HOSTILE)}%2Foss%2Faliyun_v4_request&x-oss-signature=1",
    "header": f"{presign('a')}&x-oss-additional-headers={quote(HOSTILE)}",
    "name": f"{presign('a')}&{quote(HOSTILE)}=1",
    "host": f"https://a{HOSTILE}.example.com/a?x-oss-signature=1",
    "signed key": presign(),
}
ANSWER = (
    f"<Error><Code>Some{HOSTILE}</Code><Message>No{HOSTILE}</Message><EC>1{HOSTILE}</EC></Error>"
)


@pytest.mark.parametrize("url", LINKS.values(), ids=LINKS)
def test_a_stranger_s_link_is_shown_without_controls(url: str) -> None:
    for options in ((), ("--json",)):
        done = run("explain", url, *options)
        assert not UNSAFE.search(done.stdout + done.stderr)
        if options and done.stdout:
            json.loads(done.stdout)


def test_what_oss_answered_is_shown_without_controls() -> None:
    for options in ((), ("--json",)):
        done = run("explain", presign("a"), "--error-xml", "-", *options, stdin=ANSWER)
        assert "other_error" in done.stdout
        assert not UNSAFE.search(done.stdout + done.stderr)


def test_a_line_break_in_a_key_makes_no_line_of_its_own() -> None:
    done = run("explain", f"{OSS}/a%0ANothing%20wrong?x-oss-signature=1")
    assert "oss://examplebucket/a\\u000aNothing wrong\n" in done.stdout
    assert (
        json.loads(run("explain", f"{OSS}/a%0Ab?x-oss-signature=1", "--json").stdout)["key"]
        == "a\nb"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("bulk", "-", "--bucket", "examplebucket", "--column", "nope"),
        ("bulk", "-", "--bucket", f"b{HOSTILE}"),
        ("sign", f"oss://examplebucket/{HOSTILE}"),
        ("curl", f"oss://examplebucket/{BIDI}"),
        ("curl", "oss://examplebucket/a", "--method", "PUT", "--file", HOSTILE),
        ("sign", f"oss://examplebucket/{BIDI}", "--json"),
        ("sign", "oss://examplebucket/a", "--region", f"cn-{HOSTILE}"),
        ("sign", "oss://examplebucket/a", "--profile", HOSTILE),
        ("explain", "-", "--error-xml", f"/nonexistent{HOSTILE}"),
        (f"no{HOSTILE}",),
    ],
)
def test_neither_results_nor_errors_hold_controls(arguments: tuple[str, ...]) -> None:
    done = run(*arguments, stdin=f"a{HOSTILE}\n")
    assert done.stdout + done.stderr
    assert not UNSAFE.search(done.stderr)
    assert not UNSAFE.search(done.stdout)


def test_json_lines_has_keys_as_they_are() -> None:
    done = run("bulk", "--bucket", "examplebucket", "--format", "jsonl", stdin=f"{BIDI}\n")
    assert json.loads(done.stdout)["key"] == BIDI


@pytest.mark.parametrize(
    ("column", "content"),
    [
        ("key", "key\n" + "a" * 140_000),
        ("1", "a" * 140_000),
        ("1", '"' + "a" * 140_000),
        ("key", "key\na\rb\n"),
        ("1", "a\rb\n"),
        ("9" * 5000, "a\n"),
    ],
)
def test_an_invalid_csv_or_column_is_refused_with_a_sentence(column: str, content: str) -> None:
    done = run("bulk", "-", "--bucket", "examplebucket", "--column", column, stdin=content)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
