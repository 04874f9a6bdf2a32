"""`python -m tests.stored.record`: writes what this version stores into tests/stored/VERSION.json.

Run it before a release, and never again for that version: later ones must open what it wrote.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from handler.commands import keys_edit
from signer import __version__
from tests.handler.client import NOW, Answered
from tests.handler.keys_fixtures import issuer
from tests.handler.notice_fixtures import WHSEC, created, respond
from tests.stored.service import FOLDER, Document, StoredService, running
from tests.system import DAY

LINKS = """
region = "cn-hangzhou"
keys = "oss://examplebucket/.links/keys.json"
state = "oss://examplebucket/.links/state/"
public_url = "https://links.example.com"

[[mount]]
path = "/reports/"
target = "oss://examplebucket/reports/"
max_share = "90d"
list = true

[[mount]]
path = "/in/"
target = "oss://examplebucket/inbox/"
methods = ["PUT", "POST"]
max_size = "1MB"
max_share = "30d"

[[mount]]
path = "/outbox/"
target = "oss://examplebucket/outbox/"
max_share = "30d"

[[notice]]
on = "created"
mount = "/outbox/"
give = "share"
expires = "20d"
to = ["ops"]

[[notice]]
on = "opened"
mount = "/reports/"
to = ["ops"]
"""
SINK = {
    "kind": "webhook",
    "url": "https://hooks.example.com/",
    "allow_loopback": True,
    "secret": WHSEC,
}
NONCE = "a-nonce-of-a-program"


def document() -> Document:
    """Everything that the test reads. `now` is in Unix seconds."""
    keys = keys_edit.add_named(keys_edit.new(), "sink", "ops", SINK)
    keys = keys_edit.add_issuer(keys, issuer(paths=["/reports/"], methods=["GET", "SHARE"]))
    keys, sender = keys_edit.add_api_key(keys, "sender", ["/"], ["GET", "SHARE", "LIST"], None)
    keys, writer = keys_edit.add_api_key(keys, "writer", ["/in/"], ["PUT", "POST", "SHARE"], None)
    keys, earlier = keys_edit.add_api_key(keys, "rotated", ["/reports/"], ["GET", "SHARE"], None)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), LINKS, keys, {}, NOW) as service,
    ):
        _notices(service)
        rotated_share = service.create_share(key=earlier)
        service.keys, rotated = keys_edit.rotate_api_key(
            keys, "rotated", service.now, 7 * DAY, None
        )
        shares = _shares(service, sender, writer)
        return {
            "version": __version__,
            "now": int(service.now),
            "links": LINKS,
            "keys": service.keys,
            "api_keys": {
                "sender": sender,
                "writer": writer,
                "rotated": rotated,
                "earlier": earlier,
            },
            "shares": {**shares, "rotated": rotated_share},
            "nonce": NONCE,
            "parts": service.start_upload(writer)["upload_id"],
            "objects": service.stored_objects(),
        }


def _notices(service: StoredService) -> None:
    """One that was sent, one that is dead, and one that waits for a sink which is paused."""
    service.invoke(created("outbox/sent.txt"))
    service.tick()
    service.hook.default = respond(500)
    service.invoke(created("outbox/dead.txt"))
    service.pass_time(4 * DAY)
    service.tick()
    service.invoke(created("outbox/waiting.txt"))
    assert [len(service.state_names(folder)) for folder in ("dead/", "outbox/", "pause/")] == [
        1,
        1,
        1,
    ]


def _shares(service: StoredService, sender: str, writer: str) -> Document:
    """The addresses of shares of each kind, and the codes of those that have one."""

    def share(key: str = sender, **params: Any) -> Document:
        response = service.request_share(key, **params)
        assert response.status == 201, response
        made: Document = response.json
        return made

    plain = share(title="Quarter 3", message="As promised", download="q3.pdf")
    limited = share(max_uses=3)
    protected = share(password=True)
    folder = share(path="/reports/", password=True)
    extended = share(expires="1h")
    revoked = share()
    upload = {"max_size": 1000, "max_files": 3}
    files = share(writer, path="/in/", method="POST", upload=upload)
    answers: list[Answered] = [
        service.use(limited["url"], NONCE),
        service.extend(extended["url"], "30d", sender),
        service.revoke(revoked["url"], sender),
        service.request_form(files["url"]),
    ]
    assert [answer.status for answer in answers] == [303, 200, 204, 200], answers
    return {
        "plain": plain["url"],
        "limited": limited["url"],
        "protected": protected["url"],
        "protected_code": protected["password"],
        "folder": folder["url"],
        "folder_code": folder["password"],
        "extended": extended["url"],
        "revoked": revoked["url"],
        "upload": files["url"],
    }


def main() -> int:
    path = FOLDER / f"{__version__}.json"
    path.write_text(json.dumps(document(), indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"{path.relative_to(FOLDER.parents[1])} has what {__version__} stores.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
