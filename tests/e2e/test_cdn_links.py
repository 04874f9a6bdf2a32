"""Links that a CDN checks, of a running service: each leads to the local CDN."""

from __future__ import annotations

import io
import json
import subprocess
import wave
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from playwright.sync_api import Page

from local import cdn, samples
from local.errors import LocalError
from tests.e2e.http_clients import curl
from tests.e2e.system import TIMEOUT, Requires, System, error_code, run_system

NAME = "季度 报告+1.txt"
CONTENT = "你好, 季度\n".encode() * 1000
KEYS = {
    name: {"type": "A", "key": f"aliyuncdnexp{name}", "valid_for": 1800} for name in ("one", "two")
}
MOUNT = """
[[mount]]
path = "/{0}/"
target = "oss://examplebucket/{0}/"
access = "anonymous"
endpoint = "https://static.example.com"
cdn = "{1}"
check = {2}
"""
LINKS = (
    'region = "cn-hangzhou"\nkeys = "oss://examplebucket/.links/keys.json"\n'
    + "".join(MOUNT.format(name, name, "false") for name in KEYS)
    + f"{MOUNT.format('checked', 'one', 'true')}list = true\n"
)


class Served(NamedTuple):
    """The system, the file links.toml, and the methods of the requests that the CDNs got."""

    system: System
    links: Path
    requests: list[str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("cdn")
    links, seen = folder / "links.toml", list[str]()
    links.write_text(LINKS)
    create_app = cdn.create_app

    def create_with_log(*arguments: Any) -> Callable[..., Any]:
        app = create_app(*arguments)

        def log(environ: dict[str, Any], start_response: Any) -> Any:
            seen.append(environ["REQUEST_METHOD"])
            return app(environ, start_response)

        return log

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cdn, "create_app", create_with_log)
        with run_system(folder, {"LINK_CONFIG": str(links)}) as system:
            put_keys(system, KEYS)
            yield Served(system, links, seen)


def put_keys(system: System, entries: Mapping[str, object]) -> None:
    system.put(".links/keys.json", json.dumps({"version": 1, "cdn": entries}).encode())


def test_curl_and_wget_get_the_same(served: Served, requires: Requires, tmp_path: Path) -> None:
    key = f"one/{NAME}"
    served.system.put(key, CONTENT, {"Content-Type": "text/plain; charset=utf-8"})
    address = served.system.address(key)
    location = requests.get(address, allow_redirects=False, timeout=TIMEOUT).headers["Location"]
    assert location.startswith(served.system.stack.cdn_urls["one"] + "/")
    response = curl(requires("curl"), "-L", address)
    assert (response.statuses, response.body) == ((302, 200), CONTENT)
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert curl(requires("curl"), "-L", "-r", "3-8", address).body == CONTENT[3:9]
    (tmp_path / "part").write_bytes(CONTENT[:1000])
    wget = [requires("wget"), "-q", "--no-proxy", "-c", "-O", str(tmp_path / "part"), address]
    subprocess.run(wget, check=True, timeout=60)
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_video_element_seeks(served: Served, page: Page) -> None:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        # More than the CDN keeps, and than a browser reads at once.
        file.writeframes(bytes(range(256)) * 8 * 4 * 600)
    served.system.put("one/long.wav", sound.getvalue(), {"Content-Type": "audio/wav"})
    statuses: list[int] = []
    page.on("response", lambda response: statuses.append(response.status))
    page.set_content(
        f'<video src="{served.system.address("one/long.wav")}" preload="metadata"></video>'
    )
    for seconds in (600, 5, 300):
        assert page.locator("video").evaluate(
            """(video, seconds) => new Promise((resolve, reject) => {
                video.onerror = () => reject(video.error.message);
                video.onseeked = () => resolve(video.currentTime);
                const seek = () => { video.currentTime = seconds; };
                video.readyState ? seek() : video.onloadedmetadata = seek;
            })""",
            seconds,
        ) == pytest.approx(seconds)
    assert 206 in statuses
    assert {200, 206, 302} >= set(statuses)


def test_the_service_asks_oss_and_never_the_cdn(served: Served) -> None:
    served.system.put("checked/a.txt", CONTENT)
    served.requests.clear()
    for path, accept, status in (
        ("a.txt", "*/*", 302),
        ("missing", "*/*", 404),
        ("", "application/json", 200),
    ):
        address = f"{served.system.stack.http_url}/checked/{path}"
        response = requests.get(
            address, headers={"Accept": accept}, allow_redirects=False, timeout=TIMEOUT
        )
        assert response.status_code == status
    assert served.requests == []
    assert requests.get(served.system.address("checked/a.txt"), timeout=TIMEOUT).content == CONTENT
    assert served.requests == ["GET"]


def test_only_the_cdn_reads_what_the_service_does_not_check_and_it_writes_nothing(
    served: Served,
) -> None:
    stack = served.system.stack
    function, of_cdn = stack.account.credentials_of(stack.function), stack.account.cdn()
    for method, key, credentials, code in (
        ("GET", "one/only.txt", function, "AccessDenied"),
        ("GET", "checked/own.txt", function, ""),
        ("GET", "one/only.txt", of_cdn, ""),
        ("PUT", "one/only.txt", of_cdn, "AccessDenied"),
        ("DELETE", "one/only.txt", of_cdn, "AccessDenied"),
    ):
        served.system.put(key, CONTENT)
        response = requests.request(
            method, served.system.link(method, key, credentials=credentials).url, timeout=TIMEOUT
        )
        assert error_code(response.content) == code


def test_every_program_knows_the_addresses(served: Served) -> None:
    stack = served.system.stack
    pairs = [f"{name}={url}" for name, url in stack.cdn_urls.items()]
    assert list(stack.cdn_urls) == list(KEYS)
    assert {url.rpartition(":")[0] for url in stack.cdn_urls.values()} == {"http://127.0.0.1"}
    assert stack.environment["LINK_CDN_ENDPOINT"] == ",".join(pairs)
    assert samples.variables(stack, None)["LINK_CDN_ENDPOINT"] == ",".join(pairs)


def test_a_changed_key_counts_at_once(served: Served) -> None:
    served.system.put("two/a.txt", CONTENT)
    address = served.system.address("two/a.txt")
    link = requests.get(address, allow_redirects=False, timeout=TIMEOUT).headers["Location"]
    for entries, status in (
        (KEYS, 200),
        ({**KEYS, "two": {"type": "A", "key": "another1"}}, 403),
        ({}, 503),
    ):
        put_keys(served.system, entries)
        assert requests.get(link, timeout=TIMEOUT).status_code == status
    put_keys(served.system, KEYS)


def test_a_new_cdn_needs_a_new_start(served: Served) -> None:
    try:
        served.links.write_text(LINKS + MOUNT.format("later", "later", "false"))
        with pytest.raises(
            LocalError, match="The CDN later is new: stop the stack, and start it again"
        ):
            served.system.stack.reload()
    finally:
        served.links.write_text(LINKS)
        served.system.stack.reload()
