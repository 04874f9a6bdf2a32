"""The rules for bucket names, object keys, and names and values of headers and query parameters.

Sources: "Bucket naming conventions" and "Object naming conventions" of the OSS documentation; RFC 9110 §5 for
header names and values. A value is accepted as it is or refused; it is never changed.
"""

from __future__ import annotations

import re

from .errors import (
    InvalidBucket,
    InvalidHeader,
    InvalidKey,
    InvalidLink,
    InvalidMethod,
    InvalidQuery,
    describe_argument,
)

# What RAM must allow for a request of each method; source: the permissions on the OSS pages of the operations.
ACTIONS = {
    "GET": "oss:GetObject",
    "HEAD": "oss:GetObject",
    "PUT": "oss:PutObject",
    "POST": "oss:PutObject",
    "DELETE": "oss:DeleteObject",
}
METHODS = frozenset(ACTIONS)
MAX_KEY_BYTES = 1023

_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
# These two are compiled at their first use: few links have signed headers.
_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER_VALUE = r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_method(method: str) -> None:
    """Raises `InvalidMethod` unless `method` is GET, HEAD, PUT, POST or DELETE, in capitals."""
    if not isinstance(method, str) or f"{method}" not in METHODS:
        raise InvalidMethod(
            f"Invalid method {describe_argument(method)}: it must be GET, HEAD, PUT, POST or DELETE, in capitals.",
            method,
        )


def check_bucket(bucket: str) -> None:
    """Raises `InvalidBucket` unless 3 to 63 of a-z, 0-9 and "-", first and last a letter or digit."""
    # As it is written: a member of an Enum that is a string too may be written as its name.
    if not isinstance(bucket, str) or not _BUCKET.fullmatch(f"{bucket}"):
        raise InvalidBucket(
            f"Invalid bucket name {describe_argument(bucket)}: it must have 3 to 63 characters of a-z, 0-9 and -, "
            "and must begin and end with a letter or digit.",
            bucket,
        )


def check_key(key: str) -> None:
    """Raises `InvalidKey` unless 1 to 1023 bytes of UTF-8, not beginning with "/" or "\\".

    Control characters, "//", and the segments "." and ".." are `unsafe_key`: HTTP clients rewrite or reject such paths
    after they were signed.
    """
    if not isinstance(key, str) or not key:
        raise InvalidKey("Invalid object key: it must be a string of 1 to 1023 bytes.", key)
    if key[0] in "/\\":
        raise InvalidKey(f"Invalid object key: it must not begin with {key[0]!r}.", key)
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidKey(
            "Invalid object key: it contains half a surrogate pair, which UTF-8 cannot encode.", key
        ) from None
    if size > MAX_KEY_BYTES:
        raise InvalidKey(
            f"Invalid object key: it has {size} bytes, which exceeds {MAX_KEY_BYTES}.", key
        )
    if "//" in key or not {".", ".."}.isdisjoint(key.split("/")):
        reason = 'rewrite a path with a segment ".", ".." or "", and the link would fail'
    elif _CONTROL.search(key):
        reason = "reject a path with a control character"
    else:
        return
    message = f"Unsafe object key: HTTP clients {reason}. Copy the object to another key."
    raise InvalidKey(message, key, code="unsafe_key")


def check_query(name: str, value: str) -> None:
    """Raises `InvalidQuery` for an empty name, a control character, or what UTF-8 cannot encode."""
    if not isinstance(name, str) or not isinstance(value, str) or not name:
        raise InvalidQuery(
            "Invalid query parameter: it must be a name that is not empty, and a string.", name
        )
    if _CONTROL.search(name) or _CONTROL.search(value):
        raise InvalidQuery(
            f"Invalid query parameter {name!r}: control characters are not allowed.", name
        )
    try:
        name.encode()
        value.encode()
    except UnicodeEncodeError:
        raise InvalidQuery(
            f"Invalid query parameter {name!r}: it contains half a surrogate pair, which UTF-8 cannot encode.",
            name,
        ) from None


def check_header(name: str, value: str) -> None:
    """Raises `InvalidHeader` unless `name` is an RFC 9110 token and `value` visible ASCII without outer spaces.

    Outer spaces are lost in transit and every client encodes other characters differently; both change what was signed.
    """
    if not isinstance(name, str) or not re.fullmatch(_HEADER_NAME, name):
        raise InvalidHeader(
            f"Invalid header name {describe_argument(name)}: it must be a token of RFC 9110, such as Content-Type.",
            name,
        )
    if not isinstance(value, str) or (value and not re.fullmatch(_HEADER_VALUE, value)):
        raise InvalidHeader(
            f"Invalid value of header {name}: it must be visible ASCII with no space at either end. "
            "Percent-encode other characters.",
            name,
        )


def parse_oss_url(url: str) -> tuple[str, str]:
    """The bucket and the key of `oss://bucket/key`; the key is "" or ends with "/" for a prefix.

    Nothing is percent-decoded. Raises `InvalidLink` for any other form, `InvalidBucket` and `InvalidKey`.
    """
    bucket, slash, key = url.removeprefix("oss://").partition("/")
    if not url.startswith("oss://") or not slash:
        # A presigned URL may be pasted here: its query is not repeated.
        raise InvalidLink(f"Invalid address {url.partition('?')[0]!r}: expected oss://bucket/key.")
    check_bucket(bucket)
    if key:
        check_key(key)
    return bucket, key
