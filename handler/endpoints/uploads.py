"""The rules for all uploads, and `POST /-/form`, a form with which a browser uploads one file to OSS."""

from __future__ import annotations

import re
from collections.abc import Mapping

from signer import Form, InvalidCredentials, InvalidForm, InvalidKey, post_form
from signer.form import MEDIA_TYPE
from signer.sizes import MAX_PUT
from signer.times import rfc3339

from .. import links
from ..auth import AuthorizedObject, authorize
from ..config import Config, Location, Mount
from ..config.media_types import is_active
from ..context import Invocation
from ..credentials import mount_credentials
from ..errors import Problem, bad_body
from ..request import Request
from ..response import Response, json_response

DEFAULT_TYPE = "application/octet-stream"
MEMBERS = {"path": str, "max_size": int, "min_size": int, "content_type": str, "expires": str}

_MD5 = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
_META = re.compile(r"x-oss-meta-[a-z0-9-]{1,100}")


def create_form(request: Request, invocation: Invocation) -> Response:
    """200 with the form. If the path ends with "/", the client chooses the rest of the key."""
    params = request.json(MEMBERS, required=("path",))
    authorized = authorize(invocation, params["path"], "POST", prefix=True)
    mount = authorized.mount
    if authorized.path.endswith("/"):
        check_prefix(invocation.config, mount, authorized.key)
    max_size = min(mount.max_size or 0, MAX_PUT) if params["max_size"] is None else params["max_size"]
    max_size = check_size(max_size, mount)
    min_size = params["min_size"] or 0
    if not 0 <= min_size <= max_size:
        raise bad_body('"min_size" must be from 0 to "max_size"')
    content_type = DEFAULT_TYPE if params["content_type"] is None else params["content_type"]
    form, clamped_by = sign_form(authorized, invocation, max_size, min_size, content_type, expires=params["expires"])
    invocation.facts["mount"] = mount.path
    invocation.facts["expires_in"] = form.expires_in
    invocation.facts["clamped_by"] = clamped_by
    return json_response(
        {
            "url": form.url,
            "fields": form.fields,
            "expires_at": rfc3339(form.expires_at.timestamp()),
            "expires_in": form.expires_in,
            "clamped_by": clamped_by,
        }
    )


def sign_form(
    authorized: AuthorizedObject,
    invocation: Invocation,
    max_size: int,
    min_size: int,
    content_type: str,
    *,
    expires: str | None = None,
    fixed: Mapping[str, str] | None = None,
) -> tuple[Form, str | None]:
    """A form for an authorized key or prefix, and what limited its lifetime; `fixed` are further fields.

    Raises a `Problem`.
    """
    config, mount, now = invocation.config, authorized.mount, invocation.now
    credentials = mount_credentials(invocation, mount)
    check_active_content(content_type, mount)
    clamped_by, expires_in = links.resolve_expiry(config, mount, credentials, now, int(now), expires, authorized.limits)
    try:
        form = post_form(
            mount.target.bucket,
            authorized.key,
            credentials=credentials.credentials,
            endpoint=config.oss_endpoint or mount.endpoint,
            max_size=max_size,
            min_size=min_size,
            content_type=content_type,
            fixed=fixed,
            expires_in=expires_in,
            now=int(now),
        )
    except InvalidKey:
        raise links.invalid_key() from None
    except InvalidCredentials:
        raise Problem("no_credentials") from None
    except InvalidForm as error:
        if error.field == "content_type":
            raise Problem("bad_content_type", str(error)) from None
        raise Problem("bad_body", str(error)) from None
    return form, clamped_by


def check_prefix(config: Config, mount: Mount, prefix: str) -> None:
    """Raises the 400 `prefix_overlaps` if a client that chooses the rest of the key could write to another mount.

    `prefix` ends in "/" or is empty.
    """
    if any(other.target != mount.target for other in config.mounts.within(Location(mount.target.bucket, prefix))):
        raise Problem("prefix_overlaps")


def check_size(size: int | None, mount: Mount, maximum: int = MAX_PUT) -> int:
    """A size in bytes that a mount allows. Raises the 400 `size_required` or `too_large`."""
    if size is None:
        raise Problem("size_required")
    maximum = min(mount.max_size or 0, maximum)
    if not 0 <= size <= maximum:
        raise Problem("too_large", f"The size of an upload to this mount must be from 0 to {maximum} bytes.")
    return size


def check_type(content_type: str | None, mount: Mount) -> str:
    """A media type that a mount accepts, `application/octet-stream` for None.

    Raises the 400 `bad_content_type` or `wrong_type`.
    """
    if content_type is None:
        return DEFAULT_TYPE
    if len(content_type) > 200 or not MEDIA_TYPE.fullmatch(content_type):
        raise Problem("bad_content_type")
    check_active_content(content_type, mount)
    return content_type


def check_active_content(content_type: str, mount: Mount) -> None:
    """Raises the 400 `wrong_type` for a type or prefix that a mount does not accept because browsers run it."""
    if mount.inline is None or mount.active_content or not is_active(content_type):
        return
    if content_type.endswith("/"):
        reason = "a prefix includes types that browsers run, such as image/svg+xml. Use a type, such as image/png"
    else:
        reason = "browsers run it. Use another type"
    raise Problem(
        "wrong_type",
        f"Type {content_type[:100]} is not accepted on this mount: {reason}, or ask the operator to set active_content "
        "in links.toml.",
    )


def put_headers(requested: Mapping[str, object], size: int, mount: Mount, *, overwrite: bool) -> dict[str, str]:
    """All headers of a PUT link: a fixed type and length, and no overwriting unless requested and allowed by the mount.

    A caller may add `Content-Type`, `Content-MD5` and `x-oss-meta-*`; a 400 `Problem` names any other header.
    """
    if overwrite and not mount.overwrite:
        raise Problem("not_signable", '"overwrite" is not allowed on this mount: uploads replace no existing object.')
    headers: dict[str, str] = {}
    for name, value in requested.items():
        lower = name.lower()
        if lower not in ("content-type", "content-md5") and not _META.fullmatch(lower):
            raise Problem("not_signable", f"Header {name[:100]!r} is not allowed for uploads.")
        if not isinstance(value, str):
            raise bad_body(f"header {name[:100]!r} must be a string")
        if lower == "content-type":
            check_type(value, mount)
        if lower == "content-md5" and not _MD5.fullmatch(value):
            raise Problem("bad_content_md5")
        headers[name] = value
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = DEFAULT_TYPE
    headers["Content-Length"] = str(size)
    if not overwrite:
        headers["x-oss-forbid-overwrite"] = "true"
    return headers
