"""Temporary credentials that look like those of STS."""

from __future__ import annotations

import base64
import secrets

from ...credentials import Credentials

_TOKEN_BYTES = 448  # about 600 characters


def temporary_credentials(policy: str = "", *, expires_at: float | None = None) -> Credentials:
    """Random credentials: an STS id, and a token that grows with the session policy, which real ones contain."""
    key_id = "STS." + base64.b32encode(secrets.token_bytes(15)).decode()
    return Credentials(key_id, secrets.token_urlsafe(33), _token(policy), expires_at)


def _token(policy: str) -> str:
    """Always with `+`, `/` and `=`, which those who forget to encode it meet at once."""
    size = _TOKEN_BYTES + len(policy.encode())
    if size % 3 == 0:
        size += 1
    while True:
        token = "CAIS" + base64.b64encode(secrets.token_bytes(size)).decode()
        if "+" in token and "/" in token:
            return token
