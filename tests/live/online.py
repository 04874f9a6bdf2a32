"""An OSS for `make live`: the local OSS, with answers that a test may change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Response

from live import plan
from signer import Credentials
from signer.emulator import oss, sts
from signer.emulator.oss.storage import Buckets
from signer.emulator.ram import Principal, Principals
from signer.emulator.server import listen, serve

REGION = "cn-hongkong"
ROLE = "acs:ram::1234567890123456:role/fcp-live"
KEY = Credentials("LTAI5tLiveEXAMPLE0001", "secretLiveEXAMPLEsecretLive001")
OWN = re.compile(
    r"fcp-live-[0-9a-f]{16}\.([a-z]{2}-\w+\.oss|(s3\.)?oss-([a-z]{2}-\w+|accelerate))\.aliyuncs\.com"
)
CASE = re.compile(r"fc-presign live \((.*)\)")
Change = Callable[[Response], Response | None]


class Received(Response):
    """Passes an answer on with its own headers."""

    default_mimetype = None
    automatically_set_content_length = False


@dataclass
class Online:
    """`changes` replace the answers to cases by their names; `outside` are requests for what is not of a run."""

    root: Path
    principals: Principals
    lists_buckets: bool
    changes: dict[str, Change] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    requests: int = 0
    url: str = ""
    sts_url: str = ""

    def __post_init__(self) -> None:
        self._app = oss.create_app(self.root, region=REGION, credentials=self.principals)

    @property
    def buckets(self) -> list[str]:
        return [bucket.name for bucket in Buckets(self.root).all()]

    @property
    def environment(self) -> dict[str, str]:
        return {"LIVE_OSS_ENDPOINT": self.url, "LIVE_STS_ENDPOINT": self.sts_url}

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        self.requests += 1
        host = environ.get("HTTP_HOST", "")
        source = environ.get("HTTP_X_OSS_COPY_SOURCE", "/fcp-live-")
        if not OWN.fullmatch(host) or not source.startswith("/fcp-live-"):
            self.outside.append(host)
            if not self.lists_buckets:
                return Response("refused", 403)(environ, start_response)
        response = Received.from_app(self._app, environ)
        if environ["QUERY_STRING"].startswith("uploads"):
            # As in the example of the page "ListMultipartUploads".
            namespace = b'UploadsResult xmlns="http://doc.oss-cn-hangzhou.aliyuncs.com">'
            response.set_data(response.get_data().replace(b"UploadsResult>", namespace, 1))
            response.content_length = len(response.get_data())
        return self._changed(response, environ)(environ, start_response)

    def before_sts(self, app: Any) -> Any:
        """STS, whose answers are changed too."""
        return lambda environ, start: self._changed(Received.from_app(app, environ), environ)(
            environ, start
        )

    def _changed(self, response: Response, environ: Any) -> Response:
        case = CASE.fullmatch(environ.get("HTTP_USER_AGENT", ""))
        change = self.changes.get(unquote(case[1])) if case else None
        return (change(response) if change else None) or response


@contextmanager
def online(folder: Path, *, lists_buckets: bool = False) -> Iterator[Online]:
    """Runs OSS and STS for a RAM user whose policy is that of the dry run, and no other but to list buckets."""
    policies = plan.policies(ROLE, kms=True)
    if lists_buckets:
        statement = {
            "Effect": "Allow",
            "Action": ["oss:ListBuckets"],
            "Resource": ["acs:oss:*:*:*"],
        }
        policies["the run"]["Statement"].append(statement)
    principals = Principals(
        [Principal.of(KEY, "acs:ram::1234567890123456:user/live", None, [[policies["the run"]]])]
    )
    role = sts.Role(
        ROLE, frozenset({"acs:ram::1234567890123456:root"}), policies=(policies["the role"],)
    )
    service = Online(folder, principals, lists_buckets)
    sts_app = service.before_sts(sts.create_app(principals, lambda: {ROLE: role}))
    with (
        closing(serve(service, listen(0))) as oss_server,
        closing(serve(sts_app, listen(0))) as sts_server,
    ):
        service.url, service.sts_url = oss_server.url, sts_server.url
        yield service
