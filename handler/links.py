"""The core: from what a caller asks and what a mount allows to a link."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from signer import InvalidCredentials, InvalidHeader, InvalidKey, InvalidQuery, Link, presign

from .config import Mount, Policy
from .credentials import RoleCredentials, no_credentials
from .errors import Problem, not_found
from .times import read_duration

# A link that the next few clicks outlive is of no use to anyone.
LEAST_LIFE = 60  # seconds
MAX_FILE_NAME = 255  # bytes

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NOT_IN_QUOTES = re.compile(r'[^\x20-\x7e]|["\\%]')


class Bound(NamedTuple):
    """A limit on a link's life: whose it is, and how many seconds it leaves."""

    by: str
    left: int


class Given(NamedTuple):
    """A link that was given, and who made it shorter than was asked: None, mount, share, caller or credentials."""

    link: Link
    clamped_by: str | None

    def document(self) -> dict[str, object]:
        """The link as JSON has it; times are RFC 3339 in UTC."""
        link = self.link
        return {
            "url": link.url,
            "method": link.method,
            "headers": link.headers,
            "expires_at": rfc3339(link.expires_at.timestamp()),
            "expires_in": link.expires_in,
            "clamped_by": self.clamped_by,
        }


def find(policy: Policy, path: str) -> tuple[Mount, str]:
    """The mount that covers a decoded path, and the key of the object there. Raises the 404 `Problem`."""
    mount = policy.mount(path)
    if mount is None or len(path) == len(mount.path):
        raise not_found()
    key = mount.target.key + path[len(mount.path) :]
    if policy.is_reserved(mount.target.bucket, key):
        raise not_found()
    return mount, key


def make(
    policy: Policy,
    mount: Mount,
    key: str,
    method: str,
    role: RoleCredentials,
    now: float,
    *,
    expires: str | None = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    signed_headers: tuple[str, ...] = (),
    bounds: tuple[Bound, ...] = (),
    window: int | None = None,
) -> Given:
    """A link to an object of a mount, held to every bound.

    `expires` is as callers write it (90, 15m, 2h, 1d), None for the mount's own; `bounds` are those of a share and
    of a caller, in this order. With `window` (seconds) all links made within one are the same: they are signed at its
    beginning and live as much longer. Raises a `Problem` for what cannot be linked.
    """
    issued = int(now)
    if window:
        issued -= issued % window
    clamped_by, left = life(policy, mount, role, now, issued, expires, bounds, window or 0)
    try:
        link = presign(
            method,
            mount.target.bucket,
            key,
            credentials=role.credentials,
            endpoint=policy.oss_endpoint or mount.endpoint,
            expires_in=left,
            query=query,
            headers=headers,
            signed_headers=signed_headers,
            now=issued,
        )
    except InvalidKey:
        raise bad_key() from None
    except InvalidCredentials:
        raise no_credentials() from None
    except InvalidQuery as error:
        raise Problem(400, "bad_query", str(error)) from None
    except InvalidHeader as error:
        raise Problem(400, "not_signable", str(error)) from None
    if window:
        link = link._replace(expires_in=issued + link.expires_in - int(now))
    return Given(link, clamped_by)


def bad_key() -> Problem:
    """The 400 of a path whose key is none, without the signer's figures: they would tell how long the prefix is."""
    return Problem(
        400,
        "bad_path",
        "The path names no object: a key has at most 1023 bytes with its prefix, and does not begin with \\.",
    )


def life(
    policy: Policy,
    mount: Mount,
    role: RoleCredentials,
    now: float,
    issued: int,
    expires: str | None = None,
    bounds: tuple[Bound, ...] = (),
    longer: int = 0,
) -> tuple[str | None, int]:
    """Who cuts what was asked plus `longer`, None if nobody, and the seconds from `issued` that are left."""
    asked = (mount.expires if expires is None else read_expires(expires)) + longer
    return tightest(asked, (Bound("mount", mount.max_expires), *bounds, credentials_bound(policy, role, now, issued)))


def read_expires(text: str) -> int:
    """Seconds of what a caller wrote. Raises a 400 `Problem`."""
    found = read_duration(text)
    if found is None:
        raise Problem(400, "bad_expires", "The parameter expires is no span of time: write it as 90, 15m, 2h or 1d.")
    return found


def credentials_bound(policy: Policy, role: RoleCredentials, now: float, issued: int) -> Bound:
    """How long the credentials sign for, from `issued`. Raises a 503 `Problem` when they are about to end."""
    if role.ends_at is None:
        return Bound("credentials", policy.credential_life)
    if int(role.ends_at) - int(now) < LEAST_LIFE:
        raise Problem(
            503,
            "credentials_ending",
            "The credentials of this instance are about to end: ask again in a minute.",
            {"Retry-After": "60"},
        )
    return Bound("credentials", min(int(role.ends_at) - issued, policy.credential_life))


def tightest(asked: int, bounds: tuple[Bound, ...]) -> tuple[str | None, int]:
    """Whose bound cuts what was asked, and what is left; on a tie the first."""
    by = None
    for bound in bounds:
        if bound.left < asked:
            by, asked = bound
    return by, asked


@lru_cache(maxsize=64)
def rfc3339(moment: float) -> str:
    """Unix seconds as RFC 3339 in UTC, such as 2026-03-01T06:51:11Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def attachment(name: str, key: str) -> str:
    """`Content-Disposition` that downloads an object as `name`, or by its own name if that is empty (RFC 6266).

    An object whose own name is no file name is downloaded without one; the client then finds one itself.
    Raises a 400 `Problem` for what is no file name.
    """
    if not name:
        name = key.rpartition("/")[2]
        if not _is_file_name(name):
            return "attachment"
    if not _is_file_name(name):
        raise Problem(
            400,
            "bad_download",
            f"The parameter download is no file name: at most {MAX_FILE_NAME} bytes, without a slash, a backslash "
            "or a control character.",
        )
    return f"attachment; filename=\"{_NOT_IN_QUOTES.sub('_', name)}\"; filename*=UTF-8''{quote(name, safe='')}"


def _is_file_name(name: str) -> bool:
    try:
        size = len(name.encode())
    except UnicodeError:
        return False
    return 0 < size <= MAX_FILE_NAME and not _CONTROL.search(name) and "/" not in name and "\\" not in name
