"""A system that takes shares, and what a browser is told of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from handler import shares
from handler.config import Config, load
from handler.keys import Keys, ShareKey, edit, parse
from tests.e2e.system import TIMEOUT, System, running

NODE = Path(__file__).parents[1] / "node" / "node_modules"
PUBLIC = "https://links.example.com"
KEY = "exampledir/季度报告 2026 q3.pdf"
CONTENT = b"%PDF-1.7 " + bytes(range(256)) * 5000
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
]
LINKS = f"""
region = "${{LINK_REGION}}"
keys = "file:keys.json"
state = "oss://${{LINK_BUCKET}}/.links/state/"
public_url = "{PUBLIC}"

[[mount]]
path = "/exampledir/"
target = "oss://${{LINK_BUCKET}}/exampledir/"
max_share = "90d"
"""


@dataclass(frozen=True)
class Sharing:
    """The system, its keys document, its policy, and the API key that may share."""

    system: System
    keys: Keys
    policy: Config
    api_key: str = field(repr=False)

    def share(self, **wish: Any) -> str:
        """The address of a new share, as its recipient is sent it."""
        url = self.ask(**wish)["url"]
        assert isinstance(url, str)
        return url

    def ask(self, **wish: Any) -> dict[str, Any]:
        """A new share."""
        body = {"path": f"/{KEY}", **wish}
        answer = requests.post(f"{self.http}/-/shares", json=body, headers=self.headers, timeout=TIMEOUT)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def revoke(self, share_id: str) -> None:
        answer = requests.delete(f"{self.http}/-/shares/{share_id}", headers=self.headers, timeout=TIMEOUT)
        assert answer.status_code == 204

    def uses(self, share_id: str) -> int:
        shown = requests.get(f"{self.http}/-/shares/{share_id}", headers=self.headers, timeout=TIMEOUT).json()
        uses = shown["uses"]
        assert isinstance(uses, int)
        return uses

    def here(self, url: str) -> str:
        """An address, where the system of this test listens."""
        return url.replace(PUBLIC, self.http)

    def signed(self, *, ends_in: float = 600, maker: str | None = None, keys: tuple[ShareKey, ...] = ()) -> str:
        """The address of a share that nobody would be given: one that has ended, say, at the system."""
        mount = self.policy.mounts[0]
        [api] = self.keys.api
        tag = shares.owner_tag(maker or f"api:{api.id}:{api.sha256}")
        share = shares.Share(int(time.time() + ends_in), "GET", True, None, None, tag)
        token = shares.sign(share, mount, f"/{KEY}", keys or self.keys.share)
        return f"{self.http}/{quote(KEY)}?share={token}"

    @property
    def http(self) -> str:
        return self.system.stack.http_url

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}


@contextmanager
def sharing_system(folder: Path) -> Iterator[Sharing]:
    """Starts a system with one object to share; at its end no share's token may stand in its log."""
    document, api_key = edit.add_api_key(edit.new(), "sales", ["/exampledir/"], ["GET", "SHARE"], expires_at=None)
    (folder / "keys.json").write_text(json.dumps(document))
    (folder / "links.toml").write_text(LINKS)
    with running(folder / "log", {"LINK_CONFIG": str(folder / "links.toml")}) as system:
        system.put(KEY, CONTENT, {"Content-Type": "application/pdf"})
        environ = {"LINK_REGION": system.stack.region, "LINK_BUCKET": system.stack.bucket}
        policy = load.load(str(folder / "links.toml"), environ)
        yield Sharing(system, parse(json.dumps(document)), policy, api_key)
    assert "share=" not in (folder / "log").read_text(encoding="utf-8")
