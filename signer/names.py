"""The rules of bucket names, object keys, header and query names and values.

Sources: "Bucket naming conventions" and "Object naming conventions" of the OSS documentation; RFC 9110 §5 for
header names and values. Nothing here changes what it checks: a name is right or it is refused.
"""

from __future__ import annotations

import re

from .errors import InvalidBucket, InvalidHeader, InvalidKey, InvalidLink, InvalidMethod, InvalidQuery

METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})
MAX_KEY_BYTES = 1023

_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_PLAIN = re.compile(r"[A-Za-z0-9._~/+ -]*")
_PLAIN_KEY = re.compile(r"[\w~-][\w.~-]*(?:/[\w~-][\w.~-]*)*/?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_method(method: str) -> None:
    """Raises `InvalidMethod` unless `method` is GET, HEAD, PUT, POST or DELETE, in capitals."""
    if method not in METHODS:
        raise InvalidMethod(
            f"{method!r} cannot be signed: use one of GET, HEAD, PUT, POST, DELETE, in capitals.", method=method
        )


def check_bucket(bucket: str) -> None:
    """Raises `InvalidBucket` unless 3 to 63 of a-z, 0-9 and "-", first and last a letter or digit."""
    if not isinstance(bucket, str) or not _BUCKET.fullmatch(bucket):
        raise InvalidBucket(
            f"{bucket!r} is no bucket name: 3 to 63 characters of a-z, 0-9 and -, "
            "beginning and ending with a letter or digit.",
            bucket=bucket,
        )


def is_plain_key(key: str) -> bool:
    """Whether one look tells that the key is right and is its own percent-encoding, as most are."""
    return isinstance(key, str) and len(key) <= MAX_KEY_BYTES and _PLAIN_KEY.fullmatch(key) is not None


def check_key(key: str) -> None:
    """Raises `InvalidKey` unless 1 to 1023 bytes of UTF-8, not beginning with "/" or "\\".

    Also refused, as `unsafe_key`: control characters, "//", and segments "." or "..", since HTTP clients
    rewrite or reject such paths after they were signed.
    """
    if not isinstance(key, str) or not key:
        raise InvalidKey("An object key is a text of 1 to 1023 bytes; this one is empty or no text.", key=key)
    if key[0] in "/\\":
        raise InvalidKey(f"An object key does not begin with {key[0]!r}: leave it out.", key=key)
    if len(key) * 4 > MAX_KEY_BYTES or not key.isascii():
        try:
            size = len(key.encode())
        except UnicodeEncodeError:
            raise InvalidKey("The object key holds half a surrogate pair, which UTF-8 cannot carry.", key=key) from None
        if size > MAX_KEY_BYTES:
            raise InvalidKey(f"The object key is {size} bytes long, {MAX_KEY_BYTES} are allowed.", key=key)
    if "//" in key or ((key[0] == "." or "/." in key) and not {".", ".."}.isdisjoint(key.split("/"))):
        raise InvalidKey(
            'The object key has a segment ".", ".." or "", and HTTP clients rewrite such paths, so the link would '
            "break: copy the object to another key.",
            code="unsafe_key",
            key=key,
        )
    if _CONTROL.search(key):
        raise InvalidKey(
            "The object key holds a control character, which HTTP clients reject: copy the object to another key.",
            code="unsafe_key",
            key=key,
        )


def check_query(name: str, value: str) -> None:
    """Raises `InvalidQuery` for an empty name, a control character, or what UTF-8 cannot carry."""
    if not isinstance(name, str) or not isinstance(value, str) or not name:
        raise InvalidQuery("A query parameter is a non-empty name and a text.", name=name)
    if _PLAIN.fullmatch(name) and _PLAIN.fullmatch(value):
        return
    if _CONTROL.search(name) or _CONTROL.search(value):
        raise InvalidQuery(f"The query parameter {name!r} holds a control character: leave it out.", name=name)
    try:
        name.encode()
        value.encode()
    except UnicodeEncodeError:
        raise InvalidQuery(f"The query parameter {name!r} holds half a surrogate pair.", name=name) from None


def check_header(name: str, value: str) -> None:
    """Raises `InvalidHeader` unless `name` is an RFC 9110 token and `value` visible ASCII without outer blanks.

    Outer blanks are lost on the wire and other characters are encoded differently by every client; either
    would change what was signed.
    """
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise InvalidHeader(f"{name!r} is no header name.", name=name)
    if not isinstance(value, str) or (value and not _FIELD_VALUE.fullmatch(value)):
        raise InvalidHeader(
            f"The value of the header {name} must be visible ASCII with no blank at either end: "
            "percent-encode what is not.",
            name=name,
        )


def parse_oss_url(url: str) -> tuple[str, str]:
    """The bucket and the key of `oss://bucket/key`; the key is "" or ends in "/" for a prefix.

    Raises `InvalidLink` for any other form, `InvalidBucket` and `InvalidKey`.
    """
    bucket, slash, key = url.removeprefix("oss://").partition("/")
    if not url.startswith("oss://") or not slash:
        raise InvalidLink(f"Invalid address {url!r} (expected oss://bucket/key).")
    check_bucket(bucket)
    if key:
        check_key(key)
    return bucket, key
