"""`make demo`: follows a private object from its upload to its recipients, and prints each step."""

from __future__ import annotations

import argparse
import base64
import hmac
import json
import queue
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

import signer
from handler.commands import keys_edit
from handler.commands.printing import show
from signer.times import rfc3339

from ..errors import LocalError
from ..interrupts import exit_on_signals
from ..server import listen, serve
from ..stack import Stack
from .output import TIMEOUT, Story, error_code, expect

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 if every step has the expected result, else 1; ends with 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description="Shows the service work, once.")
    parser.add_argument("-v", "--verbose", action="store_true", help="print every request, and results in full")
    story = Story(parser.parse_args(arguments).verbose)
    exit_on_signals()
    try:
        with ExitStack() as cleanup:
            log = cleanup.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
            config = Path(cleanup.enter_context(tempfile.TemporaryDirectory())) / "links.toml"
            config.write_bytes(_read("links.toml") + ADDED.encode())
            environment = {"LINK_CONFIG": str(config)}
            stack = cleanup.enter_context(Stack.start(Path("s.yaml"), environment=environment, log=log))
            show(f"The functions of s.yaml run at {stack.http_url}, a private OSS at {stack.oss_url}.")
            if story.verbose:
                show("")
            show_redirect(story, stack)
            show_session(story, stack)
            show_share(story, stack)
            show_notice(story, stack)
            show_log(story, log.fileno())
    except (LocalError, requests.RequestException) as error:
        show(f"make demo: {signer.redact(str(error))}", file=sys.stderr)
        return 1
    show("Every step succeeded.")
    return 0


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise LocalError(f"{name} cannot be read ({error.strerror}). Run this in the folder of the project.") from None


def presign(stack: Stack, method: str, key: str, **options: Any) -> signer.Link:
    """By default with the operator's credentials."""
    options = {"credentials": stack.credentials, **options}
    endpoint = signer.Endpoint.path_style(stack.oss_url, stack.region)
    return signer.presign(method, stack.bucket, key, endpoint=endpoint, **options)


def show_redirect(story: Story, stack: Stack) -> None:
    """Uploads with a presigned PUT and downloads through the redirect."""
    upload = presign(stack, "PUT", KEY, expires_in=60, headers={"Content-Type": "text/plain; charset=utf-8"})
    title = "A program uploads a file with a presigned PUT"
    story.send("PUT", upload.url, 200, title, data=CONTENT, headers=upload.headers)
    story.result(f"200, {len(CONTENT)} bytes stored")

    unsigned = f"{stack.oss_url}/{stack.bucket}{PATH}"
    response = story.send("GET", unsigned, 403, "The object is private: a request without a signature is refused")
    story.result(f"403 {error_code(response)}")

    location = story.send("GET", stack.http_url + PATH, 302, "A person opens the link").headers["Location"]
    story.detail(f"302, Location: {signer.redact(location)}")
    download(story, location, "302, then ")

    title = "A program asks for JSON, and for two hours"
    link = story.send("GET", f"{stack.http_url}{PATH}?format=json&expires=2h", 200, title).json()
    link["url"] = signer.redact(link["url"])
    story.detail(json.dumps(link, indent=2).replace("\n", "\n  "))
    story.result(f"200, a link for {link['expires_in']} s, shortened by its {link['clamped_by']}")

    forged = location.replace("q3", "q4", 1)
    title = "Somebody changes the link, and sends HEAD on one that was signed for GET"
    response = story.send("GET", forged, 403, title)
    story.send("HEAD", location, 403)
    story.result(f"403 {error_code(response)}, and 403")


def show_session(story: Story, stack: Stack) -> None:
    """Asks for a link that outlives the session of its mount, and tries the session's credentials elsewhere."""
    story.send("PUT", presign(stack, "PUT", SESSION_KEY).url, 200, data=CONTENT)
    address = f"{stack.http_url}/minutes/2026%20q3.txt?format=json&expires=12h"
    title = "A program asks for a link of 12 hours, which ends with the session of AssumeRole that signs it"
    response = story.send("GET", address, 200, title)
    link = response.json()
    key_id = parse_qs(urlsplit(link["url"]).query)["x-oss-credential"][0].partition("/")[0]
    session = stack.account.principals.find(key_id)
    if session is None or session.expires_at is None:
        raise LocalError("The link is not signed by a session.")
    ends_with_session = (rfc3339(session.expires_at), "credentials") == (link["expires_at"], link["clamped_by"])
    expect(ends_with_session, "A link that ends with its session", response)
    download(story, link["url"], f"200, until {link['expires_at']}, then ")

    outside = presign(stack, "GET", KEY, credentials=session.credentials, expires_in=60)
    response = story.send("GET", outside.url, 403, "The credentials of this session are used outside the mount")
    story.result(f"403 {error_code(response)}")


