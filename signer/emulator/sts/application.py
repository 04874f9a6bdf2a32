"""The local STS as a WSGI application."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping

from werkzeug.wrappers import Request, Response

from ..ram import Principals
from . import errors, responses
from .authentication import MAX_SKEW, authenticate
from .errors import StsError
from .incoming import StsRequest, read_request
from .nonces import Nonces
from .operations import ACTIONS, Service
from .roles import Role

VERSION = "2015-04-01"

_MAX_BYTES = 1 << 16  # of a body


def create_app(
    principals: Principals,
    roles: Callable[[], Mapping[str, Role]],
    *,
    now: Callable[[], float] = time.time,
    before: Callable[[str], Response | None] = lambda action: None,
) -> Callable[..., Iterable[bytes]]:
    """STS for `principals`, to which it adds the sessions that it opens.

    `roles` returns the roles by ARN. `now` is the clock, in Unix seconds. `before` is called with the action of every
    request, before it is verified: it may answer in STS's place, or raise `StsError`.
    """
    service = Service(principals, roles, now)
    nonces = Nonces(2 * MAX_SKEW)

    @Request.application
    def app(received: Request) -> Response:
        return _handle(received, service, nonces, before)

    return app


def _handle(
    received: Request, service: Service, nonces: Nonces, before: Callable[[str], Response | None]
) -> Response:
    request_id = str(uuid.uuid4()).upper()
    received.max_content_length = _MAX_BYTES
    body = received.get_data()
    as_json = False
    try:
        request = read_request(received.environ, body)
        as_json = request.wants_json
        response = before(request.action)
        if response is not None:
            return response
        elements = _dispatch(service, nonces, request)
        return responses.success(request.action, elements, request_id, as_json=as_json)
    except StsError as error:
        refusal = error
    except Exception as error:
        # Without the message, which may hold a credential.
        print(f"sts: request {request_id} failed with {type(error).__name__}", file=sys.stderr)
        refusal = StsError("InternalError")
    return responses.failure(refusal, request_id, received.host, as_json=as_json)


def _dispatch(service: Service, nonces: Nonces, request: StsRequest) -> responses.Elements:
    if request.method not in ("GET", "POST"):
        raise StsError("UnsupportedHTTPMethod")
    if request.path != "/":
        raise StsError("InvalidAction.NotFound")
    for name, value in (("Action", request.action), ("Version", request.version)):
        if not value:
            raise errors.missing(name)
    if request.version != VERSION:
        raise errors.not_valid("Version")
    action = ACTIONS.get(request.action)
    if action is None:
        raise StsError("InvalidAction.NotFound")
    caller = authenticate(request, service.principals, nonces, service.now())
    return action(service, caller, request.parameters)
