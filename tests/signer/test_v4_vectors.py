"""The golden vectors of the official SDKs, from end to end and step by step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from signer import Credentials, Endpoint, link, names, presign, v4, verify

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "v4-vectors.json").read_text(encoding="utf-8")
)["vectors"]

every_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))


def test_there_are_vectors() -> None:
    assert [vector["name"] for vector in VECTORS] == [
        "query",
        "query, security token",
        "query, additional headers",
    ]


@every_vector
def test_a_link_carries_the_published_signature(vector: dict[str, Any]) -> None:
    link = presign(
        vector["method"],
        vector["bucket"],
        vector["key"],
        credentials=_credentials(vector),
        endpoint=Endpoint.public(vector["region"], product=vector["product"]),
        expires_in=vector["expires_in"],
        query=vector["query"],
        headers=vector["headers"],
        signed_headers=vector["signed_headers"],
        now=vector["signing_time"],
    )

    assert link.url.endswith(f"&x-oss-signature={vector['signature']}")
    assert link.expires_in == vector["expires_in"]
    assert verify(
        vector["method"], link.url, credentials=_credentials(vector), headers=link.headers, now=vector["signing_time"]
    ).ok


@every_vector
def test_the_steps_lead_to_the_published_signature(vector: dict[str, Any]) -> None:
    issued_at = v4.timestamp(vector["signing_time"])
    scope = v4.scope(issued_at[:8], vector["region"], vector["product"])
    signed = [name for name in map(str.lower, vector["signed_headers"]) if not v4.is_always_signed(name)]
    headers = {name.lower(): value for name, value in vector["headers"].items()}
    parameters = {
        **vector["query"],
        "x-oss-credential": f"{vector['access_key_id']}/{scope}",
        "x-oss-date": issued_at,
        "x-oss-expires": str(vector["expires_in"]),
        "x-oss-signature-version": v4.ALGORITHM,
    }
    if vector["security_token"]:
        parameters["x-oss-security-token"] = vector["security_token"]
    if signed:
        parameters["x-oss-additional-headers"] = v4.additional_headers(signed)

    request = v4.canonical_request(
        vector["method"],
        v4.canonical_path(vector["bucket"], v4.encode_key(vector["key"])),
        v4.canonical_query([v4.canonical_parameter(*pair) for pair in parameters.items()]),
        v4.canonical_headers({n: v for n, v in headers.items() if v4.is_always_signed(n) or n in signed}),
        v4.additional_headers(signed),
    )
    key = v4.signing_key(vector["access_key_secret"], issued_at[:8], vector["region"], vector["product"])

    assert v4.signature(key, v4.string_to_sign(issued_at, scope, request)) == vector["signature"]


@pytest.mark.parametrize(
    ("name", "always"),
    [
        ("content-type", True),
        ("content-md5", True),
        ("x-oss-meta-author", True),
        ("x-oss-", True),
        ("host", False),
        ("date", False),
        ("x-osss", False),
        ("content-length", False),
    ],
)
def test_content_type_content_md5_and_x_oss_headers_are_always_signed(name: str, always: bool) -> None:
    assert v4.is_always_signed(name) is always


def test_every_cache_is_bounded() -> None:
    caches = [
        member for module in (v4, link, names) for member in vars(module).values() if hasattr(member, "cache_info")
    ]

    assert len(caches) >= 4
    assert all(cache.cache_info().maxsize is not None for cache in caches)


def _credentials(vector: dict[str, Any]) -> Credentials:
    return Credentials(vector["access_key_id"], vector["access_key_secret"], vector["security_token"])
