"""An OSS for `make live`: the local OSS with the operations that it leaves out, and answers that a test may change."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Response

from live import plan
from local import oss, sts
from local.oss.application import _error_response
from local.oss.authorization import authorize
from local.oss.errors import OssError
from local.oss.incoming import OssRequest, Resource, read_request
from local.oss.responses import Node, respond, respond_xml
from local.oss.rights import Right, check_rights
from local.oss.service import Service
from local.oss.storage import Bucket, Buckets
from local.ram import Principal, Principals
from local.server import listen, serve
from signer import Credentials

REGION = "cn-hongkong"
ROLE = "acs:ram::1234567890123456:role/fcp-live"
KEY = Credentials("LTAI5tLiveEXAMPLE0001", "secretLiveEXAMPLEsecretLive001")
OWN = re.compile(r"fcp-live-[0-9a-f]{16}\.([a-z]{2}-\w+\.oss|(s3\.)?oss-([a-z]{2}-\w+|accelerate))\.aliyuncs\.com")
CASE = re.compile(r"fc-presign live \((.*)\)")
# The actions of what the local OSS leaves out, by sub-resource and method.
MORE = {f"{verb.upper()} tagging": f"{verb}BucketTagging" for verb in ("Get", "Put", "Delete")}
MORE |= {"DELETE lifecycle": "DeleteBucketLifecycle", "GET versions": "ListObjectVersions"}
MORE |= {"PUT referer": "PutBucketReferer"}

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
        self._service = Service(Buckets(self.root), REGION, self.principals.find, time.time)

    @property
    def buckets(self) -> list[str]:
        return [bucket.name for bucket in Buckets(self.root).all()]

    @property
    def environment(self) -> dict[str, str]:
        return {"LIVE_OSS_ENDPOINT": self.url, "LIVE_STS_ENDPOINT": self.sts_url}

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        self.requests += 1
        host, source = environ.get("HTTP_HOST", ""), environ.get("HTTP_X_OSS_COPY_SOURCE", "/fcp-live-")
        if not OWN.fullmatch(host) or not source.startswith("/fcp-live-"):
            self.outside.append(host)
            if not self.lists_buckets:
                return Response("refused", 403)(environ, start_response)
        response = self._more(environ) or Received.from_app(self._app, environ)
        if environ["QUERY_STRING"].startswith("uploads"):
            # As in the example of the page "ListMultipartUploads".
            namespace = b'UploadsResult xmlns="http://doc.oss-cn-hangzhou.aliyuncs.com">'
            response.set_data(response.get_data().replace(b"UploadsResult>", namespace, 1))
            response.content_length = len(response.get_data())
        return self._changed(response, environ)(environ, start_response)

    def before_sts(self, app: Any) -> Any:
        """STS, whose answers are changed too."""
        return lambda environ, start: self._changed(Received.from_app(app, environ), environ)(environ, start)

    def _changed(self, response: Response, environ: Any) -> Response:
        case = CASE.fullmatch(environ.get("HTTP_USER_AGENT", ""))
        change = self.changes.get(unquote(case[1])) if case else None
        return (change(response) if change else None) or response

    def _more(self, environ: Any) -> Response | None:
        """The answer to what the local OSS leaves out, to whoever may ask for it."""
        try:
            request = read_request(environ)
            asked = next(
                (f"{request.method} {name}" for name in request.params if f"{request.method} {name}" in MORE), ""
            )
            is_service = not request.resources[0].bucket
            if not is_service and (request.resources[0].key or not asked):
                return None
            request, principal = authorize(request, self._service)
            action = "ListBuckets" if is_service else MORE[asked]
            check_rights(self._service, principal, [Right(f"oss:{action}", Resource(request.bucket, ""))])
            return self._list_buckets() if is_service else more(self._service.bucket(request.bucket), action, request)
        except OssError as error:
            response = _error_response(error, environ, "5F0A1B2C3D4E5F6071829304")
            response.headers.extend({"x-oss-request-id": "5F0A1B2C3D4E5F6071829304", "x-oss-server-time": "0"})
            return response

    def _list_buckets(self) -> Response:
        tagged = [
            each.name for each in Buckets(self.root).all() if "<Key>fcp-live</Key>" in each.settings().get("tags", "")
        ]
        found: list[Node] = [("Bucket", [("Name", name), ("Location", f"oss-{REGION}")]) for name in tagged]
        return respond_xml("ListAllMyBucketsResult", [("Buckets", found)])


def more(bucket: Bucket, action: str, request: OssRequest) -> Response:
    """What OSS answers to an action that the local OSS does not have."""
    entries: list[Node] = []
    if action == "GetBucketTagging":
        return respond_xml("Tagging", [("TagSet", [])])
    if action.endswith("Tagging"):
        bucket.change(tags=request.body.read(10_000).decode())
        return respond(200 if request.method == "PUT" else 204)
    if action == "ListObjectVersions":
        for record in [record for key in bucket.all_keys() for record in bucket.versions(key)][:7]:
            name = "DeleteMarker" if record.is_marker else "Version"
            entries.append((name, [("Key", record.key), ("VersionId", record.version_id)]))
        return respond_xml("ListVersionsResult", entries)
    return respond(200 if request.method == "PUT" else 204)  # PutBucketReferer, DeleteBucketLifecycle


@contextmanager
def online(folder: Path, *, lists_buckets: bool = False) -> Iterator[Online]:
    """Runs OSS and STS for a RAM user whose policy is that of the dry run, and no other but to list buckets."""
    policies = plan.policies(ROLE, kms=True)
    if lists_buckets:
        statement = {"Effect": "Allow", "Action": ["oss:ListBuckets"], "Resource": ["acs:oss:*:*:*"]}
        policies["the run"]["Statement"].append(statement)
    principals = Principals([Principal.of(KEY, "acs:ram::1234567890123456:user/live", None, [[policies["the run"]]])])
    role = sts.Role(ROLE, frozenset({"acs:ram::1234567890123456:root"}), policies=(policies["the role"],))
    service = Online(folder, principals, lists_buckets)
    sts_app = service.before_sts(sts.create_app(principals, lambda: {ROLE: role}))
    with closing(serve(service, listen(0))) as oss_server, closing(serve(sts_app, listen(0))) as sts_server:
        service.url, service.sts_url = oss_server.url, sts_server.url
        yield service
