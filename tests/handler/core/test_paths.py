"""The path of a request: decoded exactly once, checked, never normalised."""

from __future__ import annotations

import json
import unicodedata
from urllib.parse import quote, unquote_to_bytes, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from handler.core.errors import Problem
from handler.core.paths import check_path, covers, path_fault, read_path
from tests.handler.client import ask, event, invoke, make_config, mount

ROOT = make_config(
    """
    region = "cn-hangzhou"
    [[mount]]
    path = "/"
    target = "oss://examplebucket/"
    access = "anonymous"
    whole_bucket = true
    """
)


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ("/a%252Bb", "a%2Bb"),
        ("/%E4%BD%A0%e5%a5%bd", "你好"),
        ("/a%2Fb%3Fc%23d", "a/b?c#d"),
        ("/%252e%252e/a", "%2e%2e/a"),
        ("/a%E2%80%AEb%EF%BB%BF%C2%A0", "a\u202eb\ufeff\u00a0"),
        ("/-a/health", "-a/health"),
    ],
)
def test_a_path_is_decoded_exactly_once(raw: str, key: str) -> None:
    response = ask(raw, config=ROOT)
    assert response.status == 302
    assert response.key == key
    assert response.signs()
    assert urlsplit(response.url).path == "/" + quote(key, safe="/")


def test_unicode_is_not_normalised() -> None:
    composed, decomposed = "/é/é.txt", "/e\u0301/e\u0301.txt"
    assert unicodedata.normalize("NFC", decomposed) == composed
    assert ask(quote(composed), config=ROOT).key == composed[1:]
    assert ask(quote(decomposed), config=ROOT).key == decomposed[1:]
    accented = mount(path="/é/")
    assert ask(quote(composed), config=accented).status == 302
    assert ask(quote(decomposed), config=accented).status == 404


@pytest.mark.parametrize(
    "raw",
    [
        # not UTF-8
        "/%FF",
        "/a%E4%BDb",
        "/%E4你",
        "/%C0%AE%C0%AE/a",
        "/%ED%A0%80",
        "/a\ud800",
        "/a\udcff%20",
        # invalid percent-encoding, a bare ? or #
        "/%",
        "/a%2",
        "/a%2Gb",
        "/a%u4F60",
        "/a% 41",
        "/a?b",
        "/a#b",
        # control characters
        "/a%00",
        "/a%0D%0ALocation:%20https://evil.example",
        "/a\n",
        "/a\tb",
        "/a%7F",
        "/a%C2%80",
        "/a%C2%9F",
        # dot segments
        "/.",
        "/./a",
        "/a/..",
        "/a/../b",
        "/%2E%2e/a",
        "/a/%2E/",
        "/a%2f..%2fb",
        # double slashes
        "//",
        "/a//b",
        "/a//",
        "/a%2F%2Fb",
        "/%2F",
        "//evil.example/a",
        # not a path
        "",
        "a",
        "%2Fa",
        "*",
        "https://links.example.com/a",
        "\\a",
        " /a",
    ],
)
def test_a_path_that_cannot_be_an_objects_is_a_problem(raw: str) -> None:
    for config in (ROOT, mount()):
        response = ask(raw, config=config)
        assert (response.status, response.code) == (400, "bad_path")
        assert response.json["detail"].startswith("Invalid path: ")
        assert "Location" not in response.headers


