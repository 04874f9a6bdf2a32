"""`download`: an object that arrives as a file, under a name that every browser reads the same way (RFC 6266)."""

from __future__ import annotations

from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header

from tests.handler.client import ask, mount, raw_path


def disposition(download: str, path: str = "/exampledir/a.txt") -> str:
    answered = ask(path, query={"download": download})
    assert answered.status == 302, answered
    assert set(answered.query) == {"response-content-disposition"}
    assert answered.signs()
    return answered.query["response-content-disposition"]


def name_by_werkzeug(header: str) -> str:
    kind, options = parse_options_header(header)
    assert kind == "attachment"
    return options["filename"]


def name_by_email(header: str) -> str | None:
    """Python's own reader of mail takes the first of two names, so it is shown the extended one alone (RFC 2231)."""
    message = Message()
    message["Content-Disposition"] = "attachment; filename*=" + header.partition("; filename*=")[2]
    assert message.get_content_disposition() == "attachment"
    return message.get_filename()


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("q3.pdf", "attachment; filename=\"q3.pdf\"; filename*=UTF-8''q3.pdf"),
        ("q 3.pdf", "attachment; filename=\"q 3.pdf\"; filename*=UTF-8''q%203.pdf"),
        ("报告.txt", "attachment; filename=\"__.txt\"; filename*=UTF-8''%E6%8A%A5%E5%91%8A.txt"),
        ('a"b.txt', "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("a%41.txt", "attachment; filename=\"a_41.txt\"; filename*=UTF-8''a%2541.txt"),
        ("a;b=c,d.txt", "attachment; filename=\"a;b=c,d.txt\"; filename*=UTF-8''a%3Bb%3Dc%2Cd.txt"),
        ("😀.png", "attachment; filename=\"_.png\"; filename*=UTF-8''%F0%9F%98%80.png"),
        ("it's (1)*.txt", "attachment; filename=\"it's (1)*.txt\"; filename*=UTF-8''it%27s%20%281%29%2A.txt"),
    ],
)
def test_a_name_stands_twice_once_in_ascii_and_once_whole(name: str, header: str) -> None:
    assert disposition(name) == header


# A "\" is refused and a control character too; everything else is a name.
NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=60
).filter(lambda name: len(name.encode()) <= 255)


@given(NAMES)
def test_strangers_parsers_read_back_the_very_name(name: str) -> None:
    header = disposition(name)
    assert name_by_werkzeug(header) == name
    assert name_by_email(header) == name.strip()
    assert header.isascii()
    assert header.isprintable()


@given(NAMES)
def test_a_client_that_knows_no_rfc_6266_gets_a_safe_ascii_name(name: str) -> None:
    plain = disposition(name).split("; filename*=")[0]
    assert plain.startswith('attachment; filename="')
    assert plain.endswith('"')
    assert '"' not in plain.removeprefix('attachment; filename="')[:-1]
    assert "\\" not in plain
    assert "%" not in plain


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/exampledir/a.txt", "a.txt"),
        ("/exampledir/sub/%E6%8A%A5%E5%91%8A%201.txt", "报告 1.txt"),
        ("/exampledir/a%22b%25.txt", 'a"b%.txt'),
        ("/exampledir/a%2Fb.txt", "b.txt"),
    ],
)
def test_an_empty_download_takes_the_objects_own_name(path: str, name: str) -> None:
    header = disposition("", path)
    assert name_by_werkzeug(header) == name_by_email(header) == name


@pytest.mark.parametrize(
    "key",
    ["sub/", "a\\b.txt", "a" * 300 + ".txt", "你" * 100],
    ids=["a folder", "a backslash", "300 letters", "300 bytes"],
)
def test_an_object_whose_own_name_is_no_file_name_is_downloaded_without_one(key: str) -> None:
    assert disposition("", raw_path(f"/exampledir/{key}")) == "attachment"


@pytest.mark.parametrize(
    "name",
    ["a/b", "/", "../a", "a\\b", "a\nb", "a\r\nX: y", "\0", "\x7f", "\x85", "a" * 256, "你" * 86, "\ud800", "a\udfff"],
)
def test_what_is_no_file_name_is_refused_by_name(name: str) -> None:
    answered = ask(query={"download": name})
    assert (answered.status, answered.code) == (400, "bad_download")
    assert "download" in answered.json["detail"]
    assert name not in answered.json["detail"] or name == "/"


@pytest.mark.parametrize("name", ["a" * 255, "你" * 85])
def test_a_file_name_has_up_to_255_bytes(name: str) -> None:
    assert name_by_werkzeug(disposition(name)) == name


def test_a_download_is_allowed_whatever_the_mount_lists() -> None:
    for under in (mount(query=[]), mount(unknown_query="ignore"), mount(query=["response-content-disposition"])):
        for method in ("GET", "HEAD"):
            answered = ask(method=method, query={"download": "b.txt"}, under=under)
            assert name_by_werkzeug(answered.query["response-content-disposition"]) == "b.txt"
            assert answered.signs(method)


def test_a_disposition_of_ones_own_needs_to_be_listed() -> None:
    assert ask(query={"response-content-disposition": "inline"}).code == "not_signable"
