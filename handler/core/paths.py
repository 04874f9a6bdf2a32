"""The rules for paths: decoded exactly once, checked, never normalised."""

from __future__ import annotations

import re

from .errors import Problem

MAX_BYTES = 1023  # of an object's key
SHARES = "/-/s"  # of these paths a part is the name of a share: the object's own path is checked when it is known
LFS = "/-/lfs/"  # below it the credential is that of a Git helper, and every answer has the form of Git LFS
MAX_SHARED_BYTES = 2 * MAX_BYTES

_PLAIN = re.compile(r"/[A-Za-z0-9_~-][A-Za-z0-9_~.-]*(?:/[A-Za-z0-9_~-][A-Za-z0-9_~.-]*)*")
_BAD_ENCODING = re.compile(r"%(?![0-9A-Fa-f]{2})|[?#]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Sets of a regular expression: controls, and what nobody sees or changes the direction of writing (Unicode UAX 9): with
# U+202E, a file "fdp.exe" reads as "exe.pdf". Without the joiners, with which Persian, Hindi and emoji are spelt.
UNSEEN = (
    r"\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff9-\ufffb"
)
TAGS = r"\U000e0000-\U000e0fff"
_ENCODE_ONCE = "Percent-encode the object's key once, as UTF-8"


def read_path(raw: str) -> str:
    """The path of a request, percent-decoded once. Raises the 400 `bad_path` where it cannot be an object's."""
    if len(raw) <= 1 + MAX_BYTES and _PLAIN.fullmatch(raw):
        return raw
    if not raw.startswith("/"):
        raise _bad_path("it must begin with /")
    if _BAD_ENCODING.search(raw):
        raise _bad_path(f"it has an incomplete percent-encoding, or a bare ? or #. {_ENCODE_ONCE}")
    from urllib.parse import unquote_to_bytes  # most paths need none

    try:
        path = unquote_to_bytes(raw).decode()
    except UnicodeError:
        raise _bad_path(f"it is not valid UTF-8 once decoded. {_ENCODE_ONCE}") from None
    if fault := path_fault(path):
        raise _bad_path(fault)
    return path


def check_path(path: str) -> str:
    """A path of a JSON body, which is not percent-encoded. Raises the 400 `bad_path`, with advice for JSON."""
    if fault := path_fault(path):
        raise Problem(
            "bad_path", f'Invalid "path": {fault}. In JSON, write it as it is, not percent-encoded.'
        )
    return path


def path_fault(path: str) -> str | None:
    """Why a decoded path cannot be the path of an object, None where it can; the reason begins with "it"."""
    if not path.startswith("/"):
        return "it must begin with /"
    try:
        size = len(path.encode()) - 1
    except UnicodeError:
        return "it is not valid UTF-8"
    maximum = MAX_SHARED_BYTES if path.startswith(f"{SHARES}/") else MAX_BYTES
    if size > maximum:
        return f"it has {size} bytes and exceeds the maximum of {maximum}"
    if not path.isprintable() and _CONTROL.search(path):
        return "it contains a control character"
    if "//" in path:
        return "it contains //, which HTTP clients rewrite"
    if "/." in path and not {".", ".."}.isdisjoint(path.split("/")):
        return "it has a segment . or .., which HTTP clients rewrite"
    return None


def covers(allowed: str, path: str) -> bool:
    """Whether `path` is `allowed` itself, or lies below it where it ends in "/"."""
    return path == allowed or (allowed.endswith("/") and path.startswith(allowed))


def _bad_path(reason: str) -> Problem:
    return Problem("bad_path", f"Invalid path: {reason}.")
