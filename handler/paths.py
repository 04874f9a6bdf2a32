"""The path of a request: decoded exactly once, checked, never normalised."""

from __future__ import annotations

import re
from urllib.parse import unquote

from .errors import Problem

MAX_BYTES = 1023

_PLAIN = re.compile(r"/[A-Za-z0-9_~-][A-Za-z0-9_~.-]*(?:/[A-Za-z0-9_~-][A-Za-z0-9_~.-]*)*")
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})|[?#]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def read_path(raw: str) -> str:
    """The path, percent-decoded once. Raises a 400 `Problem` for what no object can be reached by."""
    if len(raw) <= MAX_BYTES and _PLAIN.fullmatch(raw):
        return raw
    if not raw.startswith("/"):
        raise _bad_path("does not begin with /")
    if _BROKEN.search(raw):
        raise _bad_path("has a % that begins no percent-encoding, or a bare ? or #")
    try:
        path = unquote(raw, errors="strict")
    except UnicodeError:
        raise _bad_path("is no UTF-8 once decoded") from None
    return check_path(path)


def check_path(path: str) -> str:
    """A path that is decoded already, as JSON has it. Raises a 400 `Problem` as `read_path` does."""
    if len(path) <= MAX_BYTES and _PLAIN.fullmatch(path):
        return path
    if not path.startswith("/"):
        raise _bad_path("does not begin with /")
    try:
        size = len(path.encode()) - 1
    except UnicodeError:
        raise _bad_path("is no UTF-8") from None
    if size > MAX_BYTES:
        raise _bad_path(f"is {size} bytes long, {MAX_BYTES} are allowed")
    if _CONTROL.search(path):
        raise _bad_path("holds a control character")
    if "//" in path:
        raise _bad_path("holds //, which HTTP clients rewrite")
    if not {".", ".."}.isdisjoint(path.split("/")):
        raise _bad_path("has a segment . or .., which HTTP clients rewrite")
    return path


def _bad_path(why: str) -> Problem:
    return Problem(400, "bad_path", f"The path {why}: percent-encode the object's key once, as UTF-8.")
