"""`make demo`: follows a private object from its upload to its recipients, and prints every request on the way."""

from __future__ import annotations

import base64
import hmac
import json
import queue
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

import signer
from handler.commands import keys_edit
from signer.times import rfc3339

from ..errors import LocalError
from ..interrupts import exit_on_signals
from ..server import listen, serve
from ..stack import Stack
from .output import DemoError, error_code, expect, say, step

TIMEOUT = 30  # seconds
CONTENT = b"Quarterly figures: the same bytes on both ends.\n" * 40
KEY = "exampledir/reports/2026 q3 报告.txt"
PATH = "/exampledir/reports/2026%20q3%20%E6%8A%A5%E5%91%8A.txt"
SHARED_KEY = "figures/2026 q3.txt"
SESSION_KEY = "minutes/2026 q3.txt"
NOTICE_KEY = "outbox/minutes 会议记录.txt"
KEYS_DOCUMENT = ".links/keys.json"
# What the demonstration adds to the repository's links.toml: mounts with shares and long links, a webhook, sessions.
ADDED = """
[assume_role]
role     = "acs:ram::1000000000000001:role/links-signer"
duration = "6h"

[[mount]]
path        = "/minutes/"
target      = "oss://${LINK_BUCKET}/minutes/"
access      = "anonymous"
max_expires = "12h"

[[mount]]
path      = "/figures/"
target    = "oss://${LINK_BUCKET}/figures/"
max_share = "90d"

[[notice]]
on      = "created"
mount   = "/outbox/"
give    = "share"
expires = "7d"
to      = ["ops"]
"""


def main() -> int:
    """Returns 0 if every step has the expected result, else 1; ends with 130 after Ctrl-C."""
    exit_on_signals()
    try:
        with ExitStack() as cleanup:
            log = cleanup.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
            config = Path(cleanup.enter_context(tempfile.TemporaryDirectory())) / "links.toml"
            config.write_bytes(_read("links.toml") + ADDED.encode())
            environment = {"LINK_CONFIG": str(config)}
            stack = cleanup.enter_context(Stack.start(Path("s.yaml"), environment=environment, log=log))
            say(f"The functions of s.yaml run at {stack.http_url}, a private OSS bucket at {stack.oss_url}.\n")
            show_redirect(stack)
            show_session(stack)
            show_share(stack)
            show_notice(stack)
            show_log(log.fileno())
    except (LocalError, requests.RequestException) as error:
        print(f"make demo: {signer.redact(str(error))}", file=sys.stderr)
        return 1
    say("\nEvery step succeeded.")
    return 0


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise DemoError(f"{name} cannot be read ({error.strerror}). Run this in the folder of the project.") from None


def presign(stack: Stack, method: str, key: str, **options: Any) -> signer.Link:
    """By default with the operator's credentials."""
    options = {"credentials": stack.credentials, **options}
    endpoint = signer.Endpoint.path_style(stack.oss_url, stack.region)
    return signer.presign(method, stack.bucket, key, endpoint=endpoint, **options)


def show_redirect(stack: Stack) -> None:
    """Uploads with a presigned PUT and downloads through the redirect."""
    upload = presign(stack, "PUT", KEY, expires_in=60, headers={"Content-Type": "text/plain; charset=utf-8"})
    step("A program uploads a file with a presigned PUT", "PUT", upload.url)
    response = requests.put(upload.url, data=CONTENT, headers=upload.headers, timeout=TIMEOUT)
    expect(response.status_code == 200, "The upload", response)
    say(f"  {response.status_code}, {len(CONTENT)} bytes stored\n")

    unsigned = f"{stack.oss_url}/{stack.bucket}{PATH}"
    step("The object is private: a request without a signature is refused", "GET", unsigned)
    response = requests.get(unsigned, timeout=TIMEOUT)
    expect(response.status_code == 403, "The unsigned request", response)
    say(f"  {response.status_code} {error_code(response)}\n")

    step("A person opens the link", "GET", stack.http_url + PATH)
    response = requests.get(stack.http_url + PATH, allow_redirects=False, timeout=TIMEOUT)
    expect(response.status_code == 302, "The redirect", response)
    location = response.headers["Location"]
    say(f"  {response.status_code}, Location: {signer.redact(location)}")
    download(location)

    step("A program asks for JSON", "GET", stack.http_url + PATH + "?format=json&expires=2h")
    response = requests.get(stack.http_url + PATH, params={"format": "json", "expires": "2h"}, timeout=TIMEOUT)
    expect(response.status_code == 200, "The request for JSON", response)
    link = response.json()
    link["url"] = signer.redact(link["url"])
    say("  " + json.dumps(link, indent=2).replace("\n", "\n  ") + "\n")

    forged = location.replace("q3", "q4", 1)
    step("Somebody changes the link", "GET", forged)
    response = requests.get(forged, timeout=TIMEOUT)
    expect(response.status_code == 403, "The changed link", response)
    say(f"  {response.status_code} {error_code(response)}")
    response = requests.head(location, timeout=TIMEOUT)
    expect(response.status_code == 403, "HEAD on a link for GET", response)
    say(f"  {response.status_code} for HEAD on the link, which was signed for GET\n")


