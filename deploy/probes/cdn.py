"""What the doctor asks a CDN that checks links. It needs no object: the CDN judges a link before it asks its origin."""

from __future__ import annotations

import time
from functools import partial
from secrets import token_hex

from handler.core.config import Mount
from signer import CdnKey, presign_cdn
from signer.cdn import encode_path

from .deployment import Deployment, ProbeResponse
from .findings import Finding, fault, ok, unknown

DIFFERS = "the domain has another type, key or parameter than the keys document: make them equal"


def domain(deployment: Deployment, mount: Mount, cdn: CdnKey | None) -> Finding:
    """Whether it refuses what is unsigned, and with a key what is forged or has expired, and nothing else."""
    now = int(time.time())
    key = f"{mount.target.key}fc-presign-canary-{token_hex(4)}.txt"
    url = mount.endpoint.url(mount.target.bucket, encode_path(key))
    off = "URL signing is off, so the bucket is public: turn it on"
    probes = [("an unsigned address", url, False, off)]
    if cdn is not None:
        sign = partial(presign_cdn, url, now=now)
        validity = f"its validity is {{}} than valid_for in the keys document ({cdn.valid_for} s): make them equal"
        probes += [
            ("a forged link", sign(cdn._replace(key=token_hex(16)), expires_in=60).url, False, off),
            # Its time is now, so that any validity of the domain will do.
            ("a new link", sign(cdn, expires_in=cdn.valid_for).url, True, DIFFERS),
            (
                "an expired link",
                sign(cdn, expires_in=120, now=now - 180).url,
                False,
                validity.format("longer"),
            ),
            ("a link of a minute", sign(cdn, expires_in=60).url, True, validity.format("shorter")),
        ]
    for what, link, is_valid, problem in probes:
        response = deployment.request("GET", link)
        if wrong := judge(mount, response, what, problem, is_valid=is_valid):
            return wrong
    if cdn is not None and response.status not in (200, 404):
        return fault(
            "cdn",
            f"{mount.path}: OSS refuses {response.host} ({response.code}): set private-bucket origin.",
        )
    return ok(
        "cdn",
        f"{mount.path}: {response.host} judges {', '.join(what for what, *_ in probes)} as it should.",
    )


def judge(
    mount: Mount,
    response: ProbeResponse,
    what: str,
    problem: str = DIFFERS,
    *,
    is_valid: bool = True,
) -> Finding | None:
    """What is wrong if the CDN refuses a valid link, or passes another on; what its origin answers does not matter."""
    reason = response.headers.get("x-tengine-error", "") if response.status == 403 else ""
    passed_on = response.status in (200, 404) or (400 <= response.status < 500 and response.code)
    if " ACL" in reason or not (reason or passed_on):
        advice = "check endpoint in links.toml and the access lists of the domain, and try again"
        return unknown(
            "cdn",
            f"{mount.path}: {response.host} did not judge {what} ({response.answer}): {advice}.",
        )
    if is_valid is not bool(reason):
        return None
    verb = "refuses" if reason else "accepts"
    return fault(
        "cdn", f"{mount.path}: {response.host} {verb} {what} ({response.answer}): {problem}."
    )
