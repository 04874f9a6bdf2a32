"""The demonstration's last act: a file lands in outbox/, and a webhook hears of it."""

from __future__ import annotations

import base64
import hmac
import json
import queue
import secrets
from collections.abc import Callable, Iterable
from typing import Any

import requests

import signer

from ..server import listen, serve
from ..stack import Stack
from .output import TIMEOUT, DemoError, expect, say, step

CONTENT = b"What the colleagues wait for.\n" * 30
KEY = "outbox/minutes 会议记录.txt"


class Webhook:
    """A receiver that takes what is signed with its secret (Standard Webhooks), and keeps it."""

    def __init__(self) -> None:
        self.secret = secrets.token_bytes(32)
        self.received: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        content = f"{environ.get('HTTP_WEBHOOK_ID')}.{environ.get('HTTP_WEBHOOK_TIMESTAMP')}.".encode() + body
        signature = "v1," + base64.b64encode(hmac.digest(self.secret, content, "sha256")).decode()
        good = hmac.compare_digest(signature, environ.get("HTTP_WEBHOOK_SIGNATURE", ""))
        if good:
            self.received.put({"id": environ["HTTP_WEBHOOK_ID"], **json.loads(body)})
        start("204 No Content" if good else "401 Unauthorized", [("Content-Length", "0")])
        return []


def notice_act(stack: Stack) -> None:
    """Puts a file into outbox/, and waits for its notice."""
    webhook = Webhook()
    server = serve(webhook, listen(0))
    try:
        _name_sink(stack, f"{server.url}/hook", webhook.secret)
        _tell(stack, webhook)
    finally:
        server.close()


def _name_sink(stack: Stack, url: str, secret: bytes) -> None:
    """Adds the webhook to the keys document's sinks."""
    endpoint = signer.Endpoint.path_style(stack.oss_url, stack.region)
    read, write = (
        signer.presign(method, stack.bucket, ".links/keys.json", credentials=stack.credentials, endpoint=endpoint)
        for method in ("GET", "PUT")
    )
    document = requests.get(read.url, timeout=TIMEOUT).json()
    document["sinks"] = {
        "ops": {
            "kind": "webhook",
            "url": url,
            "secret": "whsec_" + base64.b64encode(secret).decode(),
            "allow_loopback": True,
        }
    }
    step("Operators name a webhook in the keys document", "PUT", write.url)
    answer = requests.put(write.url, data=json.dumps(document), timeout=TIMEOUT)
    expect(answer.status_code == 200, "the keys document", answer)
    say(f"  {answer.status_code}, a webhook listens at {url}\n")


def _tell(stack: Stack, webhook: Webhook) -> None:
    endpoint = signer.Endpoint.path_style(stack.oss_url, stack.region)
    upload = signer.presign("PUT", stack.bucket, KEY, credentials=stack.credentials, endpoint=endpoint)
    step("Somebody puts a file into outbox/", "PUT", upload.url)
    answer = requests.put(upload.url, data=CONTENT, timeout=TIMEOUT)
    expect(answer.status_code == 200, "the upload", answer)
    say(f"  {answer.status_code}; the OSS trigger calls the function of events")
    try:
        told = webhook.received.get(timeout=TIMEOUT)
    except queue.Empty:
        raise DemoError("No notice came to the webhook.") from None
    data = told["data"]
    say(f"  its notice arrives at the webhook, signed, under the id {told['id']}:")
    say(f"  {data['key']}, {data['size']} bytes, until {data['expires_at']}: {signer.redact(data['url'])}\n")
    url = data["url"]
    step("Its reader opens the share", "GET", url)
    answer = requests.get(url, timeout=TIMEOUT)
    expect(answer.status_code == 200 and answer.content == CONTENT, "the download", answer)
    say(f"  {answer.status_code}, {len(answer.content)} bytes, the same as were stored\n")
