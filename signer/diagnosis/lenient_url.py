"""What a presigned URL says of itself: version, object, host, times and parameters, leniently read."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus, urlsplit

from ..errors import InvalidLink
from ..signed_request import REQUIRED, read_timestamp
from .damage import Damage, mend

V4 = "V4"
V1 = "V1"
V2 = "V2"
S3_V4 = "S3-compatible V4"
S3_V2 = "S3-compatible V2"
# A link holds all of these; each version has names of its own.
PARTS = {
    V4: REQUIRED,
    V1: ("OSSAccessKeyId", "Expires", "Signature"),
    V2: ("x-oss-signature-version", "x-oss-access-key-id", "x-oss-expires", "x-oss-signature"),
    S3_V4: ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Signature"),
    S3_V2: ("AWSAccessKeyId", "Expires", "Signature"),
}
TOKENS = ("x-oss-security-token", "security-token", "X-Amz-Security-Token")

_HOST = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9-]{1,61}[a-z0-9])\.)?"
    r"(?:(?P<accelerate>oss-accelerate(?:-overseas)?)|(?:oss|s3\.oss)-(?P<region>[a-z0-9-]+?)(?P<internal>-internal)?"
    r"|(?P<dual>[a-z0-9-]+)\.oss)\.aliyuncs\.com"
)
LONGEST = 1 << 15  # characters

_UNSIGNED_TOO = frozenset({"x-oss-process", "x-oss-traffic-limit"})
_ADDRESS = re.compile(r"localhost|[0-9.]+|.*:.*")


class Reading(NamedTuple):
    """A link as it is meant.

    `query` holds decoded pairs with "+" as a blank, as OSS reads it, and `raw_query` the same pairs undecoded.
    `host_kind` is one of public, internal, accelerate, dual-stack, address, custom. `bucket` is None where the
    domain does not tell it. `issued` and `ends` are Unix seconds, None where the link does not say.
    """

    version: str | None
    scheme: str
    host: str
    host_kind: str
    host_region: str | None
    path: str
    bucket: str | None
    key: str
    query: tuple[tuple[str, str], ...]
    raw_query: tuple[tuple[str, str], ...]
    access_key_id: str
    region: str | None
    issued: int | None
    expires: str
    ends: int | None
    damages: tuple[Damage, ...]

    def value(self, name: str) -> str:
        """The last value of a parameter, "" where there is none."""
        return dict(self.query).get(name, "")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters as they stand."""
        return tuple(name for name, _ in self.query)

    @property
    def token(self) -> str:
        """The security token, by whichever name."""
        return next((self.value(name) for name in TOKENS if self.value(name)), "")

    @property
    def lifetime(self) -> int | None:
        """Seconds that the link was made for."""
        return self.ends - self.issued if self.ends is not None and self.issued is not None else None

    @property
    def additional(self) -> tuple[str, ...]:
        """The names of headers that are signed beyond those that always are."""
        named = self.value("X-Amz-SignedHeaders" if self.version == S3_V4 else "x-oss-additional-headers")
        return tuple(name for name in named.lower().split(";") if name)


