"""OSS signature version 4 for a URL, step by step in the order and words of the specification.

Source: the OSS page "Include a V4 signature in a URL". Every function is pure; what does not change from one
link to the next is cached, and every cache is bounded.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _hashlib import HASH

ALGORITHM = "OSS4-HMAC-SHA256"
REQUEST = "aliyun_v4_request"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"

# RFC 3986: unreserved characters stay, every other byte of the UTF-8 becomes %XX; a path keeps its slashes.
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]*")
_UNRESERVED_PATH = re.compile(r"[A-Za-z0-9._~/-]*")
_ENCODED = [chr(byte) if _UNRESERVED.fullmatch(chr(byte)) else f"%{byte:02X}" for byte in range(256)]
_ENCODED_PATH = ["/" if byte == ord("/") else encoded for byte, encoded in enumerate(_ENCODED)]
_ALWAYS_SIGNED = frozenset({"content-type", "content-md5"})


# --- 1. the canonical request ---------------------------------------------------------------------------------


def canonical_request(
    method: str, path: str, query: str, headers: str, additional: str, payload: str = UNSIGNED_PAYLOAD
) -> str:
    """The canonical request of the canonical parts below; `headers` is empty or ends in a line feed."""
    #       VERB     /bucket/key  a=b&c    name:value\n  names       hash
    return f"{method}\n{path}\n{query}\n{headers}\n{additional}\n{payload}"


def encode(text: str) -> str:
    """Percent-encoding with only RFC 3986's unreserved characters kept: names and values of a query."""
    return text if _UNRESERVED.fullmatch(text) else "".join([_ENCODED[byte] for byte in text.encode()])


def encode_key(key: str) -> str:
    """Percent-encoding of an object key, whose slashes are kept."""
    return key if _UNRESERVED_PATH.fullmatch(key) else "".join([_ENCODED_PATH[byte] for byte in key.encode()])


def canonical_path(bucket: str, encoded_key: str) -> str:
    """`/bucket/key`, whatever the host: the canonical path always begins with the bucket."""
    return f"/{bucket}/{encoded_key}"


def canonical_parameter(name: str, value: str) -> tuple[str, str]:
    """The encoded name, by which parameters are sorted, and `name=value`; an empty value leaves the bare name."""
    name = encode(name)
    return name, f"{name}={encode(value)}" if value else name


def canonical_query(parameters: Iterable[tuple[str, str]]) -> str:
    """The canonical parameters, sorted by encoded name (not by the whole text: "a=" comes before "a-b=")."""
    return "&".join([text for _, text in sorted(parameters)])


def is_always_signed(name: str) -> bool:
    """Whether a header of this lower-case name is signed whenever it is there."""
    return name in _ALWAYS_SIGNED or name.startswith("x-oss-")


def canonical_headers(headers: Mapping[str, str]) -> str:
    """`name:value` lines, sorted, of the headers that are signed; names are lower-case."""
    return "".join([f"{name}:{headers[name].strip()}\n" for name in sorted(headers)])


def additional_headers(names: Iterable[str]) -> str:
    """The lower-case names of headers signed beyond those that always are, sorted."""
    return ";".join(sorted(names))


# --- 2. the string to sign ------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def timestamp(issued: int) -> str:
    """Unix seconds as `YYYYMMDDThhmmssZ`, in UTC."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(issued))


def scope(date: str, region: str, product: str = "oss") -> str:
    """`YYYYMMDD/region/product/aliyun_v4_request`."""
    return f"{date}/{region}/{product}/{REQUEST}"


def string_to_sign(issued_at: str, credential_scope: str, request: str) -> str:
    """Algorithm, timestamp, scope and the hash of the canonical request, a line each."""
    digest = hashlib.sha256(request.encode()).hexdigest()
    return f"{ALGORITHM}\n{issued_at}\n{credential_scope}\n{digest}"


# --- 3. the signature -----------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def signing_key(secret: str, date: str, region: str, product: str = "oss") -> bytes:
    """The key of one day, region and product, derived from the access key's secret."""
    key = ("aliyun_v4" + secret).encode()
    for part in (date, region, product, REQUEST):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(key: bytes, text: str) -> str:
    """The hexadecimal HMAC-SHA256 of the string to sign under a signing key.

    It is H(key ^ opad, H(key ^ ipad, text)) of RFC 2104.
    """
    with_ipad, with_opad = _begun(key)
    inner = with_ipad.copy()
    inner.update(text.encode())
    outer = with_opad.copy()
    outer.update(inner.digest())
    return outer.hexdigest()


@lru_cache(maxsize=64)
def _begun(key: bytes) -> tuple[HASH, HASH]:
    """Both hashes with a key of at most 64 bytes already in them, which all links of a day have in common."""
    block = key.ljust(64, b"\0")
    return hashlib.sha256(bytes(byte ^ 0x36 for byte in block)), hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
