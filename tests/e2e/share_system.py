"""A running system with shares enabled."""

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
from tests.e2e.system import TIMEOUT, System, run_system

NODE = Path(__file__).parents[1] / "node" / "node_modules"
PUBLIC_URL = "https://links.example.com"
KEY = "exampledir/季度报告 2026 q3.pdf"
CONTENT = b"%PDF-1.7 " + bytes(range(256)) * 5000
LINKS = f"""
region = "${{LINK_REGION}}"
keys = "file:keys.json"
state = "oss://${{LINK_BUCKET}}/.links/state/"
public_url = "{PUBLIC_URL}"

[[mount]]
path = "/exampledir/"
target = "oss://${{LINK_BUCKET}}/exampledir/"
max_share = "90d"
"""


@dataclass(frozen=True)
class ShareSystem:
    """The system, its keys document, its configuration, and an API key that may share."""

    system: System
    keys: Keys
    config: Config
    api_key: str = field(repr=False)

    def create_share(self, **params: Any) -> str:
        """The address of a new share, as its recipient gets it."""
        url = self.request_share(**params)["url"]
        assert isinstance(url, str)
        return url

    def request_share(self, **params: Any) -> dict[str, Any]:
        """The JSON of a new share."""
        body = {"path": f"/{KEY}", **params}
        response = requests.post(f"{self.http}/-/shares", json=body, headers=self.headers, timeout=TIMEOUT)
        assert response.status_code == 201, response.text
        document: dict[str, Any] = response.json()
        return document

    def revoke(self, share_id: str) -> None:
        response = requests.delete(f"{self.http}/-/shares/{share_id}", headers=self.headers, timeout=TIMEOUT)
        assert response.status_code == 204

    def uses(self, share_id: str) -> int:
        record = requests.get(f"{self.http}/-/shares/{share_id}", headers=self.headers, timeout=TIMEOUT).json()
        uses = record["uses"]
        assert isinstance(uses, int)
        return uses

    def local_url(self, url: str) -> str:
        """The public address of a share, at the port of this system."""
        return url.replace(PUBLIC_URL, self.http)

    def sign_share(self, *, expires_in: float = 600, owner: str | None = None, keys: tuple[ShareKey, ...] = ()) -> str:
        """The address of a share that the service would not create, for example an expired one."""
        mount = self.config.mounts[0]
        [api] = self.keys.api
        owner_tag = shares.owner_tag(owner or f"api:{api.id}:{api.sha256}")
        share = shares.Share(int(time.time() + expires_in), "GET", True, None, None, owner_tag)
        token = shares.sign(share, mount, f"/{KEY}", keys or self.keys.share)
        return f"{self.http}/{quote(KEY)}?share={token}"

    @property
    def http(self) -> str:
        return self.system.stack.http_url

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}


@contextmanager
def run_share_system(folder: Path) -> Iterator[ShareSystem]:
    """Starts a system with one object to share; when it ends, its log must not contain a share's token."""
    document, api_key = edit.add_api_key(edit.new(), "sales", ["/exampledir/"], ["GET", "SHARE"], expires_at=None)
    (folder / "keys.json").write_text(json.dumps(document))
    (folder / "links.toml").write_text(LINKS)
    with run_system(folder / "log", {"LINK_CONFIG": str(folder / "links.toml")}) as system:
        system.put(KEY, CONTENT, {"Content-Type": "application/pdf"})
        environ = {"LINK_REGION": system.stack.region, "LINK_BUCKET": system.stack.bucket}
        config = load.load(str(folder / "links.toml"), environ)
        yield ShareSystem(system, parse(json.dumps(document)), config, api_key)
    assert "share=" not in (folder / "log").read_text(encoding="utf-8")
