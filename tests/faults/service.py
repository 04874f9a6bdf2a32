"""The HTTP service whose OSS is a proxy with faults, each time as a new instance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.fault_proxy import FaultProxy, fault_proxy
from tests.handler.client import Answered
from tests.handler.keys_fixtures import api
from tests.local_oss import LocalOss, local_oss
from tests.system import LINKS, MAKER, STATE, System, keys

CALLER = MAKER
NOTICES = """
[[sink]]
name = "manifest"
target = "oss://examplebucket/.links/notices/"

[[notice]]
on = "created"
mount = "/reports/"
to = ["manifest"]
"""


class Service(System):
    """`oss` is the local OSS without faults, `faults` the proxy that the service uses.

    Its keys document is in the bucket. Each request is one of a new instance, unless it is `kept`.
    """

    kept = False

    def __init__(self, folder: Path, oss: LocalOss, faults: FaultProxy) -> None:
        super().__init__(folder, LINKS + NOTICES, oss, None, LINK_OSS_ENDPOINT=faults.url)
        self.faults, self._numbers = faults, count()

    def send(self, http_event: dict[str, Any], now: float) -> Answered:
        if not self.kept:
            self.instance = self.restarted().instance
        return super().send(http_event, now)

    def share(
        self, url: str, method: str = "GET", headers: Mapping[str, str] | None = None, **body: Any
    ) -> Answered:
        """The response to a request for the address of a share."""
        return self.open(url, method, headers, params=body if method == "POST" else ...)

    def request_share(self, key: str | None = MAKER, **params: Any) -> Answered:
        return super().request_share(key, **{"allow_missing": False, **params})

    def new_name(self) -> str:
        return f"file-{next(self._numbers)}.txt"

    def new_object(self, folder: str) -> str:
        """The name of a new object in a folder of the bucket."""
        name = self.new_name()
        self.oss.put(f"{folder}/{name}")
        return name

    def upload_folders(self) -> list[Path]:
        """What OSS keeps of multipart uploads that were neither completed nor aborted."""
        return list((self.oss.bucket().own / "uploads").iterdir())


@contextmanager
def service(folder: Path) -> Iterator[Service]:
    with local_oss(folder / "oss") as oss, fault_proxy(oss.url) as faults:
        methods = ["GET", "PUT", "POST", "SHARE"]
        oss.put_keys(
            keys(api=[api("caller", CALLER, paths=["/reports/", "/in/"], methods=methods)])
        )
        oss.put(f"{STATE}probe", b"")
        yield Service(folder, oss, faults)
