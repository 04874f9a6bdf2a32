"""HTTP clients of other projects open an address, follow the redirect, and get the object."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.e2e.http_clients import FinalResponse, curl, java_get, node_fetch
from tests.e2e.system import Requires, System

# Keys that clients, proxies and signers often encode incorrectly.
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
    """Binary content, different for each key."""
    return b"\x00\xff\r\n" + key.encode() * 3


@pytest.fixture(scope="module", autouse=True)
def objects(system: System) -> None:
    for key in KEYS:
        system.put(key, content_of(key))


@pytest.fixture(scope="module")
def addresses(system: System) -> Mapping[str, str]:
    return {key: system.address(key) for key in KEYS}


def test_curl_downloads_and_requests_only_the_headers(
    addresses: Mapping[str, str], requires: Requires
) -> None:
    for key, address in addresses.items():
        response = curl(requires("curl"), "-L", address)
        assert (response.statuses, response.body) == ((302, 200), content_of(key))
    response = curl(requires("curl"), "-I", "-L", address)
    assert (response.statuses, response.headers["content-length"]) == (
        (302, 200),
        str(len(content_of(key))),
    )


def test_curl_accepts_an_unencoded_address(system: System, requires: Requires) -> None:
    system.put("exampledir/报告+1.txt", b"typed")
    response = curl(requires("curl"), "-L", f"{system.stack.http_url}/exampledir/报告+1.txt")
    assert (response.statuses, response.body) == ((302, 200), b"typed")


def test_curl_resumes_a_download(addresses: Mapping[str, str], requires: Requires) -> None:
    response = curl(requires("curl"), "-L", "-r", "4-13", addresses[KEYS[0]])
    assert response.statuses == (302, 206)
    assert response.body == content_of(KEYS[0])[4:14]


def test_node_downloads(addresses: Mapping[str, str], requires: Requires) -> None:
    downloads = [FinalResponse(200, len(content_of(key)), content_of(key)) for key in KEYS]
    assert node_fetch(requires("node"), "GET", [*addresses.values()]) == downloads
    heads = [download._replace(body=b"") for download in downloads]
    assert node_fetch(requires("node"), "HEAD", [*addresses.values()]) == heads


@pytest.mark.ci
def test_java_downloads_with_httpurlconnection(
    addresses: Mapping[str, str], requires: Requires
) -> None:
    requires("javac")  # a Java that runs source files
    downloads = [FinalResponse(200, len(content_of(key)), content_of(key)) for key in KEYS]
    assert java_get(requires("java"), "GET", [*addresses.values()]) == downloads


def test_a_missing_tool_is_an_error_only_on_ci(
    requires: Requires, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-tool is not installed"):
        requires("no-such-tool", "nor-this")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-tool is not installed"):
        requires("no-such-tool", "nor-this")
