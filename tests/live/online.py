"""An OSS for `make live`: the local OSS with the operations that it leaves out, and answers that a test may change."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Response

from live import plan
from local import oss, sts
from local.oss.application import _error_response
from local.oss.authorization import authorize
from local.oss.errors import OssError, method_not_allowed
from local.oss.incoming import OssRequest, Resource, read_request
from local.oss.responses import Node, iso_date, respond, respond_xml
from local.oss.rights import Right, check_rights
from local.oss.service import Service
from local.oss.storage import Bucket, Buckets
from local.ram import Principal, Principals
from local.server import listen, serve
from signer import Credentials

REGION = "cn-hongkong"
ROLE = "acs:ram::1234567890123456:role/fcp-live"
KEY = Credentials("LTAI5tLiveEXAMPLE0001", "secretLiveEXAMPLEsecretLive001")
OWN = re.compile(r"fcp-live-[0-9a-f]{16}\.([a-z]{2}-\w+\.oss|(s3\.)?oss-[a-z]{2}-\w+)\.aliyuncs\.com")
CASE = re.compile(r"fc-presign live \((.*)\)")


class Received(Response):
    """Passes an answer on with its own headers."""

    default_mimetype = None
    automatically_set_content_length = False


Change = Callable[[Response], Response | None]


@dataclass
class Online:
    """`changes` replace the answers to cases by their names; `outside` are requests for what is not of a run."""

    root: Path
    principals: Principals
    changes: dict[str, Change] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    is_listing_allowed: bool = False
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
            if not self.is_listing_allowed:
                return Response("refused", 403)(environ, start_response)
        response = self._more(environ) or Received.from_app(self._app, environ)
        return self._changed(response, environ)(environ, start_response)

    def before_sts(self, app: Any) -> Any:
        """STS, whose answers are changed too."""
        return lambda environ, start: self._changed(Received.from_app(app, environ), environ)(environ, start)

    def _changed(self, response: Response, environ: Any) -> Response:
        case = CASE.fullmatch(environ.get("HTTP_USER_AGENT", ""))
        change = self.changes.get(unquote(case[1])) if case else None
        return (change(response) if change else None) or response

    def _more(self, environ: Any) -> Response | None:
        try:
            request = read_request(environ)
        except OssError:
            return None
        name = next((name for name in MORE if name in request.params), "")
        is_service = not request.resources[0].bucket
        method = request.method
        if not is_service and (request.resources[0].key or not name or (name == "lifecycle" and method != "DELETE")):
            return None
        try:
            request, principal = authorize(request, self._service)
            if is_service:
                check_rights(self._service, principal, [Right("oss:ListBuckets", Resource("", ""))])
                return self._list_buckets(request.params)
            action, answer = MORE[name]
            action = action or {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}[method] + f"Bucket{name.title()}"
            check_rights(self._service, principal, [Right(f"oss:{action}", Resource(request.bucket, ""))])
            return answer(self._service.bucket(request.bucket), request)
        except OssError as error:
            response = _error_response(error, environ, "5F0A1B2C3D4E5F6071829304")
            response.headers.extend({"x-oss-request-id": "5F0A1B2C3D4E5F6071829304", "x-oss-server-time": "0"})
            return response

    def _list_buckets(self, params: Mapping[str, str]) -> Response:
        tagged = [
            bucket for bucket in Buckets(self.root).all() if params["tag-key"] in bucket.settings().get("tags", "")
        ]
        found: list[Node] = [
            ("Bucket", [("Name", bucket.name), ("Location", f"oss-{REGION}"), ("CreationDate", iso_date(0.0))])
            for bucket in tagged
            if bucket.name.startswith(params["prefix"])
        ]
        return respond_xml("ListAllMyBucketsResult", [("Owner", [("ID", "1234567890123456")]), ("Buckets", found)])


def info(bucket: Bucket, request: OssRequest) -> Response:
    grants: Node = ("AccessControlList", [("Grant", "private")])
    return respond_xml("BucketInfo", [("Bucket", [("Name", bucket.name), grants])])


def tagging(bucket: Bucket, request: OssRequest) -> Response:
    if request.method == "GET":
        return respond_xml("Tagging", [("TagSet", [])])
    bucket.change(tags=request.body.read(10_000).decode() if request.method == "PUT" else "")
    return respond(200 if request.method == "PUT" else 204)


def delete_lifecycle(bucket: Bucket, request: OssRequest) -> Response:
    raise method_not_allowed("DELETE")  # as the local OSS, which refuses it before it looks at rights


def versions(bucket: Bucket, request: OssRequest) -> Response:
    entries: list[Node] = [
        ("DeleteMarker" if record.is_marker else "Version", [("Key", key), ("VersionId", record.version_id)])
        for key in bucket.all_keys()
        for record in bucket.versions(key)
    ]
    return respond_xml("ListVersionsResult", entries[:7])


def uploads(bucket: Bucket, request: OssRequest) -> Response:
    found = [json.loads(path.read_text("utf-8")) for path in (bucket.own / "uploads").glob("*/upload.json")]
    entries: list[Node] = [("Upload", [("Key", each["key"]), ("UploadId", each["id"])]) for each in found]
    return respond_xml("ListMultipartUploadsResult", entries)


MORE: Mapping[str, tuple[str, Callable[[Bucket, OssRequest], Response]]] = {
    "bucketInfo": ("GetBucketInfo", info),
    "tagging": ("", tagging),
    "lifecycle": ("", delete_lifecycle),
    "versions": ("ListObjectVersions", versions),
    "uploads": ("ListMultipartUploads", uploads),
}


@contextmanager
def online(folder: Path, *, is_listing_allowed: bool = False) -> Iterator[Online]:
    """Runs OSS and STS for a RAM user whose policy is that of the dry run, and no other."""
    policy = plan.policies(ROLE, kms=True)["the run"]
    if is_listing_allowed:
        policy["Statement"] += [{"Effect": "Allow", "Action": ["oss:ListBuckets"], "Resource": ["acs:oss:*:*:*"]}]
    user = Principal.of(KEY, "acs:ram::1234567890123456:user/live", None, [[policy]])
    principals = Principals([user])
    role = sts.Role(ROLE, frozenset({"acs:ram::1234567890123456:root"}), policies=(plan.policies(ROLE)["the role"],))
    service = Online(folder, principals, is_listing_allowed=is_listing_allowed)
    with ExitStack() as stack:
        server = serve(service, listen(0))
        stack.callback(server.close)
        sts_server = serve(service.before_sts(sts.create_app(principals, lambda: {ROLE: role})), listen(0))
        stack.callback(sts_server.close)
        service.url, service.sts_url = server.url, sts_server.url
        yield service
