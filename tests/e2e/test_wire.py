"""What only the wire shows: the headers that Function Compute adds, and requests to several instances at once."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

import pytest
import requests

from tests.e2e.system import CONTENT, FILE, HEADERS, System

pytestmark = pytest.mark.shipped_files

REQUESTS = 100


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("OPTIONS", "/-/shares", 204),
        ("OPTIONS", "/reports/q3.pdf", 204),
        ("GET", "/-/health", 200),
        ("GET", "/reports/q3.pdf", 401),
        ("GET", "/nowhere", 404),
        ("GET", "/open/a.txt", 302),
        ("GET", "/open/a.txt?format=json", 200),
        ("POST", "/-/shares", 201),
    ],
)
def test_behind_function_compute_there_is_exactly_one_allowed_origin(
    world: System, site: str, method: str, path: str, status: int
) -> None:
    headers, body = {"Origin": site}, None
    if method == "OPTIONS":
        headers |= {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
    if method == "POST":
        headers |= {**HEADERS, "Content-Type": "application/json"}
        body = json.dumps({"path": "/reports/q3.pdf", "allow_missing": True})
    connection = http.client.HTTPConnection(urlsplit(world.stack.http_url).netloc, timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == status
    assert answer.headers.get_all("Access-Control-Allow-Origin") == [site]


def test_a_client_that_sends_its_key_on_gets_json_because_oss_refuses_a_link_with_it(
    world: System,
) -> None:
    """As wget does, Python's urllib sends Authorization to the target of a redirect."""
    opener = build_opener(ProxyHandler({}))
    opener.addheaders = [*HEADERS.items()]
    with opener.open(world.address(FILE), timeout=30) as answer:
        assert answer.headers["Content-Type"] == "application/json"
    with pytest.raises(HTTPError) as refusal:
        opener.open(world.address(FILE, "format=redirect"), timeout=30)
    with refusal.value as refused:
        assert (refused.code, b"0002-00000039" in refused.read()) == (400, True)


@pytest.mark.parametrize("max_uses", [pytest.param(1, marks=pytest.mark.long), 3])
def test_a_hundred_simultaneous_requests_get_exactly_the_allowed_uses(
    world: System, max_uses: int
) -> None:
    share = world.request_share(path=f"/{FILE}", max_uses=max_uses).json
    url = world.local_url(share["url"])
    barrier = threading.Barrier(REQUESTS)

    def use(_: int) -> requests.Response:
        barrier.wait(60)
        return requests.post(url, allow_redirects=False, timeout=60)

    with ThreadPoolExecutor(REQUESTS) as executor:
        responses = list(executor.map(use, range(REQUESTS)))
    assert Counter(response.status_code for response in responses) == {
        303: max_uses,
        410: REQUESTS - max_uses,
    }
    for response in responses:
        if response.status_code == 303:
            assert requests.get(response.headers["Location"], timeout=30).content == CONTENT
        else:
            assert response.json()["code"] == "share_used_up"
    assert world.shown(share["url"])["uses"] == max_uses
