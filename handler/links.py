"""The core: from what a caller requests and what a mount allows to a link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from signer import InvalidCredentials, InvalidHeader, InvalidKey, InvalidQuery, Link, presign
from signer.times import parse_duration, rfc3339

from .config import Config, Mount
from .context import ExpiryLimit
from .credentials import RoleCredentials
from .errors import Problem

# A link that expires before the next few clicks is of no use to anyone.
MIN_LIFETIME = 60  # seconds


class IssuedLink(NamedTuple):
    """A link, and what made it shorter than requested: None, mount, share, caller or credentials."""

    link: Link
    clamped_by: str | None

    def document(self) -> dict[str, object]:
        """The members of its JSON; times are RFC 3339 in UTC."""
        link = self.link
        return {
            "url": link.url,
            "method": link.method,
            "headers": link.headers,
            "expires_at": rfc3339(link.expires_at.timestamp()),
            "expires_in": link.expires_in,
            "clamped_by": self.clamped_by,
        }


def find_mount(config: Config, path: str) -> tuple[Mount, str]:
    """The mount that covers a decoded path, and the key of the object there. Raises the 404 `not_found`."""
    mount = config.mount(path)
    if mount is None or len(path) == len(mount.path):
        raise Problem("not_found")
    key = mount.target.key + path[len(mount.path) :]
    if config.is_reserved(mount.target.bucket, key):
        raise Problem("not_found")
    return mount, key


def create_link(
    config: Config,
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
    limits: tuple[ExpiryLimit, ...] = (),
    window: int | None = None,
) -> IssuedLink:
    """A link to an object of a mount, held to every limit.

    `expires` is as callers write it (90, 15m, 2h, 1d), None for the mount's own; `limits` are those of a share and
    of a caller, in this order. With `window` (seconds), all links created within one are the same: they are signed at
    its beginning and live that much longer. Raises a `Problem` for what cannot be linked.
    """
    issued_at = int(now)
    if window:
        issued_at -= issued_at % window
    clamped_by, expires_in = resolve_expiry(config, mount, role, now, issued_at, expires, limits, window or 0)
    try:
        link = presign(
            method,
            mount.target.bucket,
            key,
            credentials=role.credentials,
            endpoint=config.oss_endpoint or mount.endpoint,
            expires_in=expires_in,
            query=query,
            headers=headers,
            signed_headers=signed_headers,
            now=issued_at,
        )
    except InvalidKey:
        raise invalid_key() from None
    except InvalidCredentials:
        raise Problem("no_credentials") from None
    except InvalidQuery as error:
        raise Problem("bad_query", str(error)) from None
    except InvalidHeader as error:
        raise Problem("not_signable", str(error)) from None
    if window:
        link = link._replace(expires_in=issued_at + link.expires_in - int(now))
    return IssuedLink(link, clamped_by)


def invalid_key() -> Problem:
    """The 400 of a path whose key is invalid, without the signer's figures: they would show how long the prefix is."""
    return Problem(
        "bad_path",
        "Invalid path: with its prefix, the object's key must have at most 1023 bytes and not begin with \\.",
    )


def resolve_expiry(
    config: Config,
    mount: Mount,
    role: RoleCredentials,
    now: float,
    issued_at: int,
    expires: str | None = None,
    limits: tuple[ExpiryLimit, ...] = (),
    extra: int = 0,
) -> tuple[str | None, int]:
    """What cuts the requested lifetime plus `extra`, None if nothing does, and the seconds from `issued_at`."""
    requested = (mount.expires if expires is None else read_expires(expires)) + extra
    mount_limit = ExpiryLimit("mount", mount.max_expires)
    return apply_limits(requested, (mount_limit, *limits, credentials_limit(config, role, now, issued_at)))


def read_expires(expires: str) -> int:
    """Seconds of what a caller wrote. Raises the 400 `bad_expires`."""
    seconds = parse_duration(expires)
    if seconds is None:
        raise Problem("bad_expires", 'Invalid "expires": expected a duration such as 90, 15m, 2h or 1d.')
    return seconds


def credentials_limit(config: Config, role: RoleCredentials, now: float, issued_at: int) -> ExpiryLimit:
    """How long the credentials sign for, from `issued_at`. Raises the 503 `credentials_ending`."""
    if role.expires_at is None:
        return ExpiryLimit("credentials", config.credential_life)
    if int(role.expires_at) - int(now) < MIN_LIFETIME:
        raise Problem("credentials_ending")
    return ExpiryLimit("credentials", min(int(role.expires_at) - issued_at, config.credential_life))


def apply_limits(requested: int, limits: tuple[ExpiryLimit, ...]) -> tuple[str | None, int]:
    """What cuts the requested seconds, and how many are left; on a tie the first limit."""
    source = None
    for limit in limits:
        if limit.seconds < requested:
            source, requested = limit
    return source, requested


def attachment(name: str, key: str) -> str:
    """`Content-Disposition` that downloads an object as `name`, or under its key's own name if that is empty.

    An object whose own name is not a file name is downloaded without one; the client then chooses. Raises the 400
    `bad_download` for an invalid `name`.
    """
    from signer.disposition import attachment as disposition

    try:
        return disposition(name or key.rpartition("/")[2])
    except InvalidQuery:
        if name:
            raise Problem("bad_download") from None
        return "attachment"
