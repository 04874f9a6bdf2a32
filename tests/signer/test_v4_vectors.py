"""The golden vectors of the official SDKs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from signer import Credentials, link, names, v4, verify
from tests.signer.signing import LinkRequest

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "v4-vectors.json").read_text(encoding="utf-8")
)["vectors"]


def test_there_are_vectors() -> None:
    assert [vector["name"] for vector in VECTORS] == [
        "query",
        "query, security token",
        "query, additional headers",
    ]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_a_link_carries_the_published_signature(vector: dict[str, Any]) -> None:
    credentials = Credentials(
        vector["access_key_id"], vector["access_key_secret"], vector["security_token"]
    )
    given = {
        name: vector[name] for name in LinkRequest._fields if name not in ("credentials", "now")
    }
    link = LinkRequest(credentials=credentials, now=vector["signing_time"], **given).link()

    assert link.url.endswith(f"&x-oss-signature={vector['signature']}")
    assert link.expires_in == vector["expires_in"]
    assert verify(
        vector["method"],
        link.url,
        credentials=credentials,
        headers=link.headers,
        now=vector["signing_time"],
    ).ok


def test_content_type_content_md5_and_x_oss_headers_are_always_signed() -> None:
    names = [
        "content-type",
        "content-md5",
        "x-oss-meta-author",
        "x-oss-",
        "host",
        "date",
        "x-osss",
        "content-length",
    ]

    assert [name for name in names if v4.is_always_signed(name)] == names[:4]


def test_every_cache_is_bounded() -> None:
    caches = [
        member
        for module in (v4, link, names)
        for member in vars(module).values()
        if hasattr(member, "cache_info")
    ]

    assert len(caches) >= 4
    assert all(cache.cache_info().maxsize is not None for cache in caches)