def read(text: str, bucket: str | None = None) -> Reading:
    """The link that stands in a text. Raises `InvalidLink` where none does."""
    if not isinstance(text, str) or not text.strip():
        raise InvalidLink("There is no link: give the whole URL, from https:// to the end of its signature.")
    if len(text) > LONGEST:
        raise InvalidLink(f"This is longer than any link ({LONGEST} characters): give the link alone.")
    mended = mend(text)
    try:
        parts = urlsplit(mended.url)
        host = parts.netloc.rpartition("@")[2].lower()
        name = parts.hostname or ""
    except ValueError:
        raise InvalidLink("This is no URL: copy the link again, whole.") from None
    if parts.scheme.lower() not in ("http", "https") or not name:
        raise InvalidLink("This is no web address: a link begins with https:// or http://.")
    damages = list(mended.damages)
    raw_query = _pairs(parts.query)
    lowered = _restored_case(raw_query)
    if lowered is not None:
        raw_query = lowered
        damages.append(Damage("case_changed", "The signature's own parameters are in the wrong case."))
    query = tuple((unquote_plus(n, errors="replace"), unquote_plus(v, errors="replace")) for n, v in raw_query)
    kind, host_region, owner = _host(name)
    path = parts.path[1:]
    if kind == "address" or (owner is None and kind not in ("custom", "address")):
        if bucket is None or kind != "address" or path.startswith(bucket + "/"):
            owner, _, path = path.partition("/")
        else:
            owner = bucket
    return _with_times(
        Reading(
            version=_version(query),
            scheme=parts.scheme.lower(),
            host=host,
            host_kind=kind,
            host_region=host_region,
            path=path,
            bucket=unquote(owner) if owner else bucket,
            key=unquote(path, errors="replace"),
            query=query,
            raw_query=raw_query,
            access_key_id="",
            region=None,
            issued=None,
            expires="",
            ends=None,
            damages=tuple(damages),
        )
    )


def _pairs(query: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part))


def _restored_case(query: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...] | None:
    """The query with V4's own names and fixed values in their case, None where they are already."""
    fixed = []
    for name, value in query:
        low = name.lower()
        if low == "x-oss-date" or (low == "x-oss-signature-version" and value.upper() == "OSS4-HMAC-SHA256"):
            name, value = low, value.upper()
        elif low in REQUIRED or low == "x-oss-security-token":
            name = low
        fixed.append((name, value))
    return tuple(fixed) if tuple(fixed) != query else None


def _version(query: tuple[tuple[str, str], ...]) -> str | None:
    values = {name.lower(): value for name, value in query}
    if any(name.startswith("x-amz-") for name in values):
        return S3_V4
    if "awsaccesskeyid" in values:
        return S3_V2
    if values.get("x-oss-signature-version") == "OSS2" or "x-oss-access-key-id" in values:
        return V2
    if any(name in values for name in REQUIRED):
        return V4
    if "ossaccesskeyid" in values or {"signature", "expires"} <= set(values):
        return V1
    # A link that was cut within its first parameters: x-oss-ac-* and the like are of no use without a signature.
    return V4 if any(name.startswith("x-oss-") and name not in _UNSIGNED_TOO for name in values) else None


def _host(name: str) -> tuple[str, str | None, str | None]:
    """Kind, region and bucket of a host's name."""
    found = _HOST.fullmatch(name)
    if found:
        owner = found["bucket"]
        if found["accelerate"]:
            return "accelerate", None, owner
        if found["dual"]:
            return "dual-stack", found["dual"], owner
        return ("internal" if found["internal"] else "public"), found["region"], owner
    return ("address" if _ADDRESS.fullmatch(name) else "custom"), None, None


def _with_times(reading: Reading) -> Reading:
    value = reading.value
    if reading.version in (V4, S3_V4):
        prefix = "x-oss-" if reading.version == V4 else "X-Amz-"
        names = ("credential", "date", "expires") if reading.version == V4 else ("Credential", "Date", "Expires")
        credential, issued_at, expires = (value(prefix + name) for name in names)
        access_key_id, _, scope = credential.partition("/")
        region = scope.split("/")[1] if scope.count("/") >= 1 else None
        issued = read_timestamp(issued_at)
        whole = re.fullmatch(r"-?[0-9]{1,11}", expires) is not None
        ends = issued + int(expires) if issued is not None and whole else None
        return reading._replace(
            access_key_id=access_key_id, region=region or None, issued=issued, expires=expires, ends=ends
        )
    identity = {V1: "OSSAccessKeyId", S3_V2: "AWSAccessKeyId", V2: "x-oss-access-key-id"}.get(reading.version or "", "")
    expires = value("x-oss-expires" if reading.version == V2 else "Expires")
    ends = int(expires) if re.fullmatch(r"[0-9]{1,11}", expires) else None
    return reading._replace(access_key_id=value(identity), expires=expires, ends=ends)
