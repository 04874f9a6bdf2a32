"""Reads a presigned URL leniently: damage undone, any signature version, missing parts allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import punctuation
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, unquote_plus, urlsplit

from .. import v1
from ..endpoint import is_address, parse_oss_host
from ..errors import InvalidLink
from ..signed_request import REQUIRED, read_timestamp
from .damage import Damage, undo_transport_damage, unwrap

V4 = "V4"
V1 = "V1"
V2 = "V2"
S3_V4 = "S3-compatible V4"
S3_V2 = "S3-compatible V2"
REQUIRED_PARAMETERS = {
    V4: REQUIRED,
    V1: v1.REQUIRED,
    V2: ("x-oss-signature-version", "x-oss-access-key-id", "x-oss-expires", "x-oss-signature"),
    S3_V4: (
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-Signature",
    ),
    S3_V2: ("AWSAccessKeyId", "Expires", "Signature"),
}
# Of the versions that a secret can prove: a complete signature, the beginning of one, and what it is in words.
SIGNATURES = {
    V4: ("[0-9a-f]{64}", "[0-9a-f]{1,63}", "64 hexadecimal digits"),
    V1: ("[A-Za-z0-9+/]{27}=", "[A-Za-z0-9+/]{1,27}(?:%[0-9A-F]?)?", "28 characters of base64"),
}
MAX_LENGTH = 1 << 15  # characters

_TOKENS = ("x-oss-security-token", "security-token", "X-Amz-Security-Token")
_SECRET = re.compile(
    r"signature$|credential|token|access-?key-?id|policy|share|auth_key|secret", re.IGNORECASE
)
_UNSIGNED_TOO = frozenset({"x-oss-process", "x-oss-traffic-limit"})

_Pairs = tuple[tuple[str, str], ...]


# A file name may be an MD5 or a SHA-1.
_END_OF_SIGNATURE = r"(?:(?<![0-9a-f/])|(?<=/)(?!(?:[0-9a-f]{32}|[0-9a-f]{40})$))[0-9a-f]{16,}$"
_END_OF_BASE64 = r"(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])[A-Za-z0-9+/=]{16,}$"


class LenientUrl(NamedTuple):
    """A link as it was meant, with the damages that were undone.

    `query` holds decoded pairs with "+" as a space, as OSS reads it, and `raw_query` the same pairs undecoded.
    `host_kind` is one of public, internal, accelerate, dual-stack, address, custom. `bucket` is None for a custom
    domain. `issued_at` and `expires_at` are Unix seconds, None where the link does not contain them; `expires` is the
    parameter as it stands. `wrapper` is the parameter of another address that held the link, "" without one.
    """

    version: str | None
    scheme: str
    host: str
    host_kind: str
    host_region: str | None
    path: str
    bucket: str | None
    key: str
    query: _Pairs
    raw_query: _Pairs
    access_key_id: str
    region: str | None
    issued_at: int | None
    expires: str
    expires_at: int | None
    damages: tuple[Damage, ...]
    wrapper: str = ""

    def value(self, name: str) -> str:
        """The last value of a parameter, "" if it is missing."""
        return dict(self.query).get(name, "")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, in their order."""
        return tuple(name for name, _ in self.query)

    @property
    def target(self) -> str:
        """The path and query, as a browser sends them; "" for a host of OSS."""
        bucket = f"/{self.bucket}" if self.bucket and self.host_kind == "address" else ""
        target = quote(
            f"{bucket}/{self.path}?{'&'.join(map('='.join, self.raw_query))}", safe=punctuation
        )
        return target if self.host_kind in ("custom", "address") else ""

    @property
    def token(self) -> str:
        """The security token, by the name of any version."""
        return next((self.value(name) for name in _TOKENS if self.value(name)), "")

    @property
    def token_name(self) -> str:
        """The parameter of the security token that the version reads."""
        return v1.TOKEN if self.version == V1 else "x-oss-security-token"

    @property
    def signature_name(self) -> str:
        """The parameter of the signature, "" without a version."""
        return REQUIRED_PARAMETERS[self.version][-1] if self.version else ""

    @property
    def signature(self) -> str:
        """The signature, "" if it is missing. In base64, a space is a plus sign that was decoded."""
        return self.value(self.signature_name)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values of its secret parameters; of a credential, only the key's ID.

        Also what may be the end of one at the end of the path, where its name was cut off, or a CDN's MD5.
        """
        has_mark = all(damage.code != "missing_question_mark" for damage in self.damages)
        ends = _END_OF_SIGNATURE if has_mark else f"{_END_OF_SIGNATURE}|{_END_OF_BASE64}"
        end = re.findall(ends, unquote(self.path))
        digits = (
            re.findall("[0-9a-f]{16,}", self.host + self.target, re.IGNORECASE)
            if not self.version
            else ()
        )
        pairs = [
            (name, value) for name, value in (*self.query, *self.raw_query) if _SECRET.search(name)
        ]
        named = (value for name, value in pairs if "credential" not in name.lower())
        return (self.access_key_id, *end, *digits, *named)

    @property
    def lifetime(self) -> int | None:
        """Seconds from signing to expiry."""
        return (
            self.expires_at - self.issued_at
            if self.expires_at is not None and self.issued_at is not None
            else None
        )

    @property
    def additional_headers(self) -> tuple[str, ...]:
        """The lower-case names of headers that are signed besides those that always are."""
        names = self.value(
            "X-Amz-SignedHeaders" if self.version == S3_V4 else "x-oss-additional-headers"
        )
        return tuple(name for name in names.lower().split(";") if name)


def parse_lenient_url(string: str, bucket: str | None = None) -> LenientUrl:
    """The link in a string; `bucket` names the bucket of a custom domain. Raises `InvalidLink`."""
    if not isinstance(string, str) or not string.strip():
        raise InvalidLink(
            "The link is missing: give the full URL, from https:// to the end of its signature."
        )
    if len(string) > MAX_LENGTH:
        raise InvalidLink(f"The link is longer than {MAX_LENGTH} characters: give the link alone.")
    inner, wrapper = unwrap(as_unicode(string))
    url, damages = undo_transport_damage(inner)
    parts, hostname = _split(url)
    pairs = tuple(part.partition("=")[::2] for part in parts.query.split("&") if part)
    is_v1 = any(name.lower() == "ossaccesskeyid" for name, _ in pairs)
    raw_query = tuple(_restore_case(name, value, is_v1=is_v1) for name, value in pairs)
    if raw_query != pairs:
        damages += (
            Damage("case_changed", "The parameters of the signature are in the wrong case."),
        )
    query = tuple((_decode_plus(name), _decode_plus(value)) for name, value in raw_query)
    oss = parse_oss_host(hostname)
    kind: str = "address" if is_address(hostname) else "custom"
    if oss is not None:
        kind = oss.kind
    owner = oss.bucket if oss else None
    path = parts.path[1:]
    if kind == "address" and bucket is not None and not path.startswith(bucket + "/"):
        owner = bucket
    elif owner is None and kind != "custom":
        owner, _, path = path.partition("/")
    version = _version(query)
    access_key_id, region, issued_at, expires, expires_at = _signature_parts(version, dict(query))
    return LenientUrl(
        version=version,
        scheme=parts.scheme.lower(),
        host=parts.netloc.rpartition("@")[2].lower(),
        host_kind=kind,
        host_region=oss.region if oss else None,
        path=path,
        bucket=unquote(owner) if owner else bucket,
        key=unquote(path, errors="replace"),
        query=query,
        raw_query=raw_query,
        access_key_id=access_key_id,
        region=region,
        issued_at=issued_at,
        expires=expires,
        expires_at=expires_at,
        damages=damages,
        wrapper=wrapper,
    )


def _decode_plus(value: str) -> str:
    return unquote_plus(value, errors="replace")


def _split(url: str) -> tuple[SplitResult, str]:
    """The parts of a URL, and its host without a port. Raises `InvalidLink`."""
    try:
        parts = urlsplit(url)
        hostname = parts.hostname or ""
    except ValueError:
        raise InvalidLink("Invalid URL: copy the full link again.") from None
    if parts.scheme.lower() not in ("http", "https") or not hostname:
        raise InvalidLink("Invalid link: it must start with https:// or http://.")
    return parts, hostname


# What an answer is explained with that has lost its link.
NO_LINK = LenientUrl(
    version=None,
    scheme="",
    host="",
    host_kind="custom",
    host_region=None,
    path="",
    bucket=None,
    key="",
    query=(),
    raw_query=(),
    access_key_id="",
    region=None,
    issued_at=None,
    expires="",
    expires_at=None,
    damages=(),
)


def _restore_case(name: str, value: str, *, is_v1: bool) -> tuple[str, str]:
    """A parameter with the names and fixed values of V4, or the names of V1, in their case."""
    lower = name.lower()
    if is_v1:
        return next((own for own in (*v1.REQUIRED, v1.TOKEN) if own.lower() == lower), name), value
    if (lower == "x-oss-date" and re.fullmatch(r"[0-9TtZz]+", value)) or (
        lower == "x-oss-signature-version" and value.upper() == "OSS4-HMAC-SHA256"
    ):
        return lower, value.upper()
    return (lower if lower in REQUIRED or lower == "x-oss-security-token" else name), value


def is_region(name: str) -> bool:
    """Whether it is spelt as a region; any other may be a piece of a secret."""
    return re.fullmatch(r"(?!.*[0-9a-f]{16})[a-z]{2}-[a-z0-9-]{1,30}", name) is not None


def as_unicode(string: str) -> str:
    """The string with U+FFFD for half a surrogate pair, which stands for a byte of an argument that was not UTF-8."""
    return (
        string
        if string.isascii()
        else string.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    )


def _version(query: _Pairs) -> str | None:
    values = {name.lower(): value for name, value in query}
    if any(name.startswith("x-amz-") for name in values):
        return S3_V4
    if "awsaccesskeyid" in values:
        return S3_V2
    if values.get("x-oss-signature-version") == "OSS2" or "x-oss-access-key-id" in values:
        return V2
    if any(name in values for name in REQUIRED):
        return V4
    # Cut within its first parameters: a token, x-oss-ac-* and the like have no use without a signature.
    if "ossaccesskeyid" in values or {"signature", "expires"} <= set(values) or v1.TOKEN in values:
        return V1
    return (
        V4
        if any(name.startswith("x-oss-") and name not in _UNSIGNED_TOO for name in values)
        else None
    )


def _signature_parts(
    version: str | None, values: Mapping[str, str]
) -> tuple[str, str | None, int | None, str, int | None]:
    """Access key id, region, signing time, expiry parameter and expiry time."""
    if version in (V4, S3_V4):
        credential, date, expires = (
            values.get(name, "") for name in REQUIRED_PARAMETERS[version][1:4]
        )
        access_key_id, _, scope = credential.partition("/")
        region = scope.split("/")[1] if "/" in scope else ""
        issued_at = read_timestamp(date)
        valid = re.fullmatch(r"-?[0-9]{1,11}", expires)
        expires_at = issued_at + int(expires) if issued_at is not None and valid else None
        return access_key_id, region or None, issued_at, expires, expires_at
    identity = {V1: "OSSAccessKeyId", S3_V2: "AWSAccessKeyId", V2: "x-oss-access-key-id"}.get(
        version or "", ""
    )
    expires = values.get("x-oss-expires" if version == V2 else "Expires", "")
    expires_at = int(expires) if re.fullmatch(r"[0-9]{1,11}", expires) else None
    return values.get(identity, ""), None, None, expires, expires_at
