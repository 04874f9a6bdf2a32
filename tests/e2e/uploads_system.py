"""The whole system under a policy for uploads, and a program with a key."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.e2e.system import TIMEOUT, System

POLICY = Path(__file__).with_name("uploads.toml")
KEY = "fcp_program_EXAMPLE_00000000000000000000000000"


def document() -> dict[str, Any]:
    """A keys document with one share key, and one program that may do everything."""
    secret = urlsafe_b64encode(b"an example of thirty-two bytes..").decode().rstrip("=")
    program = {
        "id": "program",
        "sha256": sha256(KEY.encode()).hexdigest(),
        "paths": ["/"],
        "methods": ["GET", "HEAD", "PUT", "POST", "SHARE"],
        "expires_at": None,
    }
    return {"version": 1, "share": [{"id": "a", "secret": secret}], "api": [program]}


def posted(system: System, route: str, wish: Mapping[str, object]) -> dict[str, Any]:
    """What a route answers to the program's wish, which it must follow."""
    answer = requests.post(
        system.stack.http_url + route, json=wish, headers={"Authorization": f"Bearer {KEY}"}, timeout=TIMEOUT
    )
    assert answer.status_code in (200, 201), answer.json()["code"]
    found: dict[str, Any] = answer.json()
    return found


def shared(system: System, **wish: object) -> str:
    """The address of a new share, at the port where the system listens."""
    parts = urlsplit(posted(system, "/-/shares", wish)["url"])
    return f"{system.stack.http_url}{parts.path}?{parts.query}"


def stored(system: System, prefix: str = "inbox/") -> dict[str, bytes]:
    """Every object below a prefix, by its key."""
    bucket = system.operator()
    return {found.key: bucket.get_object(found.key).read() for found in bucket.list_objects_v2(prefix).object_list}
