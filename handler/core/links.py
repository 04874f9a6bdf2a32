"""Creates links: limits their lifetime, and decides on what their query makes browsers show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from signer import InvalidCredentials, InvalidHeader, InvalidKey, InvalidQuery, Link, presign
from signer.times import parse_duration, rfc3339

from . import audit
from .config import Config, Mount, Target
from .context import Access, ExpiryLimit, Invocation, RoleCredentials
from .errors import Problem

if TYPE_CHECKING:
    from signer import CdnKey

CONTENT_TYPE = "response-content-type"
DISPOSITION = "response-content-disposition"
MIN_LIFETIME = 60  # seconds that credentials must still be valid, so that their links are of use


class IssuedLink(NamedTuple):
    """A link, and the source of the limit that shortened its lifetime: None, mount, share, caller or credentials."""

    link: Link
    clamped_by: str | None

    def document(self) -> dict[str, object]:
        """The link as JSON; times are RFC 3339 in UTC."""
        link = self.link
        return {
            "url": link.url,
            "method": link.method,
            "headers": link.headers,
            "expires_at": rfc3339(link.expires_at.timestamp()),
            "expires_in": link.expires_in,
            "clamped_by": self.clamped_by,
        }


class Signed(NamedTuple):
    """What a link signs besides its object; `extra` are names of headers that OSS itself would not require.

    All links that are created within one `window` (seconds) are equal: signed at its start, and valid for that much
    longer.
    """

    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    extra: tuple[str, ...] = ()
    window: int = 0


NOTHING = Signed()


def create_link(
    invocation: Invocation,
    access: Access,
    method: str,
    *,
    expires: str | None = None,
    signed: Signed = NOTHING,
) -> IssuedLink:
    """A link to an object, within every limit.

    `expires` is a duration as callers write it (90, 15m, 2h, 1d), None for the mount's default. GET and PUT links have
    the mount's limit of the traffic. Raises a `Problem` where no link can be created.
    """
    target = access.target
    window = signed.window
    now = int(invocation.now)
    query = signed.query
    if target.mount.traffic_limit is not None and method in ("GET", "PUT"):
        # A caller's own is lower.
        query = {
            "x-oss-traffic-limit": str(target.mount.traffic_limit),
            **(query or {}),
        }
    issued_at = now - now % window if window else now
    clamped_by, expires_in = resolve_expiry(invocation, access, expires, window)
    if access.cdn is not None:
        return IssuedLink(
            _cdn_link(target, access.cdn, method, issued_at + expires_in - now, now), clamped_by
        )
    try:
        link = presign(
            method,
            target.mount.target.bucket,
            target.key,
            credentials=access.credentials.credentials,
            endpoint=target.mount.endpoint,
            expires_in=expires_in,
            query=query,
            headers=signed.headers,
            signed_headers=signed.extra,
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
        link = link._replace(expires_in=issued_at + link.expires_in - now)
    return IssuedLink(link, clamped_by)


def log_target(fields: dict[str, object], target: Target, **more: object) -> None:
    """Adds a target to an audit line. Only a link or a form has `expires_in`: queries count them by it."""
    fields |= {
        "mount": target.mount.path,
        "bucket": target.mount.target.bucket,
        "key": audit.path(target.key),
        **more,
    }


def _cdn_link(target: Target, cdn: CdnKey, method: str, expires_in: int, now: int) -> Link:
    """The link that a CDN checks, `expires_in` seconds from now. Raises the 400 `bad_path`."""
    from signer.cdn import encode_path, presign_cdn

    url = target.mount.endpoint.url(target.mount.target.bucket, encode_path(target.key))
    try:
        return presign_cdn(url, cdn, expires_in=expires_in, now=now)._replace(method=method)
    except InvalidKey:
        raise invalid_key() from None


def invalid_key() -> Problem:
    """The 400 `bad_path` for an invalid key, without the signer's message, which shows the length of the prefix."""
    return Problem(
        "bad_path",
        "Invalid path: with its prefix, the object's key must have at most 1023 bytes and must not begin with \\.",
    )


