"""The stand-in as a Flask application: which request goes where, and what every answer carries."""

from __future__ import annotations

import base64
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import flask
from werkzeug.wrappers import Response

from signer.credentials import Credentials

from . import bucket_requests, cors, form, listing, multipart, objects
from .answers import answer
from .authorization import authorize
from .errors import OssError, method_not_allowed, no_such_bucket, not_implemented
from .incoming import Incoming, read
from .names import check_key
from .service import CreatedObject, Service
from .storage import BucketExists, Buckets

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Route = Callable[[Service, Incoming], Response]

# The first name of the query that is in here decides, then the method.
_OBJECT: dict[str, dict[str, Route]] = {
    "uploads": {"POST": multipart.begin},
    "uploadId": {
        "PUT": multipart.add_part,
        "GET": multipart.list_parts,
        "POST": multipart.complete,
        "DELETE": multipart.abort,
    },
    "restore": {"POST": objects.restore},
    "objectMeta": {"HEAD": objects.object_meta},
    "": {"GET": objects.get, "HEAD": objects.get, "PUT": objects.put, "DELETE": objects.delete},
}
_BUCKET: dict[str, dict[str, Route]] = {
    "uploads": {"GET": bucket_requests.list_uploads},
    "versions": {"GET": listing.list_versions},
    "versioning": {"GET": bucket_requests.get_versioning, "PUT": bucket_requests.put_versioning},
    "cors": {
        "GET": bucket_requests.get_cors,
        "PUT": bucket_requests.put_cors,
        "DELETE": bucket_requests.delete_cors,
    },
    "delete": {"POST": bucket_requests.delete_objects},
    "location": {"GET": bucket_requests.location},
    "bucketInfo": {"GET": bucket_requests.info},
    "list-type": {"GET": listing.list_objects_v2},
    "": {
        "GET": listing.list_objects,
        "PUT": bucket_requests.create,
        "DELETE": bucket_requests.delete,
    },
}
_COPIES: dict[Route, Route] = {objects.put: objects.copy, multipart.add_part: multipart.copy_part}
# Sub-resources and features of OSS that are not here: a request that names one must not pass for another.
_MISSING = frozenset(
    {
        "accessPoint", "accessPointPolicy", "accessmonitor", "acl", "append", "archiveDirectRead", "asyncFetch",
        "callback", "callback-var", "cloudboxes", "cname", "comp", "encryption", "httpsConfig", "inventory",
        "inventoryId", "lifecycle", "live", "logging", "metaQuery", "policy", "policyStatus", "processConfiguration",
        "publicAccessBlock", "qosInfo", "redundancyTransition", "referer", "replication",
        "replicationLocation", "replicationProgress", "requestPayment", "resourceGroup", "rtc", "sealAppend", "stat",
        "style", "styleName", "symlink", "tagging", "transferAcceleration", "udf", "userDefinedLogFieldsConfig",
        "vod", "website", "worm", "wormExtend", "wormId", "x-oss-async-process", "x-oss-process",
        "x-oss-select-process", "x-oss-write-get-object-response",
    }
)  # fmt: skip
_MISSING_HEADERS = frozenset({"x-oss-callback", "x-oss-callback-var", "x-oss-tagging", "x-oss-symlink-target"})


def create_app(
    root: Path,
    *,
    region: str,
    credentials: Sequence[Credentials],
    buckets: Sequence[str] = (),
    now: Callable[[], float] = time.time,
    on_created: Callable[[CreatedObject], None] | None = None,
) -> flask.Flask:
    """OSS with its objects under `root`, for those who sign with one of `credentials`.

    `buckets` are made where they are missing; `now` is the clock, in Unix seconds; `on_created` is told of every
    object written, in the thread of its request. Raises `ValueError` for a bad bucket name, `OSError` for a root
    that cannot be written.
    """
    storage = Buckets(root)
    for bucket in buckets:
        with suppress(BucketExists):
            storage.create(bucket, now())
    service = Service(storage, region, tuple(credentials), now, on_created)
    app = flask.Flask(__name__, static_folder=None)

    # Flask's own routing would decode, merge and redirect paths, and a signature is over the path as it came.
    @app.before_request
    def oss() -> Response:
        return respond(service, flask.request.environ)

    return app


def respond(service: Service, environ: WSGIEnvironment) -> Response:
    """The answer to a request; never raises."""
    request_id = secrets.token_hex(12).upper()
    incoming: Incoming | None = None
    try:
        incoming = read(environ, request_id)
        response = _route(service, incoming)
    except OssError as error:
        response = _refusal(error, environ, request_id)
    except Exception as fault:
        print(f"oss: request {request_id} failed with {_whereabouts(fault)}", file=sys.stderr)
        internal = OssError(500, "InternalError", "We encountered an internal error. Please try again.")
        response = _refusal(internal, environ, request_id)
    response.headers["x-oss-request-id"] = request_id
    response.headers["x-oss-server-time"] = "0"
    if incoming is not None and incoming.method != "OPTIONS":
        response.headers.extend(cors.allowed(_rules(service, incoming), incoming.headers, incoming.method))
    return response


def _route(service: Service, incoming: Incoming) -> Response:
    if incoming.method == "OPTIONS":
        if not any(service.buckets.get(reading.bucket) for reading in incoming.readings):
            raise no_such_bucket(incoming.readings[0].bucket)
        return answer(200, headers=cors.preflight(_rules(service, incoming), incoming.headers))
    posted = form.addressed(incoming)
    if posted is not None:
        return form.post(service, incoming, posted)
    incoming = authorize(incoming, service.credentials, region=service.region, now=service.now())
    if not incoming.bucket:
        if incoming.method != "GET":
            raise method_not_allowed(incoming.method)
        return bucket_requests.list_buckets(service, incoming)
    parameters = incoming.parameters
    # A parameter's name can be that of an innocent header: every browser sends Referer.
    missing = [name for name in parameters if name in _MISSING or name in _MISSING_HEADERS]
    missing += [name for name in incoming.headers if name in _MISSING_HEADERS]
    if missing:
        service.bucket(incoming.bucket)  # clients ask for an ACL to learn whether the bucket is there
        raise not_implemented(missing[0])
    routes = _OBJECT if incoming.key else _BUCKET
    if incoming.key:
        check_key(incoming.key)
    named = next((name for name in routes if name in parameters), "")
    route = routes[named].get(incoming.method)
    if route is None:
        raise method_not_allowed(incoming.method)
    if "x-oss-copy-source" in incoming.headers:
        route = _COPIES.get(route, route)
    return route(service, incoming)


def _rules(service: Service, incoming: Incoming) -> tuple[cors.CorsRule, ...]:
    for reading in incoming.readings:
        bucket = service.buckets.get(reading.bucket)
        if bucket is not None:
            return cors.rules_of(bucket.settings()["cors"])
    return cors.DEFAULT


def _refusal(error: OssError, environ: WSGIEnvironment, request_id: str) -> Response:
    xml = error.xml(request_id, environ.get("HTTP_HOST", ""))
    headers = {"Content-Type": "application/xml", **error.headers}
    if error.ec:
        headers["x-oss-ec"] = error.ec
    if environ["REQUEST_METHOD"] == "HEAD":
        # A HEAD has no body: clients read the document from this header.
        headers["x-oss-err"] = base64.b64encode(xml).decode()
        xml = b""
    return answer(error.status, xml, headers)


def _whereabouts(fault: Exception) -> str:
    """Type, file and line: a fault's text may hold a link."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return type(fault).__name__ + place
