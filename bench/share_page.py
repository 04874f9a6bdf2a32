"""What a person waits for who opens a share first: its page in a new process, against a redirect in one.

For the page, the function reads its keys from the laptop's OSS, which runs in this process, and asks it for the object.
"""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from handler.core.keys import owner_tag
from handler.core.shares import record as records
from signer.emulator.client import Address, request
from signer.emulator.oss import create_app
from signer.emulator.server import listen, serve

from .figures import Bound, Figure
from .process import BUCKET, CREDENTIALS, ENVIRONMENT, REGION, http_event, run

ROUNDS = 11
OBJECT = "exampledir/2026 q3.pdf"
LINKS = """
region = "${LINK_REGION}"
keys = "oss://${LINK_BUCKET}/.links/keys.json"
state = "oss://${LINK_BUCKET}/.links/state/"
public_url = "https://links.example.com"

[[mount]]
path = "/exampledir/"
target = "oss://${LINK_BUCKET}/exampledir/"
access = "anonymous"
max_share = "90d"
"""
# What a browser sends when a person opens a link.
BROWSER = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.9,zh-CN;q=0.8",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-User": "?1",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
}


def measure() -> list[Figure]:
    pages = []
    redirects = []
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "links.toml")
        root = Path(folder, "oss")
        config.write_text(LINKS, "utf-8")
        app = create_app(root, region=REGION, credentials=[CREDENTIALS], buckets=[BUCKET])
        with closing(serve(app, listen(0))) as server:
            oss = Address(server.url, REGION, CREDENTIALS)
            environment = {
                **ENVIRONMENT,
                "LINK_CONFIG": str(config),
                "LINK_OSS_ENDPOINT": server.url,
            }
            page = http_event("/-/s/2026%20q3.pdf", query={"share": _share(oss)}, headers=BROWSER)
            for _ in range(ROUNDS + 1):
                pages.append(
                    run("handler", page, status=200, environment=environment).seconds * 1e3
                )
                redirects.append(
                    run("handler", http_event(), environment=environment).seconds * 1e3
                )
    # The first round writes bytecode.
    return [
        Figure.against(
            "share page, new process", "ms", pages[1:], "redirect", redirects[1:], Bound(3)
        )
    ]


def _share(oss: Address) -> str:
    """The secret of a share; its record, its object and the keys document are put into OSS."""
    secret = records.new_secret()
    now = int(time.time())
    hashed = sha256(b"fcp_EXAMPLE").hexdigest()
    api = {
        "id": "sales",
        "sha256": hashed,
        "paths": ["/"],
        "methods": ["GET", "SHARE"],
        "expires_at": None,
    }
    target = f"oss://{BUCKET}/exampledir/"
    share = records.secret_hash(secret)
    record = records.Record(
        hash=share,
        path=f"/{OBJECT}",
        mount="/exampledir/",
        target=target,
        method="GET",
        owner="api:sales",
        owner_tag=owner_tag(f"api:sales:{hashed}"),
        created_at=now,
        expires_at=now + 86_400,
    )
    stored = {
        OBJECT: b"%PDF-1.7 " * 100_000,
        ".links/keys.json": json.dumps({"version": 1, "share": [], "api": [api]}).encode(),
        f".links/state/shares/{record.id}.json": records.encode(record),
    }
    for key, content in stored.items():
        assert request(oss, "PUT", BUCKET, key, content).status == 200, key
    return secret
