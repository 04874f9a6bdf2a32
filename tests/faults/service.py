"""The HTTP service whose OSS is a proxy with faults: through its real entry point, each time as a new instance."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from handler.core.cloud.http_client import Connections
from handler.core.cloud.oss import OssClient
from handler.core.config import Config, Location
from handler.core.context import Instance
from local.oss.storage import Buckets
from signer import Endpoint
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.handler.client import KEYS, Answered, event, invoke, make_config
from tests.handler.keys_fixtures import api
from tests.local_oss import BUCKET, REGION, LocalOss, local_oss
from tests.system import HTML as HTML
from tests.system import JSON as JSON
from tests.system import LINKS as WORLD
from tests.system import MAKER, STATE, keys

CALLER = MAKER
LINKS = f"""
{WORLD}
[[sink]]
name = "manifest"
target = "oss://examplebucket/.links/notices/"

[[notice]]
on = "created"
mount = "/reports/"
to = ["manifest"]
"""


def keys_document() -> dict[str, Any]:
    methods = ["GET", "PUT", "POST", "SHARE"]
    return keys(api=[api("caller", CALLER, paths=["/reports/", "/in/"], methods=methods)])


class Service(NamedTuple):
    """`oss` is the local OSS without faults, `faults` the proxy that the service uses.

    Each request is one of a new instance, unless there is one.
    """

    config: Config
    oss: LocalOss
    faults: FaultProxy
    numbers: Iterator[int]
    instance: Instance | None = None

    def request(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        params: object = None,
        key: str | None = None,
    ) -> Answered:
        """The response; `params` become a body of JSON."""
        sent = {**(headers or {}), **({"Authorization": f"Bearer {key}"} if key else {})}
        body = ""
        if params is not None:
            sent, body = {"Accept": "application/json", **sent, "Content-Type": "application/json"}, json.dumps(params)
        http_event = event(path, method, query, sent, body=body, isBase64Encoded=False)
        return invoke(json.dumps(http_event), config=self.config, now=time.time(), instance=self.instance)

    def share(self, url: str, method: str = "GET", headers: Mapping[str, str] | None = None, **body: Any) -> Answered:
        """The response to a request for the address of a share."""
        parts = urlsplit(url)
        params = body or (None if method != "POST" else {})
        return self.request(parts.path, method, headers, query=dict(parse_qsl(parts.query)), params=params)

    def create_share(self, **params: Any) -> Answered:
        return self.request("/-/shares", "POST", params=params, key=CALLER)

    def new_object(self, folder: str) -> str:
        """The name of a new object in a folder of the bucket."""
        name = f"file-{next(self.numbers)}.txt"
        assert self.oss.client.put(Location(BUCKET, f"{folder}/{name}"), b"content", content_type="text/plain").ok
        return name

    def names(self, folder: str = "") -> list[str]:
        """What the state prefix holds below a folder."""
        return [key.removeprefix(STATE + folder) for key in self.keys(STATE + folder)]

    def keys(self, prefix: str) -> list[str]:
        return self.oss.keys(prefix)

    def read(self, key: str) -> bytes | None:
        response = self.oss.client.get(Location(BUCKET, key))
        return response.body if response.ok else None

    def upload_folders(self) -> list[Path]:
        """What OSS keeps of multipart uploads that were neither completed nor aborted."""
        bucket = Buckets(self.oss.root).get(BUCKET)
        assert bucket is not None
        return list((bucket.own / "uploads").iterdir())


@contextmanager
def service(folder: Path) -> Iterator[Service]:
    with local_oss(folder / "oss") as running, fault_proxy(running.url) as faults:
        running.put_keys(keys_document())
        running.put(b"", Location(BUCKET, f"{STATE}probe"))
        yield Service(make_config(LINKS, {"LINK_OSS_ENDPOINT": faults.url}), running, faults, count())


def direct(client_url: str) -> OssClient:
    """OSS at an address, with the credentials of the function."""
    return OssClient(KEYS, Endpoint.path_style(client_url, REGION), Connections())