def show_session(stack: Stack) -> None:
    """Asks for a link that outlives the session of its mount, and tries the session's credentials elsewhere."""
    upload = presign(stack, "PUT", SESSION_KEY)
    response = requests.put(upload.url, data=CONTENT, timeout=TIMEOUT)
    expect(response.status_code == 200, "The upload", response)
    address = f"{stack.http_url}/minutes/2026%20q3.txt?format=json&expires=12h"
    step("A program asks for a link of 12 hours, which a session of AssumeRole signs", "GET", address)
    response = requests.get(address, timeout=TIMEOUT)
    expect(response.status_code == 200, "The request for JSON", response)
    link = response.json()
    key_id = parse_qs(urlsplit(link["url"]).query)["x-oss-credential"][0].partition("/")[0]
    session = stack.account.principals.find(key_id)
    if session is None or session.expires_at is None:
        raise DemoError("The link is not signed by a session.")
    ends_with_session = (rfc3339(session.expires_at), "credentials") == (link["expires_at"], link["clamped_by"])
    expect(ends_with_session, "A link that ends with its session", response)
    say(f"  {response.status_code}, the link expires with the session of its mount, at {link['expires_at']}")
    download(link["url"])

    outside = presign(stack, "GET", KEY, credentials=session.credentials, expires_in=60)
    step("The credentials of this session are used outside the mount", "GET", outside.url)
    response = requests.get(outside.url, timeout=TIMEOUT)
    expect(response.status_code == 403, "The request outside the mount", response)
    say(f"  {response.status_code} {error_code(response)}\n")


def show_share(stack: Stack) -> None:
    """Creates a share, previews it and uses it up; creates another one and revokes it."""
    document, key = keys_edit.add_api_key(keys_edit.new(), "sales", ["/figures/"], ["GET", "SHARE"], None)
    title = "An operator stores an API key in the private keys document (python -m handler.keys does this)"
    put_keys(stack, title, keys_edit.serialize(document))
    upload = presign(stack, "PUT", SHARED_KEY)
    response = requests.put(upload.url, data=CONTENT, timeout=TIMEOUT)
    expect(response.status_code == 200, "The upload", response)

    shares, headers = f"{stack.http_url}/-/shares", {"Authorization": f"Bearer {key}"}
    params = {"path": f"/{SHARED_KEY}", "expires": "30d", "max_uses": 1}
    step("A colleague with the key shares a file for 30 days and one download", "POST", shares)
    response = requests.post(shares, json=params, headers=headers, timeout=TIMEOUT)
    expect(response.status_code == 201, "The share", response)
    share = response.json()
    say(f"  {response.status_code}, {signer.redact(json.dumps(share))}\n")

    step("A chat program previews the link, which does not count as a download", "GET", share["url"])
    response = requests.get(share["url"], headers={"Accept": "application/json"}, timeout=TIMEOUT)
    expect(response.status_code == 200 and response.json()["uses_left"] == 1, "The preview", response)
    say(f"  {response.status_code}, {response.text}\n")

    step("The recipient presses the download button of the page", "POST", share["url"])
    response = requests.post(share["url"], allow_redirects=False, timeout=TIMEOUT)
    expect(response.status_code == 303, "The download button", response)
    say(f"  {response.status_code}, Location: {signer.redact(response.headers['Location'])}")
    download(response.headers["Location"])

    step("Somebody else tries the same share", "POST", share["url"])
    refuse_share(share["url"])

    response = requests.post(shares, json={**params, "max_uses": 5}, headers=headers, timeout=TIMEOUT)
    expect(response.status_code == 201, "The second share", response)
    share = response.json()
    step("The colleague revokes a second share", "DELETE", f"{shares}/{share['id']}")
    response = requests.delete(f"{shares}/{share['id']}", headers=headers, timeout=TIMEOUT)
    expect(response.status_code == 204, "The revocation", response)
    say(f"  {response.status_code}\n")
    step("Its recipient tries it afterwards", "POST", share["url"])
    refuse_share(share["url"])


