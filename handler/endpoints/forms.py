"""`POST /-/form`: a form by which a browser uploads one file, straight into OSS."""

from __future__ import annotations

import json

from signer import Form, InvalidCredentials, InvalidForm, InvalidKey, post_form

from .. import links
from ..auth.admission import Admitted, admit
from ..bodies import bad_body, read_json
from ..config import Mount, Policy
from ..credentials import no_credentials, of_invocation
from ..errors import Problem
from ..request import Answer, Invocation, Request
from .uploads import DEFAULT_TYPE, MAX_PUT, check_size

FIELDS = {"path": str, "max_size": int, "min_size": int, "content_type": str, "expires": str}


def create(request: Request, invocation: Invocation) -> Answer:
    """200 with the form's address and fields; a path that ends in "/" lets the client choose the rest of the key."""
    wish = read_json(request, FIELDS, required=("path",))
    admitted = admit(invocation, wish["path"], "POST", prefix=True)
    if admitted.path.endswith("/"):
        check_prefix(invocation.policy, admitted.mount, admitted.key)
    largest = min(admitted.mount.max_size or 0, MAX_PUT)
    most = check_size(largest if wish["max_size"] is None else wish["max_size"], admitted.mount)
    least = wish["min_size"] or 0
    if not 0 <= least <= most:
        raise bad_body("has a min_size that is not from 0 to max_size")
    kind = DEFAULT_TYPE if wish["content_type"] is None else wish["content_type"]
    given, clamped_by = make(admitted, invocation, most, least, kind, expires=wish["expires"])
    invocation.facts["mount"] = admitted.mount.path
    invocation.facts["expires_in"] = given.expires_in
    invocation.facts["clamped_by"] = clamped_by
    document = {
        "url": given.url,
        "fields": given.fields,
        "expires_at": links.rfc3339(given.expires_at.timestamp()),
        "expires_in": given.expires_in,
        "clamped_by": clamped_by,
    }
    return Answer(200, {"Content-Type": "application/json"}, json.dumps(document))


def make(
    admitted: Admitted,
    invocation: Invocation,
    max_size: int,
    min_size: int,
    content_type: str,
    *,
    expires: str | None = None,
) -> tuple[Form, str | None]:
    """A form for an admitted key or prefix, and who made it shorter than was asked. Raises a `Problem`."""
    policy, role = invocation.policy, of_invocation(invocation.context)
    now = int(invocation.now)
    clamped_by, left = links.life(policy, admitted.mount, role, invocation.now, now, expires, admitted.bounds)
    try:
        form = post_form(
            admitted.mount.target.bucket,
            admitted.key,
            credentials=role.credentials,
            endpoint=policy.oss_endpoint or admitted.mount.endpoint,
            max_size=max_size,
            min_size=min_size,
            content_type=content_type,
            expires_in=left,
            now=now,
        )
    except InvalidKey:
        raise links.bad_key() from None
    except InvalidCredentials:
        raise no_credentials() from None
    except InvalidForm as error:
        raise Problem(400, "bad_body", str(error)) from None
    return form, clamped_by


def check_prefix(policy: Policy, mount: Mount, prefix: str) -> None:
    """Raises a 400 `Problem` where a client that chooses the rest of a key could reach into another mount."""
    for other in policy.mounts:
        same_bucket = other.target.bucket == mount.target.bucket
        if same_bucket and other.target != mount.target and other.target.key.startswith(prefix):
            raise Problem(400, "prefix_overlaps", "Other objects lie below this prefix: name a narrower one.")
