"""Opening a share: a fresh link each time, a use of it where it is limited, the page where a person looks."""

from __future__ import annotations

import json
from secrets import token_urlsafe
from typing import NamedTuple
from urllib.parse import parse_qs

from .. import links, presence, shares, state
from ..config import Mount
from ..credentials import of_invocation
from ..errors import Problem
from ..keys import cache
from ..request import Answer, Invocation, Request
from ..shares import records
from . import objects

METHODS = ("GET", "HEAD", "POST", "OPTIONS")
MAX_FORM = 4096  # bytes
_NONCE_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


class Opening(NamedTuple):
    """One share being opened: where it stands, what it says, and its record where it has one."""

    request: Request
    invocation: Invocation
    path: str
    mount: Mount
    key: str
    share: shares.Share
    state: state.State | None
    record: records.Record | None

    @property
    def uses(self) -> int | None:
        """How often it may be used, None without a limit."""
        return self.record.uses if self.record is not None else None


def open_share(request: Request, invocation: Invocation, path: str) -> Opening:
    """Reads the share of a request. Raises a 404 `Problem` where it is none, a 410 where it opens nothing any more."""
    policy = invocation.policy
    mount = policy.mount(path)
    # Where no share was ever made there are no keys to ask.
    if mount is None or (mount.max_share is None and policy.keys is None):
        raise shares.invalid()
    key = mount.target.key + path[len(mount.path) :]
    if policy.is_reserved(mount.target.bucket, key):
        raise shares.invalid()
    keys = cache.current(policy, invocation.context, invocation.now)
    share = shares.read(request.query["share"], mount, path, keys, invocation.now)
    if mount.max_share is None or share.method not in mount.methods:
        raise shares.gone("share_not_offered", "This link is no longer offered: ask its sender for a new one.")
    if share.record is None:
        return Opening(request, invocation, path, mount, key, share, None, None)
    invocation.facts["share"] = share.record
    if policy.state is None:  # its recipient cannot help it
        raise state.unavailable()
    kept = state.of(invocation)
    record = records.opened(kept, share.record)
    if (record.path, record.target) != (path, str(mount.target)):
        raise shares.invalid()
    return Opening(request, invocation, path, mount, key, share, kept, record)


def answer(request: Request, invocation: Invocation, path: str) -> Answer:
    """The answer for an object path that is asked with a share; nothing else of the query is read but `format`."""
    if request.method not in METHODS:
        raise objects.not_allowed(METHODS)
    if request.method == "OPTIONS":
        return Answer(204, {"Allow": ", ".join(METHODS)})
    opening = open_share(request, invocation, path)
    if opening.share.method == "POST":
        from . import upload_page

        return upload_page.answer(opening)
    as_json = objects.answers_json(request, invocation.caller is not None)
    if request.method == "POST":
        nonce = _nonce(request)
        given = _give(opening, "GET", attach=nonce is not None)
        found = objects.json_link(given) if as_json else objects.redirect(given, 303)
        # Last of all, so that no use is lost to a link that could not be given.
        _use(opening, nonce or token_urlsafe(18))
        return found
    if opening.uses is not None and as_json:
        return _as_json(opening)
    if opening.uses is not None or (opening.share.page and not as_json and request.query.get("format") != "redirect"):
        return _page(opening)
    if request.method not in opening.mount.methods:
        raise objects.not_allowed(tuple(method for method in METHODS if method != request.method))
    given = _give(opening, request.method)
    return objects.json_link(given) if as_json else objects.redirect(given)


def _give(opening: Opening, method: str, *, attach: bool = False) -> links.Given:
    """A fresh link, never longer than the share; with `attach` it downloads rather than shows."""
    share, invocation, mount = opening.share, opening.invocation, opening.mount
    query = {}
    if attach or share.download is not None:
        query["response-content-disposition"] = links.attachment(share.download or "", opening.key)
    role = of_invocation(invocation.context)
    if mount.check:
        presence.look(mount, opening.key, query, invocation)
    given = links.make(
        invocation.policy,
        mount,
        opening.key,
        method,
        role,
        invocation.now,
        query=query,
        bounds=(links.Bound("share", int(share.ends_at - int(invocation.now))),),
    )
    objects.note(invocation.facts, mount, opening.key, given)
    return given


def _use(opening: Opening, nonce: str) -> None:
    """Claims a use for a nonce, where uses are counted."""
    if opening.uses is None or opening.state is None or opening.share.record is None:
        return
    records.claim_use(opening.state, opening.share.record, opening.uses, nonce, opening.invocation.now)


def _nonce(request: Request) -> str | None:
    """The one-time nonce of the page's form, None from a program that sends none.

    Raises a 400 `Problem` for one that no page made.
    """
    if len(request.body) > MAX_FORM:
        raise _bad_nonce()
    try:
        text = request.body.decode("ascii")
    except UnicodeDecodeError:
        raise _bad_nonce() from None
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            document = json.loads(text) if text else {}
        except (ValueError, RecursionError):
            raise _bad_nonce() from None
        found = document.get("nonce") if isinstance(document, dict) else ""
    else:
        found = next(iter(parse_qs(text, keep_blank_values=True).get("nonce", ())), None)
    if found is None:
        return None
    if not isinstance(found, str) or not is_nonce(found):
        raise _bad_nonce()
    return found


def is_nonce(text: object) -> bool:
    """Whether a text has the form of a page's nonce."""
    return isinstance(text, str) and 16 <= len(text) <= 64 and _NONCE_CHARACTERS.issuperset(text)


def _bad_nonce() -> Problem:
    return Problem(400, "bad_nonce", "The form is not the one of this page: open the link again.")


def uses_left(opening: Opening) -> int | None:
    """How many uses are left, None without a limit. Raises a 410 `Problem` where none is."""
    if opening.uses is None or opening.state is None or opening.share.record is None:
        return None
    left = opening.uses - records.used(opening.state, opening.share.record, opening.uses)
    if left <= 0:
        raise records.used_up()
    return left


def _as_json(opening: Opening) -> Answer:
    document = {
        "uses_left": uses_left(opening),
        "expires_at": links.rfc3339(opening.share.ends_at),
        "use": "POST",
    }
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(document))


def _page(opening: Opening) -> Answer:
    from ..pages import share_page

    return share_page(opening, uses_left(opening), token_urlsafe(18))
