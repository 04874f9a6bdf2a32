"""What a person waits for at the first request of a new process: a share's page, and a path that is checked.

Ours and a page written by hand (share_peer.py) talk to the laptop's OSS, which runs in this process. Both read one
document with keys from it (for a share), and ask it for the object.
"""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import NamedTuple

from itsdangerous import URLSafeSerializer
from oss2 import Bucket, ProviderAuthV4
from oss2.credentials import StaticCredentialsProvider

from handler import shares
from handler.config.load import load
from handler.keys import parse

from .details import Details
from .figures import Bound, Figure, Spread
from .process import BROWSER, BUCKET, CREDENTIALS, REGION, http_event, local_oss, run

ROUNDS = 11
PEER = "hand-written page"
OBJECT = "exampledir/2026 q3.pdf"
PATH = "/exampledir/2026%20q3.pdf"
LINKS = """
region = "${LINK_REGION}"
keys = "oss://${LINK_BUCKET}/.links/keys.json"
state = "oss://${LINK_BUCKET}/.links/state/"
public_url = "https://links.example.com"

[[mount]]
path = "/exampledir/"
target = "oss://${LINK_BUCKET}/exampledir/"
access = "anonymous"
check = true
max_share = "90d"

[[mount]]
path = "/open/"
target = "oss://${LINK_BUCKET}/open/"
access = "anonymous"
"""


class Case(NamedTuple):
    """A request in a new process: which module answers it, with which status."""

    module: str
    event: str
    status: int = 302


def measure(details: Details) -> list[Figure]:
    with local_oss(LINKS) as environment:
        cases = _cases(environment)
        times: dict[str, list[float]] = {name: [] for name in cases}
        for number in range(ROUNDS + 1):
            for name, case in cases.items():
                seconds = run(case.module, case.event, status=case.status, environment=environment).seconds
                if number > 0:  # the first round writes bytecode
                    times[name].append(seconds * 1e3)
    for name, milliseconds in times.items():
        spread = Spread.of(milliseconds)
        details.line(f"  {name:<28} {spread.median:8.1f} ms ({spread.low:.1f}-{spread.high:.1f})")
    share, path, redirect = times["share page"], times["browser, a path"], times["redirect"]
    by_hand = times["share page, by hand"]
    return [
        Figure.against("share page, new process", "ms", share, PEER, by_hand, Bound(0.5, 0.5)),
        Figure.against("share page, new process", "ms", share, "redirect", redirect, Bound(3, 2.5)),
        Figure.against("browser's first request", "ms", path, PEER, times["browser, a path, by hand"]),
        Figure.against("browser's first request", "ms", path, "redirect", redirect),
    ]


def _cases(environment: dict[str, str]) -> dict[str, Case]:
    """The requests, of which some are for an object that this uploads."""
    auth = ProviderAuthV4(StaticCredentialsProvider(*CREDENTIALS[:3]))
    bucket = Bucket(auth, environment["LINK_OSS_ENDPOINT"], BUCKET, region=REGION)
    bucket.put_object(OBJECT, b"%PDF-1.7 " * 100_000, headers={"Content-Type": "application/pdf"})
    expires_at = int(time.time()) + 7 * 86_400
    secret = urlsafe_b64encode(b"an example of thirty-two bytes..").rstrip(b"=").decode()
    api = {"id": "sales", "sha256": sha256(b"fcp_EXAMPLE").hexdigest(), "paths": ["/"], "methods": ["GET", "SHARE"]}
    document = json.dumps(
        {"version": 1, "share": [{"id": "k1", "secret": secret}], "api": [{**api, "expires_at": None}]}
    )
    bucket.put_object(".links/keys.json", document)
    bucket.put_object(".links/secret.json", json.dumps({"secret": secret}))
    config, keys = load(environment["LINK_CONFIG"], environment), parse(document)
    target = config.mounts.find(f"/{OBJECT}")
    owner = shares.owner_tag(keys.api[0].owner)
    token = shares.sign(shares.Share(expires_at, "GET", True, None, None, owner), target, keys.share)
    claims = {"path": f"/{OBJECT}", "expires_at": expires_at, "max_uses": None, "id": "a"}
    theirs = str(URLSafeSerializer(secret, salt="share").dumps(claims))
    page = http_event(PATH, query={"share": token}, headers=BROWSER)
    page_by_hand = http_event(PATH, query={"share": theirs}, headers=BROWSER)
    path = http_event(PATH, headers=BROWSER)
    ours, peer = "handler", "bench.share_peer"
    return {
        "redirect": Case(ours, http_event("/open/exampleobject.txt")),
        "share page": Case(ours, page, 200),
        "share page, by hand": Case(peer, page_by_hand, 200),
        "browser, a path": Case(ours, path),
        "browser, a path, by hand": Case(peer, path),
    }
