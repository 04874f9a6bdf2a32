"""The local OSS as a WSGI application: who handles a request, and what every response contains."""

from __future__ import annotations

import base64
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from ...credentials import Credentials
from ..ram import Principals
from . import cors, form
from .authorization import authorize
from .errors import OssError, naming, no_such_bucket
from .incoming import OssRequest, check_key, read_request
from .operations import check_parameters, find_operation
from .responses import respond
from .rights import check_rights, rights_of
from .service import Call, CreatedObject, Observer, Service, Settings
from .storage import BucketExists, Buckets, FileInUse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


def create_app(
    root: Path,
    *,
    region: str,
    credentials: Sequence[Credentials] | Principals,
    buckets: Sequence[str] = (),
    now: Callable[[], float] = time.time,
    on_created: Callable[[CreatedObject], None] | None = None,
    settings: Settings = Settings(),  # noqa: B008 - immutable
) -> WSGIApplication:
    """OSS with its objects under `root`, for requests that are signed with one of `credentials`.

    A sequence of access keys may do everything; of `Principals`, each may do what its policies allow, also those that
    are added later. `buckets` are created if they are missing; `now` is the clock, in Unix seconds; `on_created` is
    called with every object written, in the thread of its request. Raises `ValueError` for an invalid bucket name,
    `OSError` for a root that cannot be written.
    """
    create_buckets(root, buckets, now())
    principals = (
        credentials if isinstance(credentials, Principals) else Principals.of_account(credentials)
    )
    service = Service(
        buckets=Buckets(root),
        region=region,
        principals=principals.find,
        now=now,
        on_created=on_created,
        settings=settings,
    )
    return lambda environ, start_response: _handle(service, environ)(environ, start_response)


def create_buckets(
    root: Path, names: Sequence[str], created: float | None = None, *, pages: str = ""
) -> None:
    """Creates the buckets that are missing, and lets pages of the origin `pages` use each. Raises as `create_app`."""
    storage = Buckets(root)
    for name in names:
        with suppress(BucketExists):
            storage.create(name, time.time() if created is None else created)
        if pages and (bucket := storage.get(name)):
            cors.allow_pages(bucket, pages)


class _Trace:
    """Passes on to the observer what one request turns out to ask for, and remembers it."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.call: Call | None = None
        self.elapsed = observer.elapsed

    def before(self, call: Call) -> None:
        self.call = call
        self._observer.before(call)

    def after(self, call: Call, status: int | None, code: str) -> None:
        self._observer.after(call, status, code)


def _handle(service: Service, environ: WSGIEnvironment) -> Response:
    request_id = secrets.token_hex(12).upper()
    request: OssRequest | None = None
    trace = _Trace(service.settings.observer)
    service = replace(service, settings=service.settings._replace(observer=trace))
    code = ""
    try:
        request = read_request(environ, service.settings.address)
        response = _dispatch(service, request)
    except OssError as error:
        code = error.code
        response = _error_response(error, environ, request_id)
    except ConnectionResetError:
        if trace.call:
            trace.after(trace.call, None, "")
        raise
    except Exception as error:
        code = "InternalError"
        print(f"oss: request {request_id} failed with {_location(error)}", file=sys.stderr)
        internal = OssError(500, code, "We encountered an internal error. Please try again.")
        response = _error_response(internal, environ, request_id)
    response.headers["Date"] = formatdate(service.now(), usegmt=True)
    response.headers["x-oss-request-id"] = request_id
    response.headers["x-oss-server-time"] = "0"
    if request is not None:
        configuration = _cors(service, request)
        if request.method != "OPTIONS":
            response.headers.extend(
                cors.response_headers(configuration.rules, request.headers, request.method)
            )
        if configuration.response_vary:
            response.headers.add("Vary", "Origin")
        trace.after(trace.call or _refused_call(request), response.status_code, code)
    return response


def _refused_call(request: OssRequest) -> Call:
    """What a request asks for that was refused before that was decided."""
    bucket, key = request.resources[0]
    operation = "PostObject" if form.form_target(request) else ""
    with suppress(OssError):
        operation = find_operation(replace(request, bucket=bucket, key=key)).name
    return Call(request.method, operation, bucket, key)


def _dispatch(service: Service, request: OssRequest) -> Response:
    if request.method == "OPTIONS":
        if not any(service.buckets.get(resource.bucket) for resource in request.resources):
            raise no_such_bucket(request.resources[0].bucket)
        service.settings.observer.before(Call("OPTIONS", "OptionObject", *request.resources[0]))
        return respond(
            200, headers=cors.preflight_headers(_cors(service, request).rules, request.headers)
        )
    form_target = form.form_target(request)
    if form_target is not None:
        check_parameters(request, "PostObject")
        with naming("PostObject"), _busy_files():
            return form.post(service, request, form_target)
    request, principal = authorize(request, service)
    operation = find_operation(request)
    if request.key:
        check_key(request.key)
    check_rights(service, principal, rights_of(operation, request, service))
    call = Call(request.method, operation.name, request.bucket, request.key)
    service.settings.observer.before(call)
    with naming(operation.name), _busy_files():
        return operation.handler(service, request)


@contextmanager
def _busy_files() -> Iterator[None]:
    try:
        yield
    except FileInUse:
        message = (
            "A file is in use, and this system cannot replace or remove it now. Please try again."
        )
        raise OssError(503, "ServiceUnavailable", message) from None


def _cors(service: Service, request: OssRequest) -> cors.CorsConfiguration:
    for resource in request.resources:
        bucket = service.buckets.get(resource.bucket)
        if bucket is not None:
            return cors.from_settings(bucket.settings())
    return cors.CorsConfiguration(())


def _error_response(error: OssError, environ: WSGIEnvironment, request_id: str) -> Response:
    xml = error.xml(request_id, environ.get("HTTP_HOST", ""))
    headers = {"Content-Type": "application/xml", **error.headers}
    if error.ec:
        headers["x-oss-ec"] = error.ec
    if environ["REQUEST_METHOD"] == "HEAD":
        # The response to HEAD has no body: clients read the document from this header.
        headers["x-oss-err"] = base64.b64encode(xml).decode()
        xml = b""
    return respond(error.status, xml, headers)


def _location(error: Exception) -> str:
    """Type, file and line, and what the system says, without the message, which may hold a link."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    location = (
        f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    )
    reason = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
    return type(error).__name__ + reason + location
