"""Clients that know nothing of this project open an address and get the bytes behind the redirect."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import requests

from tests.e2e.programs import Fetched, curl, java_get, node_fetch
from tests.e2e.system import TIMEOUT, Requires, System, code

pytest_plugins = ("tests.e2e.system_fixtures",)

# Keys that a client, a proxy or a signer easily gets wrong.
KEYS = (
    "exampledir/exampleobject.txt",
    "exampledir/2026/q3/report.pdf",
    "exampledir/name with spaces.txt",
    "exampledir/报告/季度 数据.txt",
    "exampledir/a+b=c&d;e.txt",
    "exampledir/100%.txt",
    "exampledir/%2F%20encoded twice.txt",
    "exampledir/what?#not-a-fragment.txt",
    'exampledir/~it\'s (1) [2] {3} "4" !*$@,:.txt',
    "exampledir/\N{ROCKET}\u0301.txt",
)


def content_of(key: str) -> bytes:
    """Bytes of each key's own, none of them text."""
    return b"\x00\xff\r\n" + key.encode() * 3


@pytest.fixture(scope="module", autouse=True)
def objects(system: System) -> None:
    for key in KEYS:
        system.put(key, content_of(key))


@pytest.fixture(scope="module")
def addresses(system: System) -> Mapping[str, str]:
    return {key: system.address(key) for key in KEYS}


def as_downloaded(key: str) -> Fetched:
    return Fetched(200, len(content_of(key)), content_of(key))


def as_headed(key: str) -> Fetched:
    return Fetched(200, len(content_of(key)), b"")


@pytest.mark.parametrize("key", KEYS)
def test_curl_downloads(addresses: Mapping[str, str], requires: Requires, key: str) -> None:
    answer = curl(requires("curl"), "-L", addresses[key])
    assert answer.statuses == (302, 200)
    assert answer.body == content_of(key)


@pytest.mark.parametrize("key", KEYS)
def test_curl_asks_for_the_headers_alone(addresses: Mapping[str, str], requires: Requires, key: str) -> None:
    answer = curl(requires("curl"), "-I", "-L", addresses[key])
    assert answer.statuses == (302, 200)
    assert answer.headers["content-length"] == str(len(content_of(key)))


def test_curl_takes_an_address_as_a_person_types_it(system: System, requires: Requires) -> None:
    system.put("exampledir/报告+1.txt", b"typed")
    answer = curl(requires("curl"), "-L", f"{system.stack.http_url}/exampledir/报告+1.txt")
    assert (answer.statuses, answer.body) == ((302, 200), b"typed")


def test_curl_resumes_a_download(addresses: Mapping[str, str], requires: Requires) -> None:
    answer = curl(requires("curl"), "-L", "-r", "4-13", addresses[KEYS[0]])
    assert answer.statuses == (302, 206)
    assert answer.body == content_of(KEYS[0])[4:14]


def test_curl_is_told_the_file_name_that_was_asked_for(system: System, requires: Requires) -> None:
    answer = curl(requires("curl"), "-L", system.address(KEYS[0], "download=q3%20报告.txt"))
    disposition = "attachment; filename=\"q3 __.txt\"; filename*=UTF-8''q3%20%E6%8A%A5%E5%91%8A.txt"
    assert (answer.headers["content-disposition"], answer.body) == (disposition, content_of(KEYS[0]))


def test_curl_sees_neither_a_missing_object_nor_one_beyond_the_mounts(system: System, requires: Requires) -> None:
    system.put("private/exampleobject.txt", b"private")
    missing = curl(requires("curl"), "-L", system.address("exampledir/none.txt"))
    assert (missing.statuses, code(missing.body)) == ((302, 404), "NoSuchKey")
    beyond = curl(requires("curl"), "-L", system.address("private/exampleobject.txt"))
    assert beyond.statuses == (404,)
    assert beyond.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("key", KEYS)
def test_requests_downloads(addresses: Mapping[str, str], key: str) -> None:
    with requests.Session() as session:
        answer = session.get(addresses[key], timeout=TIMEOUT)
        assert [hop.status_code for hop in (*answer.history, answer)] == [302, 200]
        assert answer.content == content_of(key)
        answer = session.head(addresses[key], allow_redirects=True, timeout=TIMEOUT)
        assert answer.status_code == 200
        assert answer.headers["Content-Length"] == str(len(content_of(key)))


def test_requests_uses_a_link_as_json_tells_it(system: System) -> None:
    told = requests.get(system.address(KEYS[3], "format=json&expires=90"), timeout=TIMEOUT).json()
    assert (told["method"], told["expires_in"]) == ("GET", 90)
    answer = requests.request(told["method"], told["url"], headers=told["headers"], timeout=TIMEOUT)
    assert answer.content == content_of(KEYS[3])


def test_node_fetches(addresses: Mapping[str, str], requires: Requires) -> None:
    node = requires("node")
    assert node_fetch(node, "GET", [*addresses.values()]) == [as_downloaded(key) for key in KEYS]
    assert node_fetch(node, "HEAD", [*addresses.values()]) == [as_headed(key) for key in KEYS]


def test_java_reads_through_httpurlconnection(addresses: Mapping[str, str], requires: Requires) -> None:
    requires("javac")  # a Java that runs source files
    java = requires("java")
    assert java_get(java, "GET", [*addresses.values()]) == [as_downloaded(key) for key in KEYS]


def test_a_missing_tool_is_an_error_only_where_all_are_said_to_be_there(
    requires: Requires, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-tool is not installed"):
        requires("no-such-tool", "nor-this")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-tool is not installed"):
        requires("no-such-tool", "nor-this")