def show_share(story: Story, stack: Stack) -> None:
    """Creates a share, previews it and uses it up; creates another one and revokes it."""
    document, key = keys_edit.add_api_key(keys_edit.new(), "sales", ["/figures/"], ["GET", "SHARE"], None)
    title = "An operator stores an API key in the private keys document (python -m handler.commands keys does this)"
    put_keys(story, stack, title, keys_edit.serialize(document))
    story.send("PUT", presign(stack, "PUT", SHARED_KEY).url, 200, data=CONTENT)

    shares, headers = f"{stack.http_url}/-/shares", {"Authorization": f"Bearer {key}"}
    params = {"path": f"/{SHARED_KEY}", "expires": "30d", "max_uses": 1}
    title = "A colleague with an API key shares a file for 30 days and one download"
    share = story.send("POST", shares, 201, title, json=params, headers=headers).json()
    story.detail(signer.redact(json.dumps(share)))
    story.result(f"201, a share of /{SHARED_KEY} until {share['expires_at']}")

    title = "A chat program previews the share, which does not count as a download"
    response = story.send("GET", share["url"], 200, title, headers={"Accept": "application/json"})
    expect(response.json()["uses_left"] == 1, "The preview", response)
    story.detail(response.text.strip())
    story.result("200, 1 download is left")

    response = story.send("POST", share["url"], 303, "The recipient presses the download button of the page")
    story.detail(f"303, Location: {signer.redact(response.headers['Location'])}")
    download(story, response.headers["Location"], "303, then ")

    error = story.send("POST", share["url"], 410, "Somebody else tries the same share").json()
    story.detail(error["detail"])
    story.result(f"410 {error['code']}")

    share = story.send("POST", shares, 201, json={**params, "max_uses": 5}, headers=headers).json()
    title = "The colleague revokes a second share, and its recipient tries it afterwards"
    story.send("DELETE", f"{shares}/{share['id']}", 204, title, headers=headers)
    error = story.send("POST", share["url"], 410).json()
    story.detail(error["detail"])
    story.result(f"204, then 410 {error['code']}")


def show_notice(story: Story, stack: Stack) -> None:
    """Uploads to outbox/ and waits for the notice at a webhook."""
    webhook = Webhook()
    with closing(serve(webhook, listen(0))) as server:
        document = story.send("GET", presign(stack, "GET", KEYS_DOCUMENT).url, 200).json()
        secret = "whsec_" + base64.b64encode(webhook.secret).decode()
        url = f"{server.url}/hook"
        document["sinks"] = {"ops": {"kind": "webhook", "url": url, "secret": secret, "allow_loopback": True}}
        put_keys(story, stack, f"An operator adds the webhook {url} to the keys document", json.dumps(document))
        title = "Somebody uploads a file to outbox/: a trigger calls the events function, and a webhook hears of it"
        story.send("PUT", presign(stack, "PUT", NOTICE_KEY).url, 200, title, data=CONTENT)
        try:
            notice = webhook.received.get(timeout=TIMEOUT)
        except queue.Empty:
            raise LocalError("The webhook received no notice.") from None
    data = notice["data"]
    story.detail(f"{notice['id']}: {data['key']}, {data['size']} bytes, until {data['expires_at']}:")
    story.detail(signer.redact(data["url"]))
    story.result("200, and a signed notice with a share")
    story.send("GET", data["url"], 302, "A reader of the notice opens its share")
    download(story, data["url"], "302, then ")


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


def put_keys(story: Story, stack: Stack, title: str, document: str | bytes) -> None:
    """A step only if everything is printed: the shorter story is about what people do afterwards."""
    story.send("PUT", presign(stack, "PUT", KEYS_DOCUMENT).url, 200, title if story.verbose else "", data=document)
    if story.verbose:
        story.result("200")


def download(story: Story, url: str, before: str) -> None:
    response = story.send("GET", url, 200, allow_redirects=True)
    expect(response.content == CONTENT, "The download", response)
    story.result(f"{before}200: {len(response.content)} bytes, as uploaded")


def show_log(story: Story, descriptor: int) -> None:
    """The first audit line of the functions."""
    with open(descriptor, encoding="utf-8", closefd=False) as log:
        log.seek(0)
        lines = [line for line in log if line.startswith('{"request_id"')]
    if not lines:
        raise LocalError("The function wrote no audit line.")
    facts = json.loads(lines[0])
    show("The function's log line for the first person who opened the link" + ("" if story.verbose else ", in part"))
    part = {name: facts[name] for name in ("method", "mount", "status", "expires_in")}
    show(*f"  {lines[0]}".split("\n") if story.verbose else [f"  {json.dumps(part)}"])
