"""OSS signature version 4 for a URL, step by step in the order and words of the specification.

Source: the OSS page "Include a V4 signature in a URL". Every function is pure. Results that many links share are
cached, and every cache is bounded.
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
# The parameters that every signed URL has.
REQUIRED = (
    "x-oss-signature-version",
    "x-oss-credential",
    "x-oss-date",
    "x-oss-expires",
    "x-oss-signature",
)

# RFC 3986: unreserved characters are kept, every other byte of the UTF-8 becomes %XX; a path keeps its slashes. Bytes
# are looked up as characters of Latin-1, which has one for each.
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]*")
_ENCODED = [
    chr(byte) if _UNRESERVED.fullmatch(chr(byte)) else f"%{byte:02X}" for byte in range(256)
]
_ENCODED_PATH = ["/" if byte == ord("/") else encoded for byte, encoded in enumerate(_ENCODED)]
_ALWAYS_SIGNED = frozenset({"content-type", "content-md5"})


# --- 1. the canonical request ---------------------------------------------------------------------------------


def canonical_request(
    method: str,
    path: str,
    query: str,
    headers: str,
    additional: str,
    payload: str = UNSIGNED_PAYLOAD,
) -> str:
    """Joins the canonical parts below; `headers` is empty or ends with a line feed."""
    #       VERB     /bucket/key  a=b&c    name:value\n  names       hash
    return f"{method}\n{path}\n{query}\n{headers}\n{additional}\n{payload}"


def encode(string: str) -> str:
    """Percent-encodes a name or a value of the query; only RFC 3986's unreserved characters are kept."""
    unreserved = _UNRESERVED.fullmatch(string)
    # Of a string that is written as something else, such as a member of an Enum, this is the value.
    return unreserved[0] if unreserved else string.encode().decode("latin-1").translate(_ENCODED)


def encode_key(key: str) -> str:
    """Percent-encodes an object key; slashes are kept too."""
    return key.encode().decode("latin-1").translate(_ENCODED_PATH)


def canonical_path(bucket: str, encoded_key: str) -> str:
    """`/bucket/key`: the canonical path begins with the bucket, whatever the host is."""
    return f"/{bucket}/{encoded_key}"


def canonical_parameter(name: str, value: str) -> tuple[str, str]:
    """The encoded name, which is the sort key, and `name=value`, or only the name if the value is empty."""
    name = encode(name)
    return name, f"{name}={encode(value)}" if value else name


def canonical_query(parameters: Iterable[tuple[str, str]]) -> str:
    """The canonical parameters, sorted by encoded name (not by the complete pair: "a=" comes before "a-b=")."""
    return "&".join([pair for _, pair in sorted(parameters)])


def is_always_signed(name: str) -> bool:
    """Whether a header with this lower-case name is signed in every request that has it."""
    return name in _ALWAYS_SIGNED or name.startswith("x-oss-")


def canonical_headers(headers: Mapping[str, str]) -> str:
    """The signed headers as sorted lines `name:value`; names are lower-case."""
    return "".join([f"{name}:{headers[name].strip()}\n" for name in sorted(headers)])


def additional_headers(names: Iterable[str]) -> str:
    """The lower-case names of the signed headers that are not always signed, sorted."""
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
    """Four lines: algorithm, timestamp, scope and the hash of the canonical request."""
    digest = hashlib.sha256(request.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{ALGORITHM}\n{issued_at}\n{credential_scope}\n{digest}"


# --- 3. the signature -----------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def signing_key(secret: str, date: str, region: str, product: str = "oss") -> bytes:
    """The key for one day, region and product, derived from the access key secret."""
    key = ("aliyun_v4" + secret).encode()
    for part in (date, region, product, REQUEST):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(key: bytes, string: str) -> str:
    """The hexadecimal HMAC-SHA256 of the string to sign: H(key ^ opad, H(key ^ ipad, string)) of RFC 2104."""
    inner_state, outer_state = _hmac_states(key)
    inner = inner_state.copy()
    inner.update(string.encode())
    outer = outer_state.copy()
    outer.update(inner.digest())
    return outer.hexdigest()


@lru_cache(maxsize=64)
def _hmac_states(key: bytes) -> tuple[HASH, HASH]:
    """Both hashes after a key of at most 64 bytes, the same for all links of a day: a fifth of the time of a link."""
    block = key.ljust(64, b"\0")
    return hashlib.sha256(bytes(byte ^ 0x36 for byte in block)), hashlib.sha256(
        bytes(byte ^ 0x5C for byte in block)
    )