def resolve_expiry(
    invocation: Invocation, access: Access, expires: str | None = None, window: int = 0
) -> tuple[str | None, int]:
    """What `apply_limits` returns for the requested lifetime plus `window`, in seconds from the window's start."""
    mount = access.target.mount
    now = int(invocation.now)
    issued_at = now - now % window if window else now
    requested = (mount.expires if expires is None else read_expires(expires)) + window
    limits = (ExpiryLimit("mount", mount.max_expires), *access.limits)
    if access.cdn is None:
        limits += (credentials_limit(invocation.config, access.credentials, now, issued_at),)
    return apply_limits(requested, limits)


def read_expires(expires: str) -> int:
    """The seconds of a duration that a caller wrote. Raises the 400 `bad_expires`."""
    seconds = parse_duration(expires)
    if seconds is None:
        raise Problem(
            "bad_expires", 'Invalid "expires": expected a duration such as 90, 15m, 2h or 1d.'
        )
    return seconds


def credentials_limit(
    config: Config, credentials: RoleCredentials, now: int, issued_at: int
) -> ExpiryLimit:
    """How long the credentials are valid, in seconds from `issued_at`. Raises the 503 `credentials_expiring`."""
    if credentials.expires_at is None:
        return ExpiryLimit("credentials", config.credential_life)
    if int(credentials.expires_at) - now < MIN_LIFETIME:
        raise Problem("credentials_expiring")
    left = int(credentials.expires_at) - issued_at
    return ExpiryLimit(
        "credentials", left if credentials.is_session else min(left, config.credential_life)
    )


def apply_limits(requested: int, limits: tuple[ExpiryLimit, ...]) -> tuple[str | None, int]:
    """The source of the first of the shortest limits (None if none is below `requested`), and the seconds left."""
    source = None
    for limit in limits:
        if limit.seconds < requested:
            source, requested = limit
    return source, requested


def read_query(target: Target, params: Mapping[str, str], download: str | None) -> dict[str, str]:
    """The query to sign for a link that reads an object: what a caller may add, and what the mount lets browsers show.

    `download` is None, "" for the object's own name, or a file name. Raises the 400 `not_signable` for a parameter
    that would override the mount, `bad_query` or `bad_download`; for links of a CDN, which have no query, the 409
    `download_not_signed` for a file name.
    """
    if target.mount.cdn is not None:
        if download:
            raise Problem("download_not_signed")
        return {}
    if target.mount.inline is None and download is None:
        return dict(params)
    shown_as = _shown_as(target.mount, target.key)
    query = {**params, **shown_as}
    for name in (CONTENT_TYPE, DISPOSITION) if shown_as else ():
        if name in params and params[name] != shown_as.get(name):
            raise Problem(
                "not_signable",
                f"Parameter {name} is not allowed: this mount decides what browsers show.",
            )
    if download is not None:
        if DISPOSITION in params:
            raise Problem("bad_query", f"Use either download or {DISPOSITION}, not both.")
        query[DISPOSITION] = attachment(download, target.key)
    return query


def _shown_as(mount: Mount, key: str) -> dict[str, str]:
    """The type of an object that its mount lists in `inline`; everything else is downloaded. Only the key decides."""
    if mount.inline is None:
        return {}
    from .config.media_types import EXTENSIONS

    _, dot, extension = key.rpartition("/")[2].rpartition(".")
    for media_type in mount.inline if dot else ():
        if extension.lower() in EXTENSIONS[media_type.partition(";")[0]].split():
            return {CONTENT_TYPE: media_type}
    return {DISPOSITION: "attachment"}


def attachment(name: str, key: str) -> str:
    """The `Content-Disposition` that downloads an object as `name`, or under the last segment of its key if empty.

    Where that segment is not a file name, the client chooses one. Raises the 400 `bad_download` for an invalid `name`.
    """
    from signer.common.disposition import attachment as disposition

    try:
        return disposition(name or key.rpartition("/")[2])
    except InvalidQuery:
        if name:
            raise Problem("bad_download") from None
        return "attachment"