def show_notice(stack: Stack) -> None:
    """Uploads to outbox/ and waits for the notice at a webhook."""
    webhook = Webhook()
    server = serve(webhook, listen(0))
    try:
        read = presign(stack, "GET", KEYS_DOCUMENT)
        document = requests.get(read.url, timeout=TIMEOUT).json()
        secret = "whsec_" + base64.b64encode(webhook.secret).decode()
        url = f"{server.url}/hook"
        document["sinks"] = {"ops": {"kind": "webhook", "url": url, "secret": secret, "allow_loopback": True}}
        put_keys(stack, f"An operator adds the webhook {url} to the keys document", json.dumps(document))
        upload = presign(stack, "PUT", NOTICE_KEY)
        step("Somebody uploads a file to outbox/", "PUT", upload.url)
        response = requests.put(upload.url, data=CONTENT, timeout=TIMEOUT)
        expect(response.status_code == 200, "The upload", response)
        say(f"  {response.status_code}, and the OSS trigger calls the events function")
        try:
            notice = webhook.received.get(timeout=TIMEOUT)
        except queue.Empty:
            raise DemoError("The webhook received no notice.") from None
    finally:
        server.close()
    data = notice["data"]
    say(f"  the webhook receives a signed notice, {notice['id']}:")
    say(f"  {data['key']}, {data['size']} bytes, until {data['expires_at']}: {signer.redact(data['url'])}\n")
    step("A reader of the notice opens its share", "GET", data["url"])
    download(data["url"])


class Webhook:
    """A WSGI application that queues each notice with a valid signature (Standard Webhooks)."""

    def __init__(self) -> None:
        self.secret = secrets.token_bytes(32)
        self.received: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        signed = f"{environ.get('HTTP_WEBHOOK_ID')}.{environ.get('HTTP_WEBHOOK_TIMESTAMP')}.".encode() + body
        signature = "v1," + base64.b64encode(hmac.digest(self.secret, signed, "sha256")).decode()
        valid = hmac.compare_digest(signature, environ.get("HTTP_WEBHOOK_SIGNATURE", ""))
        if valid:
            self.received.put({"id": environ["HTTP_WEBHOOK_ID"], **json.loads(body)})
        start_response("204 No Content" if valid else "401 Unauthorized", [("Content-Length", "0")])
        return []


def put_keys(stack: Stack, title: str, document: str | bytes) -> None:
    link = presign(stack, "PUT", KEYS_DOCUMENT)
    step(title, "PUT", link.url)
    response = requests.put(link.url, data=document, timeout=TIMEOUT)
    expect(response.status_code == 200, "The keys document", response)
    say(f"  {response.status_code}\n")


def download(url: str) -> None:
    response = requests.get(url, timeout=TIMEOUT)
    expect(response.status_code == 200 and response.content == CONTENT, "The download", response)
    say(f"  {response.status_code}, {len(response.content)} bytes, identical to the upload\n")


def refuse_share(url: str) -> None:
    response = requests.post(url, allow_redirects=False, timeout=TIMEOUT)
    expect(response.status_code == 410, "The refusal of the share", response)
    error = response.json()
    say(f"  {response.status_code} {error['code']}: {error['detail']}\n")


def show_log(descriptor: int) -> None:
    """The first audit line of the functions."""
    with open(descriptor, encoding="utf-8", closefd=False) as log:
        log.seek(0)
        lines = [line for line in log if line.startswith('{"request_id"')]
    if not lines:
        raise DemoError("The function wrote no audit line.")
    say("The function's log line for the first person who opened the link:")
    say("  " + lines[0].strip())


if __name__ == "__main__":
    sys.exit(main())
