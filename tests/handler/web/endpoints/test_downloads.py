"""`download`: an object is saved as a file, with a name that every browser reads in the same way (RFC 6266)."""

from __future__ import annotations

from email.message import Message

from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header

from tests.handler.client import ask, mount, raw_path


def disposition(download: str, path: str = "/exampledir/a.txt") -> str:
    response = ask(path, query={"download": download})
    assert response.status == 302, response
    assert set(response.query) == {"response-content-disposition"}
    assert response.signs()
    return response.query["response-content-disposition"]


def werkzeug_name(header: str) -> str:
    kind, options = parse_options_header(header)
    assert kind == "attachment"
    return options["filename"]


def email_name(header: str) -> str | None:
    """As Python's email package reads it, which takes the first name and so gets only the extended one (RFC 2231)."""
    message = Message()
    message["Content-Disposition"] = "attachment; filename*=" + header.partition("; filename*=")[2]
    assert message.get_content_disposition() == "attachment"
    return message.get_filename()


# A slash, a backslash and control characters are refused; every other character is allowed.
NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=60
).filter(lambda name: len(name.encode()) <= 255)


@given(NAMES)
def test_other_parsers_read_the_same_name_and_those_without_rfc_6266_a_safe_one(name: str) -> None:
    header = disposition(name)
    assert werkzeug_name(header) == name
    assert email_name(header) == name.strip()
    assert header.isascii()
    assert header.isprintable()
    plain = header.split("; filename*=")[0]
    assert plain.startswith('attachment; filename="')
    assert plain.endswith('"')
    assert not {'"', "\\", "%"} & set(plain.removeprefix('attachment; filename="')[:-1])


def test_an_empty_download_uses_the_name_of_the_object() -> None:
    for path, name in (("sub/%E6%8A%A5%E5%91%8A%201.txt", "报告 1.txt"), ("a%22b%25.txt", 'a"b%.txt'), ("a%2Fb", "b")):
        header = disposition("", f"/exampledir/{path}")
        assert werkzeug_name(header) == email_name(header) == name


def test_an_object_whose_name_is_not_a_file_name_is_downloaded_without_one() -> None:
    for key in ("sub/", "a\\b.txt", "你" * 100):
        assert disposition("", raw_path(f"/exampledir/{key}")) == "attachment"


def test_an_invalid_file_name_is_refused() -> None:
    for name in ("a/b", "a\r\nX: y", "你" * 86, "a\udfff"):  # tests/signer/test_disposition.py has the others
        response = ask(query={"download": name})
        assert (response.status, response.code) == (400, "bad_download")
        assert "download" in response.json["detail"]
        assert name not in response.json["detail"]


def test_a_download_is_allowed_on_every_mount() -> None:
    for config in (mount(query=[]), mount(unknown_query="ignore"), mount(query=["response-content-disposition"])):
        for method in ("GET", "HEAD"):
            response = ask(method=method, query={"download": "b.txt"}, config=config)
            assert werkzeug_name(response.query["response-content-disposition"]) == "b.txt"
            assert response.signs(method)
