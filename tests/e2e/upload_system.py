"""The running system with uploads enabled, and a program with a key."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.e2e.system import TIMEOUT, System

LINKS_TOML = Path(__file__).with_name("upload_links.toml")
KEY = "fcp_program_EXAMPLE_00000000000000000000000000"


def keys_document() -> dict[str, Any]:
    """A keys document with one share key, and one API key that allows everything."""
    secret = urlsafe_b64encode(b"an example of thirty-two bytes..").decode().rstrip("=")
    program = {
        "id": "program",
        "sha256": sha256(KEY.encode()).hexdigest(),
        "paths": ["/"],
        "methods": ["GET", "HEAD", "PUT", "POST", "SHARE"],
        "expires_at": None,
    }
    return {"version": 1, "share": [{"id": "a", "secret": secret}], "api": [program]}


def post_json(system: System, route: str, params: Mapping[str, object]) -> dict[str, Any]:
    """The JSON with which a route responds to the program; the request must succeed."""
    response = requests.post(
        system.stack.http_url + route, json=params, headers={"Authorization": f"Bearer {KEY}"}, timeout=TIMEOUT
    )
    assert response.status_code in (200, 201), response.json()["code"]
    document: dict[str, Any] = response.json()
    return document


def create_share(system: System, **params: object) -> str:
    """The address of a new share, at the port of this system."""
    parts = urlsplit(post_json(system, "/-/shares", params)["url"])
    return f"{system.stack.http_url}{parts.path}?{parts.query}"


def revoke_share(system: System, share_id: str) -> None:
    response = requests.delete(
        f"{system.stack.http_url}/-/shares/{share_id}", headers={"Authorization": f"Bearer {KEY}"}, timeout=TIMEOUT
    )
    assert response.status_code == 204


def stored_objects(system: System, prefix: str = "inbox/") -> dict[str, bytes]:
    """Every object below a prefix, by its key."""
    bucket = system.bucket_client()
    return {item.key: bucket.get_object(item.key).read() for item in bucket.list_objects_v2(prefix).object_list}
