"""The local CDN: which links it opens and until when, what it asks OSS for, and what it keeps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from string import punctuation
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import pytest

from local import cdn
from local.cdn.application import LIFETIME, MAX_COPY
from signer import CdnKey, Link, presign_cdn
from signer.cdn import encode_path
from signer.emulator.server import listen, serve
from tests.handler.client import KEYS, make_config
from tests.local_oss import REGION, FakeClock, LocalOss, OssResponse

KEY = "aliyuncdnexp1234"
NAME = "videos/第 1 集+(a).txt"
CONTENT = b"episode one"
TEXT = """
region = "cn-hangzhou"
keys = "file:keys.json"
[[mount]]
path = "/v/"
target = "oss://examplebucket/videos/"
access = "anonymous"
endpoint = "https://static.example.com"
cdn = "static"
"""


class World(NamedTuple):
    """A running CDN, whose domain a test can change, before a running OSS."""

    url: str
    oss: LocalOss
    clock: FakeClock
    domains: list[cdn.Domain]

    def set_domain(self, text: str = TEXT, key: str = KEY, **changes: Any) -> None:
        self.domains[:] = [cdn.Domain(CdnKey(key, **changes), make_config(text).mounts)]

    def link(self, key: str = NAME, query: str = "", expires_in: int = 600) -> Link:
        url = f"{self.url}/{encode_path(key)}{query}"
        return presign_cdn(url, self.domains[0].key, expires_in=expires_in, now=self.clock.now())

    def send(self, target: str, method: str = "GET", **headers: str) -> OssResponse:
        """The response to exactly this request target, or to a link."""
        return replace(self.oss, url=self.url).send(method, target.removeprefix(self.url), headers)

    def get(self, link: Link, **headers: str) -> tuple[int, str, bytes]:
        """The status, X-Cache and content."""
        response = self.send(link.url, **headers)
        return response.status, response.headers.get("x-cache", ""), response.body


@pytest.fixture
def world(live_cloud: LocalOss) -> Iterator[World]:
    domains, clock = list[cdn.Domain](), FakeClock(time.time())
    server = serve(
        cdn.create_app(lambda: domains[0], cdn.Origin(live_cloud.url, REGION, KEYS), clock.now),
        listen(0),
    )
    world = World(server.url, live_cloud, clock, domains)
    world.set_domain()
    live_cloud.put(NAME, CONTENT)
    yield world
    server.close()


@pytest.mark.parametrize("expires_in", [60, 600, 7 * 86400])
def test_a_link_opens_until_its_end_and_no_second_longer(world: World, expires_in: int) -> None:
    world.set_domain(valid_for=700)
    link = world.link(expires_in=expires_in)
    end = link.expires_at.timestamp()
    world.clock.set(end - 1)
    assert world.get(link) == (200, "MISS", CONTENT)
    assert world.send(link.url, "HEAD").status == 200
    world.clock.set(end)
    for method in ("GET", "HEAD"):  # also of what is cached
        response = world.send(link.url, method)
        assert (response.status, response.body) == (403, b"")
        assert response.headers["x-tengine-error"] == "denied by req auth: expired timestamp"


def test_a_client_that_decodes_what_a_path_may_hold_sends_what_was_signed(world: World) -> None:
    """aiohttp does, for a key with "!", "$", "&" and others: of another path, the MD5 is another one."""
    keys = [f"videos/odd/{letter}.txt" for letter in punctuation.replace("/", "") + " 第"]
    for key in keys:
        world.oss.put(key, key.encode())

    async def fetch() -> list[bytes]:
        async with aiohttp.ClientSession() as session:
            return [await (await session.get(world.link(key).url)).read() for key in keys]

    assert asyncio.run(fetch()) == [key.encode() for key in keys]


# The pages have these words.
def test_what_is_not_signed_is_refused_with_a_reason(world: World) -> None:
    world.set_domain(parameter="token")
    link = world.link()
    response = world.send(f"/{quote(NAME)}")
    assert (response.status, response.headers["x-tengine-error"]) == (
        403,
        "denied by req auth: no url arg token",
    )
    world.set_domain(key="another1", parameter="token")
    assert world.send(link.url).headers["x-tengine-error"] == "denied by req auth: invalid md5hash"


def test_the_query_is_not_signed_and_reaches_oss_unless_it_is_ignored(world: World) -> None:
    plain, added = world.link().url, "&response-content-type=text/x-added"
    assert world.send(plain + added).headers["content-type"] == "text/x-added"
    assert world.send(plain).headers["content-type"] != "text/x-added"
    assert world.send(plain + added).headers["x-cache"] == "HIT"
    world.set_domain(text=f"{TEXT}cdn_ignores_query = true\n")
    assert world.send(plain + added).headers["content-type"] != "text/x-added"


# The pages on EC 0002-00000039, and on ignoring parameters.
def test_a_presigned_link_behind_a_cdn_has_two_signatures_and_opens_only_where_the_query_is_ignored(
    world: World,
) -> None:
    query = "?" + world.oss.link("GET", NAME).partition("?")[2]
    response = world.send(world.link(query=query).url)
    assert (response.status, response.code, response.text("EC")) == (
        400,
        "InvalidArgument",
        "0002-00000039",
    )
    world.set_domain(text=f"{TEXT}cdn_ignores_query = true\n")
    assert world.get(world.link(query=query))[::2] == (200, CONTENT)


def test_a_copy_outlives_the_object_and_the_link_until_its_lifetime_ends(world: World) -> None:
    world.set_domain(valid_for=60)
    first, later = world.link(expires_in=120), world.link(expires_in=3600)
    assert world.get(first) == (200, "MISS", CONTENT)
    assert world.oss.call("DELETE", NAME).status == 204
    start = world.clock.now()
    world.clock.set(start + 120)
    assert world.get(first)[0] == 403
    assert world.get(later) == (200, "HIT", CONTENT)
    assert world.send(later.url, "HEAD").headers["content-length"] == str(len(CONTENT))
    world.clock.set(start + LIFETIME - 1)
    assert world.get(later) == (200, "HIT", CONTENT)
    world.clock.set(start + LIFETIME)
    response = world.send(later.url)
    assert (response.status, response.code) == (404, "NoSuchKey")


@pytest.mark.parametrize("cache", ["MISS", "HIT"])
def test_ranges_and_conditions_are_answered_from_oss_and_from_a_copy(
    world: World, cache: str
) -> None:
    link = world.link()
    head = world.send(link.url, "HEAD")
    assert (head.status, head.body, head.headers["x-cache"]) == (200, b"", "MISS")
    assert head.headers["content-length"] == str(len(CONTENT))
    if cache == "HIT":
        assert world.get(link) == (200, "MISS", CONTENT)
    for sent, status, body in (
        ({"Range": "bytes=8-"}, 206, b"one"),
        ({"Range": "bytes=-3"}, 206, b"one"),
        ({"If-None-Match": head.headers["etag"]}, 304, b""),
        ({"If-Modified-Since": head.headers["last-modified"]}, 304, b""),
    ):
        assert world.get(link, **sent) == (status, cache, body)
    response = world.send(link.url, Range="bytes=0-6")
    assert response.headers["content-range"] == f"bytes 0-6/{len(CONTENT)}"
    assert world.get(link)[1] == cache  # a part is not kept


def test_a_large_object_is_passed_on_and_not_kept(world: World) -> None:
    content = Random(1).randbytes(2 * MAX_COPY + 1)
    world.oss.put("videos/large", content)
    for _ in range(2):
        assert world.get(world.link("videos/large")) == (200, "MISS", content)


def test_a_link_reads_only(world: World) -> None:
    for method in ("PUT", "POST", "DELETE", "OPTIONS"):
        assert world.send(world.link().url, method).status == 405
    assert world.get(world.link())[2] == CONTENT


def test_every_object_of_the_bucket_can_be_opened(world: World) -> None:
    world.oss.put("elsewhere/a.txt", b"elsewhere")
    assert world.get(world.link("elsewhere/a.txt"))[2] == b"elsewhere"
