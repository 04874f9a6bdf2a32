"""Random links that work, each from a seed."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import signer
from tests.signer.sdks import v1_url_of_oss2
from tests.signer.signing import random_request


class Use(NamedTuple):
    """A link, and how it is used."""

    url: str
    method: str
    headers: dict[str, str]
    credentials: signer.Credentials
    now: int
    bucket: str | None  # where the link does not name it

    def explain(self, credentials: signer.Credentials | None = None) -> signer.Explanation:
        return signer.explain(**{**self._asdict(), "credentials": credentials}, inside=True)


def working_link(random: Random, version: str = "V4") -> Use:
    """A link of any endpoint that works now."""
    request = random_request(random)._replace(now=random.randint(1_700_000_000, 1_900_000_000))
    region = request.region
    kind = random.choice(("public", "internal", "dual_stack", "accelerate", "custom", "path"))
    if kind == "custom":
        endpoint = signer.Endpoint.custom_domain("https://static.example.com", region)
    elif kind == "path":
        endpoint = signer.Endpoint.path_style("http://127.0.0.1:9001", region)
    else:
        endpoint = getattr(signer.Endpoint, kind)(region)
    link = request.link(endpoint)
    url, now = link.url, request.now + random.randint(-899, request.expires_in - 1)
    if version == "V1":
        url = f"{url.partition('?')[0]}?{v1_url_of_oss2(request).partition('?')[2]}"
    bucket = request.bucket if kind == "custom" else None
    return Use(url, request.method, dict(link.headers), request.credentials, now, bucket)


def v1_link(random: Random) -> Use:
    """One that oss2 signed with V1."""
    return working_link(random, "V1")
