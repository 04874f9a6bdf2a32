"""A generic webhook, by the Standard Webhooks specification (standardwebhooks.com, spec/standard-webhooks.md).

The signed content is `{webhook-id}.{webhook-timestamp}.{body}`, the signature `v1,` and the base64 of its HMAC-SHA256.
"""

from __future__ import annotations

import hmac
import json
from base64 import b64encode

from signer.times import rfc3339

from .base import Post, Sink, Verdict, secret_bytes
from .message import Told

NEEDS_SECRET = True
LIMIT = 512 * 1024
MOST = 1000
PACE = 0.0
OVERHEAD = 200


def weight(told: Told) -> int:
    """Bytes of its JSON."""
    return len(json.dumps(told.document())) + 2


def post(sink: Sink, message_id: str, tolds: tuple[Told, ...], now: float) -> Post:
    """A notice as `notice.{on}`, several as `notice.digest`; the id is the same each time it is sent."""
    if len(tolds) == 1:
        kind, data = f"notice.{tolds[0].on}", tolds[0].document()
    else:
        kind, data = "notice.digest", {"notices": [told.document() for told in tolds]}
    body = json.dumps({"type": kind, "timestamp": rfc3339(now), "data": data}).encode()
    timestamp = str(int(now))
    content = f"{message_id}.{timestamp}.".encode() + body
    signature = b64encode(hmac.digest(secret_bytes(sink.secret) or b"", content, "sha256")).decode()
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }
    return Post(sink.url, headers, body)


def verdict(status: int, body: bytes) -> Verdict:
    """The specification: any 2xx is success, whatever its body."""
    return Verdict("told")
