"""A form upload (PostObject) with a signed policy.

Sources: the OSS pages "PostObject" and "Include a V4 signature in a POST request".
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from . import names, v4
from .credentials import Credentials
from .endpoint import Endpoint
from .errors import InvalidForm, check_type, describe_argument
from .link import seconds, signing_context
from .sizes import MAX_PUT

FILE_NAME = "${filename}"
MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:; ?charset=[A-Za-z0-9-]+)?")

# For clients that do not set the type: one that matches each prefix.
_DEFAULT_TYPES = {
    "image/": "image/jpeg",
    "text/": "text/plain",
    "audio/": "audio/mpeg",
    "video/": "video/mp4",
}
# Lower-case, as in the examples of OSS: so a field matches its condition whether or not OSS regards their case.
_FIXED = re.compile(
    r"cache-control|content-disposition|content-encoding|x-oss-storage-class|x-oss-server-side-encryption"
    r"|x-oss-meta-[a-z0-9-]+"
)
_FIXED_VALUE = re.compile(r"[!-~]+(?: [!-~]+)*")


class Form(NamedTuple):
    """A form that uploads one file: post `fields`, then the file as the last field `file`, to `url`.

    `expires_at` (UTC) is when OSS stops accepting the form and `expires_in` the seconds until then; `clamped` as
    of a link. The fields are secrets, so `repr` leaves out their values.
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
    fixed: Mapping[str, str] | None = None,
    expires_in: int | timedelta = 900,
    now: datetime | float | None = None,
) -> Form:
    """A form that lets anyone upload one file of `min_size` to `max_size` bytes until it expires.

    `key` is the object's key, or a prefix that ends with "/" (or "", the entire bucket): the client then chooses the
    rest, by default the file's name. `content_type` is the object's type, or a prefix such as "image/": the client
    then sets the field `x-oss-content-type`, which OSS prefers to all others. Without `overwrite`, an existing object
    is not replaced. `fixed` are further fields that the client cannot change, with lower-case names, such as
    "cache-control". `expires_in` is as for `presign`. Raises a subclass of `SignerError`.
    """
    names.check_bucket(bucket)
    if key != "":
        names.check_key(key)
    is_prefix = key == "" or key.endswith("/")
    if FILE_NAME in key:
        raise InvalidForm(
            f"Invalid key: {FILE_NAME} is not allowed, because OSS replaces it.", "key"
        )
    if type(max_size) is not int or not 0 <= max_size <= MAX_PUT:
        raise InvalidForm(
            f"Invalid max_size {describe_argument(max_size)}: it must be from 0 to {MAX_PUT} bytes.",
            "max_size",
        )
    if type(min_size) is not int or not 0 <= min_size <= max_size:
        raise InvalidForm(
            f"Invalid min_size {describe_argument(min_size)}: it must be from 0 to max_size ({max_size}).",
            "min_size",
        )
    is_type_prefix = isinstance(content_type, str) and content_type.endswith("/")
    example = f"{content_type}x" if is_type_prefix else content_type
    if example is not None and not (isinstance(example, str) and MEDIA_TYPE.fullmatch(example)):
        raise InvalidForm(
            f"Invalid content_type {describe_argument(content_type)}: expected a media type such as text/plain, or a "
            "prefix such as text/.",
            "content_type",
        )
    check_type("fixed", fixed or {}, Mapping, InvalidForm, "a mapping of strings")
    for name, value in (fixed or {}).items():
        if not (
            isinstance(name, str)
            and isinstance(value, str)
            and _FIXED.fullmatch(name)
            and _FIXED_VALUE.fullmatch(value)
        ):
            raise InvalidForm(
                f"Invalid fixed field {describe_argument(name)}: expected a header of an object in lower case, such as "
                "cache-control or x-oss-storage-class, and a value of visible ASCII.",
                "fixed",
            )
    context = signing_context(credentials, endpoint, seconds(now), expires_in)
    pinned = dict(context.parameters)
    if not overwrite:
        pinned["x-oss-forbid-overwrite"] = "true"
    pinned |= {
        # OSS accepts fields that no condition names, so the policy fixes the ACL: the bucket's own.
        "x-oss-object-acl": "default",
        "success_action_status": "200",
        **(fixed or {}),
    }
    conditions: list[object] = [
        {"bucket": bucket},
        *({name: value} for name, value in pinned.items()),
    ]
    conditions.append(["starts-with" if is_prefix else "eq", "$key", key])
    conditions.append(["content-length-range", min_size, max_size])
    fields = {"key": key + FILE_NAME if is_prefix else key, **pinned}
    if content_type is not None:
        conditions.append(
            ["starts-with" if is_type_prefix else "eq", "$x-oss-content-type", content_type]
        )
        default = _DEFAULT_TYPES.get(content_type.lower(), content_type + "octet-stream")
        fields["x-oss-content-type"] = default if is_type_prefix else content_type
    policy = encode_policy(context.expires_at, conditions)
    return Form(
        url=endpoint.url(bucket, ""),
        fields={
            **fields,
            "policy": policy,
            "x-oss-signature": v4.signature(context.signing_key, policy),
        },
        expires_at=context.expires_at,
        expires_in=context.expires_in,
        clamped=context.clamped,
    )


def encode_policy(expires_at: datetime, conditions: list[object]) -> str:
    """The string to sign: the base64 of the policy's JSON."""
    document = {"expiration": f"{expires_at:%Y-%m-%dT%H:%M:%S}.000Z", "conditions": conditions}
    return b64encode(
        json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    ).decode()
