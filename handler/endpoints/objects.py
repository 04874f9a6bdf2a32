"""Object paths: a link as a redirect, or as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache

from .. import audit, links
from ..config import Mount
from ..credentials import of_invocation
from ..errors import Problem, not_found
from ..request import Answer, Invocation, Request

# Function Compute answers 502 for more than 8 KB of response headers; some of them are its own.
MAX_HEADERS = 8192 - 1024  # bytes
LEAST_LIFE = 60  # seconds that a cached redirect's link lives on
TRAFFIC_LIMIT = (819_200, 838_860_800)  # bits per second
_NUMBER = re.compile(r"[1-9][0-9]{5,8}")


def answer(request: Request, invocation: Invocation, path: str) -> Answer:
    """The answer for a path that is no route of the service's own."""
    if "share" in request.query:
        from . import open_share

        return open_share.answer(request, invocation, path)
    policy, caller = invocation.policy, invocation.caller
    mount, key = links.find(policy, path)
    allowed = methods(mount)
    if request.method == "OPTIONS":  # a browser's preflight carries no key
        return Answer(204, {"Allow": ", ".join(allowed)})
    if mount.access != "anonymous":
        if caller is None:
            raise unauthorized()
        # What a caller's key does not reach is for him as if it were not there.
        if not any(caller.reaches(path, method) for method in mount.methods):
            raise not_found()
    if request.method not in allowed:
        raise not_allowed(allowed)
    if mount.access != "anonymous" and caller is not None and not caller.reaches(path, request.method):
        raise not_found()
    asked = request.query
    query = signed_query(mount, key, asked_query(mount, asked), asked.get("download")) if asked else {}
    as_json = answers_json(request, caller is not None)
    role = of_invocation(invocation.context)
    if mount.check:
        from ..presence import look

        look(mount, key, query, invocation)
    given = links.make(
        policy,
        mount,
        key,
        request.method,
        role,
        invocation.now,
        expires=asked.get("expires"),
        query=query,
        bounds=caller.bounds(invocation.now) if caller is not None else (),
        window=mount.cache if caller is None else None,
    )
    note(invocation.facts, mount, key, given)
    if as_json:
        return json_link(given)
    found = redirect(given)
    if mount.cache and caller is None and given.link.expires_in > LEAST_LIFE:
        found.headers["Cache-Control"] = f"private, max-age={given.link.expires_in - LEAST_LIFE}"
    return found


def methods(mount: Mount) -> tuple[str, ...]:
    """What may be asked of an object's own address; POST is for shares alone."""
    return _methods(mount.methods)


@lru_cache(maxsize=16)
def _methods(of_mount: tuple[str, ...]) -> tuple[str, ...]:
    return (*(method for method in ("GET", "HEAD") if method in of_mount), "OPTIONS")


def unauthorized() -> Problem:
    """The 401 of an address that needs a key."""
    return Problem(
        401,
        "unauthorized",
        "This address needs a key: send it as Authorization: Bearer.",
        {"WWW-Authenticate": "Bearer"},
    )


def not_allowed(allowed: tuple[str, ...]) -> Problem:
    """The 405 of an address that is there."""
    listed = ", ".join(allowed)
    return Problem(405, "method_not_allowed", f"Here only {listed} are allowed.", {"Allow": listed})


def note(facts: dict[str, object], mount: Mount, key: str, given: links.Given) -> None:
    """Writes into the audit line which link was given."""
    facts["mount"] = mount.path
    facts["bucket"] = mount.target.bucket
    facts["key"] = audit.path(key)
    facts["expires_in"] = given.link.expires_in
    facts["clamped_by"] = given.clamped_by


def json_link(given: links.Given) -> Answer:
    """The link as JSON."""
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(given.document()))


def redirect(given: links.Given, status: int = 302) -> Answer:
    """The link as a redirect. Raises a 400 `Problem` where it is too long for a header."""
    if len(given.link.url) > MAX_HEADERS:
        raise Problem(
            400,
            "link_too_long",
            "The link is too long for a redirect: ask for it with format=json, or by a shorter name.",
        )
    return Answer(status, {"Location": given.link.url})


def answers_json(request: Request, has_key: bool = False) -> bool:
    """Whether a link is answered as JSON. Raises a 400 `Problem` for an unknown format.

    A request with a key is, unless it says otherwise: clients carry X-Api-Key on to where they are redirected.
    """
    wanted = request.query.get("format")
    if wanted is None:
        return has_key or request.wants_json()
    if wanted not in ("json", "redirect"):
        raise Problem(400, "bad_format", "The parameter format is json or redirect.")
    return wanted == "json"


def asked_query(mount: Mount, asked: Mapping[str, str]) -> dict[str, str]:
    """What of a request's query is OSS's; what is neither its nor ours is dropped where the mount says so."""
    own = ("expires", "format", "download")
    found = {name: value for name, value in asked.items() if name not in own and (name != "null" or value)}
    if mount.unknown_query == "ignore":
        return {name: value for name, value in found.items() if name in mount.query}
    return found


def signed_query(mount: Mount, key: str, asked: Mapping[str, object], download: str | None) -> dict[str, str]:
    """What is signed into a link's query: an allow-list, the mount's. Raises a 400 `Problem` that names anything else.

    `download` is None, "" for the object's own name, or a file name.
    """
    signed: dict[str, str] = {}
    for name, value in asked.items():
        if name not in mount.query:
            raise not_signable(name)
        if not isinstance(value, str):
            raise Problem(400, "bad_query", f"The parameter {name} is no text.")
        _check_value(mount, name, value)
        signed[name] = value
    if download is not None:
        if "response-content-disposition" in signed:
            raise Problem(400, "bad_query", "Give download or response-content-disposition, not both.")
        signed["response-content-disposition"] = links.attachment(download, key)
    return signed


def not_signable(name: str) -> Problem:
    """The 400 of what no caller may add to a link."""
    return Problem(400, "not_signable", f"{name[:100]!r} is not known here and cannot be signed: leave it out.")


def _check_value(mount: Mount, name: str, value: str) -> None:
    if not value:
        raise Problem(400, "bad_query", f"The parameter {name} is empty: give it a value, or leave it out.")
    if name == "x-oss-process" and value not in mount.process:
        raise Problem(400, "bad_query", "The parameter x-oss-process has a value that is not offered here.")
    if name == "x-oss-traffic-limit":
        least, most = TRAFFIC_LIMIT
        if not (_NUMBER.fullmatch(value) and least <= int(value) <= most):
            raise Problem(400, "bad_query", f"The parameter x-oss-traffic-limit is a number from {least} to {most}.")
