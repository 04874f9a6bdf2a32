"""A generic webhook, by the Standard Webhooks specification (standardwebhooks.com, spec/standard-webhooks.md).

The signed content is `{webhook-id}.{webhook-timestamp}.{body}`, the signature `v1,` and the base64 of its HMAC-SHA256.
"""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from hashlib import sha256

from signer.times import rfc3339

from ...core.outbox import Delivery
from .base import Post, Sink, Verdict, by_status, webhook_key
from .message import document

MESSAGE = "JSON, one request for each notice"
SIGNATURE = (
    "[Standard Webhooks](https://www.standardwebhooks.com/): `webhook-id`, `webhook-timestamp`, `webhook-signature` "
    "v1; `secret` is `whsec_` and the base64 of 24 to 64 bytes"
)
FOUND_BY = "whsec_"
NEEDS_SECRET = True
SERVICE_BYTES = 512 * 1024  # of this service: the specification has no limit
MAX_BYTES = SERVICE_BYTES
ENVELOPE = 700
MAX_NOTICES = 200
MIN_INTERVAL = 0.0


def encoded_size(delivery: Delivery) -> int:
    return len(json.dumps(document(delivery))) + 2


def post(sink: Sink, deliveries: tuple[Delivery, ...], now: float) -> Post:
    """One notice as `notice.{on}`, several as `notice.digest`; a message that is sent again has the same id."""
    if len(deliveries) == 1:
        event_type = f"notice.{deliveries[0].notice.on}"
        data = document(deliveries[0])
    else:
        event_type = "notice.digest"
        data = {"notices": [document(item) for item in deliveries]}
    message_id = _message_id([item.id for item in deliveries])
    body = json.dumps({"type": event_type, "timestamp": rfc3339(now), "data": data}).encode()
    timestamp = str(int(now))
    content = f"{message_id}.{timestamp}.".encode() + body
    signature = b64encode(hmac.digest(webhook_key(sink.secret) or b"", content, "sha256")).decode()
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }
    return Post(sink.url, headers, body)


def verdict(status: int, body: bytes) -> Verdict:
    """The specification: any 2xx is success, whatever its body."""
    return by_status(status)


def _message_id(ids: list[str]) -> str:
    """That of the only notice, or a hash of all ids."""
    return (
        f"notice_{ids[0]}"
        if len(ids) == 1
        else f"digest_{sha256(json.dumps(ids).encode()).hexdigest()[:32]}"
    )
