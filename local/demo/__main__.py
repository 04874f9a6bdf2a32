"""`make demo`: a private object travels, and everything on its way is shown."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import requests

import signer
from handler.keys import edit

from ..errors import LocalError
from ..server import listen
from ..stack import Stack
from .notice import notice_act
from .output import TIMEOUT, DemoError, code, expect, say, step

CONTENT = b"Quarterly figures: the same bytes on both ends.\n" * 40
KEY = "exampledir/reports/2026 q3 报告.txt"
PATH = "/exampledir/reports/2026%20q3%20%E6%8A%A5%E5%91%8A.txt"
SHARED = "figures/2026 q3.txt"
# What the demonstration adds to the repository's links.toml: shares, a webhook, and where this service is reached.
POLICY = """public_url = "{public_url}"
{links_toml}
[[mount]]
path      = "/figures/"
target    = "oss://${{LINK_BUCKET}}/figures/"
max_share = "90d"

[[notice]]
on      = "created"
mount   = "/outbox/"
give    = "share"
expires = "7d"
to      = ["ops"]
"""


def main() -> int:
    """Runs the demonstration; the exit status is 0 if every step held."""
    try:
        with ExitStack() as ends:
            log = ends.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
            links = Path(ends.enter_context(tempfile.TemporaryDirectory())) / "links.toml"
            with listen(0) as free:
                port = free.getsockname()[1]
            links_toml = Path("links.toml").read_text(encoding="utf-8")
            links.write_text(POLICY.format(public_url=f"http://127.0.0.1:{port}", links_toml=links_toml), "utf-8")
            environment = {"LINK_CONFIG": str(links)}
            stack = ends.enter_context(Stack.start(Path("s.yaml"), http_port=port, environment=environment, log=log))
            for act in ACTS:
                act(stack)
            show_log(log.fileno())
    except (LocalError, requests.RequestException) as error:
        print(f"make demo: {signer.redact(str(error))}", file=sys.stderr)
        return 1
    say("\nEvery step held.")
    return 0


def redirect_act(stack: Stack) -> None:
    """Upload by a presigned PUT, download through the 302, byte for byte."""
    say(f"The functions of s.yaml answer at {stack.http_url}, a private OSS bucket at {stack.oss_url}.\n")
    endpoint = signer.Endpoint.path_style(stack.oss_url, stack.region)
    upload = signer.presign(
        "PUT",
        stack.bucket,
        KEY,
        credentials=stack.credentials,
        endpoint=endpoint,
        expires_in=60,
        headers={"Content-Type": "text/plain; charset=utf-8"},
    )
    step("A program uploads with a presigned PUT", "PUT", upload.url)
    answer = requests.put(upload.url, data=CONTENT, headers=upload.headers, timeout=TIMEOUT)
    expect(answer.status_code == 200, "the upload", answer)
    say(f"  {answer.status_code}, {len(CONTENT)} bytes stored\n")

    bare = f"{stack.oss_url}/{stack.bucket}{PATH}"
    step("The object is private: without a signature there is nothing to see", "GET", bare)
    answer = requests.get(bare, timeout=TIMEOUT)
    expect(answer.status_code == 403, "the refusal", answer)
    say(f"  {answer.status_code} {code(answer)}\n")

    step("A person opens the link", "GET", stack.http_url + PATH)
    answer = requests.get(stack.http_url + PATH, allow_redirects=False, timeout=TIMEOUT)
    expect(answer.status_code == 302, "the redirect", answer)
    location = answer.headers["Location"]
    say(f"  {answer.status_code}, Location: {signer.redact(location)}")
    answer = requests.get(location, timeout=TIMEOUT)
    expect(answer.status_code == 200 and answer.content == CONTENT, "the download", answer)
    say(f"  {answer.status_code}, {len(answer.content)} bytes, the same as were stored\n")

    step("A program asks for JSON", "GET", stack.http_url + PATH + "?format=json&expires=2h")
    answer = requests.get(stack.http_url + PATH, params={"format": "json", "expires": "2h"}, timeout=TIMEOUT)
    expect(answer.status_code == 200, "the JSON", answer)
    shown = answer.json()
    shown["url"] = signer.redact(shown["url"])
    say("  " + json.dumps(shown, indent=2).replace("\n", "\n  ") + "\n")

    forged = location.replace("q3", "q4", 1)
    step("Somebody changes the link", "GET", forged)
    answer = requests.get(forged, timeout=TIMEOUT)
    expect(answer.status_code == 403, "the refusal of a forgery", answer)
    say(f"  {answer.status_code} {code(answer)}")
    answer = requests.head(location, timeout=TIMEOUT)
    expect(answer.status_code == 403, "the refusal of another method", answer)
    say(f"  HEAD on the link for GET: {answer.status_code}\n")


def share_act(stack: Stack) -> None:
    """A share is made, looked at, used up; another one is revoked."""
    document, key = edit.add_api_key(edit.new(), "sales", ["/figures/"], ["GET", "SHARE"], None)
    endpoint = signer.Endpoint.path_style(stack.oss_url, stack.region)
    place = signer.presign("PUT", stack.bucket, ".links/keys.json", credentials=stack.credentials, endpoint=endpoint)
    step("Operators keep API keys in one private document", "PUT", place.url)
    answer = requests.put(place.url, data=edit.serialize(document), timeout=TIMEOUT)
    expect(answer.status_code == 200, "the keys document", answer)
    say(f"  {answer.status_code} (python -m handler.keys does this)\n")
    file = signer.presign("PUT", stack.bucket, SHARED, credentials=stack.credentials, endpoint=endpoint)
    answer = requests.put(file.url, data=CONTENT, timeout=TIMEOUT)
    expect(answer.status_code == 200, "the upload", answer)

    shares, caller = f"{stack.http_url}/-/shares", {"Authorization": f"Bearer {key}"}
    wish = {"path": f"/{SHARED}", "expires": "30d", "max_uses": 1}
    step("A colleague with a key shares a file for 30 days and one download", "POST", shares)
    answer = requests.post(shares, json=wish, headers=caller, timeout=TIMEOUT)
    expect(answer.status_code == 201, "the share", answer)
    shared = answer.json()
    say(f"  {answer.status_code}, {signer.redact(json.dumps(shared))}\n")

    step("A chat's link preview looks at it, and uses nothing", "GET", shared["url"])
    answer = requests.get(shared["url"], headers={"Accept": "application/json"}, timeout=TIMEOUT)
    expect(answer.status_code == 200 and answer.json()["uses_left"] == 1, "the look", answer)
    say(f"  {answer.status_code}, {answer.text}\n")

    step("Its recipient presses the page's button", "POST", shared["url"])
    answer = requests.post(shared["url"], allow_redirects=False, timeout=TIMEOUT)
    expect(answer.status_code == 303, "the use", answer)
    say(f"  {answer.status_code}, Location: {signer.redact(answer.headers['Location'])}")
    answer = requests.get(answer.headers["Location"], timeout=TIMEOUT)
    expect(answer.status_code == 200 and answer.content == CONTENT, "the download", answer)
    say(f"  {answer.status_code}, {len(answer.content)} bytes, the same as were stored\n")

    step("Somebody else tries the same share", "POST", shared["url"])
    answer = requests.post(shared["url"], allow_redirects=False, timeout=TIMEOUT)
    expect(answer.status_code == 410, "the refusal of a share that is used up", answer)
    say(f"  {answer.status_code} {answer.json()['code']}: {answer.json()['detail']}\n")

    answer = requests.post(shares, json={**wish, "max_uses": 5}, headers=caller, timeout=TIMEOUT)
    expect(answer.status_code == 201, "the second share", answer)
    other = answer.json()
    step("The colleague revokes a second share", "DELETE", f"{shares}/{other['id']}")
    answer = requests.delete(f"{shares}/{other['id']}", headers=caller, timeout=TIMEOUT)
    expect(answer.status_code == 204, "the revocation", answer)
    say(f"  {answer.status_code}")
    answer = requests.post(other["url"], allow_redirects=False, timeout=TIMEOUT)
    expect(answer.status_code == 410, "the refusal of a share that was revoked", answer)
    say(f"  and then {answer.status_code} {answer.json()['code']}: {answer.json()['detail']}\n")


ACTS: tuple[Callable[[Stack], None], ...] = (redirect_act, share_act, notice_act)


def show_log(descriptor: int) -> None:
    """One line of what the functions logged."""
    with open(descriptor, encoding="utf-8", closefd=False) as log:
        log.seek(0)
        lines = [line for line in log if line.startswith('{"request_id"')]
    if not lines:
        raise DemoError("The function wrote no audit line.")
    say("What the function's log says of the first visitor:")
    say("  " + lines[0].strip())


if __name__ == "__main__":
    sys.exit(main())
