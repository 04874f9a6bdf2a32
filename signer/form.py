"""A form upload (PostObject) that a signed policy allows.

Sources: the OSS pages "PostObject" and "Include a V4 signature in a POST request".
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from datetime import datetime, timezone
from typing import NamedTuple

from . import names, v4
from .credentials import Credentials
from .endpoint import Endpoint
from .errors import InvalidForm
from .link import check_credentials, check_expiry, clamp, seconds

MAX_SIZE = 5 * 1024**3  # bytes, of one PostObject
FILE_NAME = "${filename}"

# What a form says when the client says nothing better; each fits the prefix before it.
_DEFAULT_TYPES = {"image/": "image/jpeg", "text/": "text/plain", "audio/": "audio/mpeg", "video/": "video/mp4"}
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/(?:[a-z0-9!#$&^_.+-]+(?:; ?charset=[a-z0-9-]+)?)?", re.IGNORECASE)


class Form(NamedTuple):
    """A form that uploads one file: send `fields`, then the file as the last field `file`, to `url`.

    `expires_at` (UTC) is when OSS stops taking it, `expires_in` the seconds until then; `clamped` says that the
    credentials end before the expiry that was asked for. The fields are secrets, so they never show in `repr`.
    """

    url: str
    fields: dict[str, str]
    expires_at: datetime
    expires_in: int
    clamped: bool

    def __repr__(self) -> str:
        return (
            f"Form(url={self.url!r}, fields={sorted(self.fields)!r}, expires_at={self.expires_at!r}, "
            f"expires_in={self.expires_in!r}, clamped={self.clamped!r})"
        )


def post_form(
    bucket: str,
    key: str,
    *,
    credentials: Credentials,
    endpoint: Endpoint,
    max_size: int,
    min_size: int = 0,
    content_type: str | None = None,
    overwrite: bool = False,
    expires_in: int = 900,
    now: datetime | float | None = None,
) -> Form:
    """A form that lets anyone upload one file of `min_size` to `max_size` bytes until it expires.

    `key` is the object's own, or a prefix that ends in "/" (or "", the whole bucket): the client then chooses the
    rest, by default the file's name. `content_type` is the object's own, or a prefix such as "image/": the client
    then sets the field `x-oss-content-type`, which OSS puts before all others. Unless `overwrite`, an object that is
    there stays. The object has the bucket's own ACL: OSS takes fields that no condition names, so the ACL is named.
    Raises a child of `SignerError`.
    """
    names.check_bucket(bucket)
    is_prefix = key == "" or key.endswith("/")
    if key:
        names.check_key(key)
    if FILE_NAME in key:
        raise InvalidForm(f"OSS puts the file's own name where a key has {FILE_NAME}: leave it out.", field="key")
    check_expiry(expires_in)
    if type(max_size) is not int or not 0 <= max_size <= MAX_SIZE:
        raise InvalidForm(f"max_size is from 0 to {MAX_SIZE} bytes, not {max_size!r}.", field="max_size")
    if type(min_size) is not int or not 0 <= min_size <= max_size:
        raise InvalidForm(f"min_size is from 0 to max_size ({max_size}) bytes, not {min_size!r}.", field="min_size")
    if content_type is not None and not _MEDIA_TYPE.fullmatch(content_type):
        raise InvalidForm(
            f"{content_type!r} is no media type: write text/plain, or text/ for all that begin so.",
            field="content_type",
        )
    check_credentials(credentials)
    issued = seconds(now)
    asked, expires_in = expires_in, clamp(expires_in, credentials, issued)
    expires_at = datetime.fromtimestamp(issued + expires_in, timezone.utc)
    timestamp = v4.timestamp(issued)
    scope = v4.scope(timestamp[:8], endpoint.region, endpoint.product)

    fixed = {
        "x-oss-signature-version": v4.ALGORITHM,
        "x-oss-credential": f"{credentials.access_key_id}/{scope}",
        "x-oss-date": timestamp,
        **({"x-oss-security-token": credentials.security_token} if credentials.security_token else {}),
        **({} if overwrite else {"x-oss-forbid-overwrite": "true"}),
        "x-oss-object-acl": "default",
        "success_action_status": "200",
    }
    conditions: list[object] = [{"bucket": bucket}, *({name: value} for name, value in fixed.items())]
    conditions.append(["starts-with" if is_prefix else "eq", "$key", key])
    conditions.append(["content-length-range", min_size, max_size])
    fields = {"key": key + FILE_NAME if is_prefix else key, **fixed}
    if content_type is not None:
        open_ended = content_type.endswith("/")
        conditions.append(["starts-with" if open_ended else "eq", "$x-oss-content-type", content_type])
        default = _DEFAULT_TYPES.get(content_type.lower(), content_type + "octet-stream")
        fields["x-oss-content-type"] = default if open_ended else content_type
    policy = encode_policy(expires_at, conditions)
    key_of_day = v4.signing_key(credentials.access_key_secret, timestamp[:8], endpoint.region, endpoint.product)
    return Form(
        endpoint.url(bucket, ""),
        {**fields, "policy": policy, "x-oss-signature": v4.signature(key_of_day, policy)},
        expires_at,
        expires_in,
        expires_in < asked,
    )


def encode_policy(expires_at: datetime, conditions: list[object]) -> str:
    """The policy as the string to sign: base64 of its JSON."""
    document = {"expiration": f"{expires_at:%Y-%m-%dT%H:%M:%S}.000Z", "conditions": conditions}
    return b64encode(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()).decode()
