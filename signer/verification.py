"""What holds of a signed request: the same steps as signing, in the order in which OSS looks.

Sources: the OSS pages "Include a V4 signature in a URL" and "Include a V4 signature in the Authorization header".
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import NamedTuple

from . import v4
from .credentials import Credentials
from .endpoint import Endpoint
from .link import MAX_EXPIRES_IN, seconds
from .signed_request import REQUIRED, Fault, PresentedSignature, header_signature, query_signature, read_url

SKEW = 900  # seconds


class Verification(NamedTuple):
    """What holds of a signed request; `faults` are in the order in which OSS reports them.

    `canonical_request` and `string_to_sign` are the server's, empty where a part of the signature could not be
    read. They hold the token, so `repr` leaves them out.
    """

    faults: tuple[Fault, ...]
    canonical_request: str = ""
    string_to_sign: str = ""
    access_key_id: str = ""
    provided_signature: str = ""
    issued_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def ok(self) -> bool:
        """Whether OSS would let the request through."""
        return not self.faults

    @property
    def fault(self) -> str | None:
        """The code of the first fault."""
        return self.faults[0].code if self.faults else None

    @property
    def parameter(self) -> str | None:
        """What the first fault is about."""
        return self.faults[0].parameter if self.faults else None

    def _holds(self, *codes: str) -> bool:
        return bool(self.canonical_request) and not any(fault.code in codes for fault in self.faults)

    @property
    def signature(self) -> bool:
        """Whether the signature is the one that these credentials make."""
        return self._holds("signature_mismatch", "unknown_access_key")

    @property
    def expiry(self) -> bool:
        """Whether the link has not ended, and has an expiry that OSS takes."""
        return self._holds("expired", "expires_out_of_range")

    @property
    def skew(self) -> bool:
        """Whether the signing time is at most 15 minutes ahead (either way for an Authorization header)."""
        return self._holds("skewed")

    @property
    def token(self) -> bool:
        """Whether the security token is the credentials' own and has not ended, or neither has one."""
        return self._holds("missing_token", "wrong_token", "token_expired", "unknown_access_key")

    @property
    def headers(self) -> bool:
        """Whether every additional header that was signed is there."""
        return self._holds("missing_header")

    def __repr__(self) -> str:
        return f"Verification(ok={self.ok}, faults={self.faults!r}, expires_at={self.expires_at!r})"


def verify(
    method: str,
    url: str,
    *,
    credentials: Credentials,
    headers: Mapping[str, str] | None = None,
    now: datetime | float | None = None,
    endpoint: Endpoint | None = None,
    bucket: str | None = None,
) -> Verification:
    """What holds of a presigned URL that these credentials are said to have signed.

    `headers` are those that the request will carry besides `Host`. `endpoint` tells where the bucket stands in
    the URL; without it, the host does. A custom domain carries no bucket, so `bucket` names it.
    Raises `InvalidLink` where the text is no URL of an object.
    """
    presented = read_url(url, endpoint=endpoint, bucket=bucket)
    sent = {"host": presented.host, **{name.lower(): value for name, value in (headers or {}).items()}}
    return verify_request(
        method,
        presented.bucket,
        presented.key,
        presented.query,
        sent,
        credentials=credentials,
        now=now,
        region=endpoint.region if endpoint else None,
    )


def verify_request(
    method: str,
    bucket: str,
    key: str,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    *,
    credentials: Credentials,
    now: datetime | float | None = None,
    region: str | None = None,
) -> Verification:
    """What holds of a request as OSS receives it, signed in its query or in its Authorization header.

    `key` is decoded once, "" for a request of the bucket; `bucket` is "" for one of the service. `query` holds
    decoded pairs, `headers` names in any case. With `region`, a signature for another region is a fault.
    """
    sent = {name.lower(): value for name, value in headers.items()}
    clock = seconds(now)
    own = dict(query)
    if any(name in own for name in REQUIRED):
        parts = query_signature(own)
        signed_query = [(name, value) for name, value in query if name != "x-oss-signature"]
        if len(query) - len(signed_query) > 1:
            # The one parameter that is not signed; any other one given twice is a mismatch.
            parts = parts._replace(faults=(*parts.faults, Fault("bad_parameter", "x-oss-signature")))
    elif sent.get("authorization", "").startswith(v4.ALGORITHM + " "):
        parts = header_signature(sent)
        signed_query = list(query)
    else:
        return Verification((Fault("unsigned"),))
    if parts.faults:
        return Verification(parts.faults, access_key_id=parts.access_key_id, provided_signature=parts.signature)

    faults: list[Fault] = []
    if parts.expires is not None and not 1 <= parts.expires <= MAX_EXPIRES_IN:
        faults.append(Fault("expires_out_of_range", "x-oss-expires"))
    if not _same(parts.access_key_id, credentials.access_key_id):
        faults.append(Fault("unknown_access_key", parts.where("credential")))
    else:
        faults.extend(_token_faults(parts, credentials, clock))
    if region is not None and parts.region != region:
        faults.append(Fault("wrong_scope", parts.where("credential")))
    ends = parts.issued + parts.expires if parts.expires is not None else None
    if parts.issued > clock + SKEW or (ends is None and parts.issued < clock - SKEW):
        faults.append(Fault("skewed", "x-oss-date"))
    if ends is not None and clock >= ends:
        faults.append(Fault("expired", "x-oss-expires"))
    faults.extend(Fault("missing_header", name) for name in parts.additional if name not in sent)

    signed = {n: v for n, v in sent.items() if v4.is_always_signed(n) or n in parts.additional}
    request = v4.canonical_request(
        method,
        v4.canonical_path(bucket, v4.encode_key(key)) if bucket else "/",
        v4.canonical_query(v4.canonical_parameter(name, value) for name, value in signed_query),
        v4.canonical_headers(signed),
        v4.additional_headers(parts.additional),
        sent.get("x-oss-content-sha256", v4.UNSIGNED_PAYLOAD),
    )
    text = v4.string_to_sign(parts.issued_at, v4.scope(parts.date, parts.region, parts.product), request)
    key_of_day = v4.signing_key(credentials.access_key_secret, parts.date, parts.region, parts.product)
    if not _same(v4.signature(key_of_day, text), parts.signature):
        faults.append(Fault("signature_mismatch", parts.where("signature")))
    return Verification(
        tuple(faults),
        request,
        text,
        parts.access_key_id,
        parts.signature,
        _utc(parts.issued),
        _utc(ends) if ends is not None else None,
    )


def _token_faults(parts: PresentedSignature, credentials: Credentials, clock: int) -> Iterable[Fault]:
    if credentials.security_token and not parts.token:
        yield Fault("missing_token", "x-oss-security-token")
    elif not _same(parts.token, credentials.security_token or ""):
        yield Fault("wrong_token", "x-oss-security-token")
    elif credentials.expires_at is not None and clock >= seconds(credentials.expires_at):
        yield Fault("token_expired", "x-oss-security-token")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def _utc(moment: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(moment, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
