"""`POST /-/form`: a form with which a browser uploads one file to OSS."""

from __future__ import annotations

from collections.abc import Mapping

from signer import Form, InvalidCredentials, InvalidForm, InvalidKey, post_form
from signer.sizes import MAX_PUT
from signer.times import rfc3339

from ...core import links
from ...core.auth import authorize
from ...core.context import Access, Invocation
from ...core.errors import Problem, bad_body
from ...core.request import Request
from ...core.uploads import DEFAULT_TYPE, check_active_type, check_prefix, check_size
from ..response import Response, body_path, json_response

MEMBERS = {"path": str, "max_size": int, "min_size": int, "content_type": str, "expires": str}


def create(request: Request, invocation: Invocation) -> Response:
    """200 with the form. If the path ends with "/", the client chooses the rest of the key."""
    params = request.json(MEMBERS, required=("path",))
    target = invocation.config.mounts.find(body_path(invocation, params["path"]), prefix=True)
    access = authorize(invocation, target, "POST")
    mount = target.mount
    if target.path.endswith("/"):
        check_prefix(invocation.config, target)
    max_size = (
        min(mount.max_size or 0, MAX_PUT) if params["max_size"] is None else params["max_size"]
    )
    max_size = check_size(max_size, mount)
    min_size = params["min_size"] or 0
    if not 0 <= min_size <= max_size:
        raise bad_body('"min_size" must be from 0 to "max_size"')
    content_type = DEFAULT_TYPE if params["content_type"] is None else params["content_type"]
    form, clamped_by = sign_form(
        access, invocation, max_size, min_size, content_type, expires=params["expires"]
    )
    links.log_target(
        invocation.audit_fields, target, expires_in=form.expires_in, clamped_by=clamped_by
    )
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
    access: Access,
    invocation: Invocation,
    max_size: int,
    min_size: int,
    content_type: str,
    *,
    expires: str | None = None,
    fixed: Mapping[str, str] | None = None,
) -> tuple[Form, str | None]:
    """A form for a key or prefix, and what limited its lifetime; `fixed` are further fields. Raises a `Problem`."""
    target = access.target
    mount = access.target.mount
    check_active_type(content_type, mount)
    clamped_by, expires_in = links.resolve_expiry(invocation, access, expires)
    try:
        form = post_form(
            mount.target.bucket,
            target.key,
            credentials=access.credentials.credentials,
            endpoint=mount.endpoint,
            max_size=max_size,
            min_size=min_size,
            content_type=content_type,
            fixed=fixed,
            expires_in=expires_in,
            now=int(invocation.now),
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