@pytest.mark.parametrize("letter", ["a", "你", "😀", "%"])
def test_a_path_has_at_most_1023_bytes_once_decoded(letter: str) -> None:
    size = len(letter.encode())
    longest = letter * (1023 // size) + "a" * (1023 % size)
    assert ask("/" + quote(longest), config=ROOT).key == longest
    response = ask("/" + quote(longest) + "a", config=ROOT)
    assert (response.status, response.code) == (400, "bad_path")
    assert "1023" in response.json["detail"]
    assert ask("/" + quote(longest), config=mount()).code == "not_found"
    assert ask("/" + quote(longest) + "a", config=mount()).code == "bad_path"


def test_a_key_has_at_most_1023_bytes_with_its_prefix() -> None:
    config = mount(path="/d/", target="oss://examplebucket/a/longer/prefix/")
    left = 1023 - len("a/longer/prefix/")
    assert ask("/d/" + "a" * left, config=config).status == 302
    response = ask("/d/" + "a" * (left + 1), config=config)
    assert (response.status, response.code) == (400, "bad_path")


def test_a_key_that_oss_does_not_allow_is_a_problem() -> None:
    assert ask("/%5Ca", config=ROOT).code == "bad_path"
    assert ask("/exampledir/%5Ca").key == "exampledir/\\a"


TRICKY = st.sampled_from(
    ["%2e", "%2E", ".", "/", "%2F", "%25", "%", "+", "%2B", "a", "é", "%C3%A9", "%FF", "\\", "%5c"]
)
RAW = st.lists(TRICKY | st.characters(), max_size=12).map("".join).map("/".__add__)


def path_or_problem(raw: str) -> str | Problem:
    try:
        return read_path(raw)
    except Problem as problem:
        return problem


@given(RAW)
def test_a_path_is_decoded_once_or_a_problem(raw: str) -> None:
    path = path_or_problem(raw)
    if isinstance(path, Problem):
        assert (path.status, path.code) == (400, "bad_path")
    else:
        assert path.encode() == unquote_to_bytes(raw)
        assert path_fault(path) is None


VALID_KEYS = st.lists(
    st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"),
        min_size=1,
        max_size=8,
    ),
    min_size=1,
    max_size=5,
).map("/".join)


@given(VALID_KEYS)
def test_every_valid_key_stays_unchanged(key: str) -> None:
    assume(not {".", ".."} & set(key.split("/")) and key[0] != "\\" and not key.startswith("-/"))
    response = ask("/" + quote(key, safe="/"), config=ROOT)
    assert response.key == key
    assert response.signs()


def test_the_events_own_decoded_path_is_not_read() -> None:
    request = event()
    request["requestContext"]["http"]["path"] = "/exampledir/other.txt"
    assert invoke(json.dumps(request)).key == "exampledir/a.txt"


# --- the rules themselves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/", None),
        ("/a?b#c%2F", None),
        ("/" + "你" * 341, None),
        ("a", "it must begin with /"),
        ("/a\ud800", "it is not valid UTF-8"),
        ("/" + "你" * 341 + "a", "it has 1024 bytes and exceeds the maximum of 1023"),
        ("/a\x9f", "it contains a control character"),
        ("/a//b", "it contains //, which HTTP clients rewrite"),
        ("/a/../b", "it has a segment . or .., which HTTP clients rewrite"),
    ],
)
def test_the_fault_of_a_path_is_named(path: str, fault: str | None) -> None:
    assert path_fault(path) == fault
    if fault is None:
        assert check_path(path) == path
    else:
        with pytest.raises(Problem) as error:
            check_path(path)
        assert error.value.code == "bad_path"
        assert (
            error.value.sentence
            == f'Invalid "path": {fault}. In JSON, write it as it is, not percent-encoded.'
        )


def test_a_bad_path_in_a_url_is_advised_to_be_encoded() -> None:
    for raw in ("/a%2", "/a%FFb"):
        assert (
            "Percent-encode the object's key once, as UTF-8" in ask(raw, config=ROOT).json["detail"]
        )


@given(
    st.lists(st.sampled_from(["/", ".", "..", "a", "%", "\n"]) | st.characters(), max_size=8).map(
        "".join
    )
)
def test_a_path_without_a_fault_is_what_its_encoded_form_decodes_to(path: str) -> None:
    decoded = path_or_problem(quote(path, safe="/", errors="surrogatepass"))
    assert (path_fault(path) is None) == (decoded == path)
    assert (path_fault(path) is None) != isinstance(decoded, Problem)


def test_a_path_covers_itself_and_with_a_final_slash_all_below_it() -> None:
    for allowed, path in (("/", "/a/b"), ("/a/", "/a/"), ("/a/", "/a/b"), ("/a", "/a")):
        assert covers(allowed, path)
    for allowed, path in (("/a/", "/a"), ("/a/", "/ab"), ("/a", "/a/b"), ("/a/b", "/a/")):
        assert not covers(allowed, path)
