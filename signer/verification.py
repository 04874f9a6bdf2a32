"""Verifies a signed request with the steps of signing, in the order in which OSS checks them.

Sources: the OSS pages "Include a V4 signature in a URL", "Include a V4 signature in the Authorization header", and
the same two of V1.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from . import v1, v4
from .credentials import Credentials
from .endpoint import PRODUCTS, Endpoint, check_endpoint
from .errors import InvalidBucket, InvalidHeader, InvalidMethod, check_type, string_pairs
from .link import MAX_EXPIRES_IN, check_access_key, seconds
from .signed_request import (
    REQUIRED,
    Fault,
    parse_header_signature,
    parse_query_signature,
    parse_url,
    read_http_date,
    read_timestamp,
)
from .times import utc

SKEW = 900  # seconds


class Verification(NamedTuple):
    """The result for a signed request; `faults` are in the order in which OSS reports them.

    `canonical_request` and `string_to_sign` are those that a server computes, empty if a part of the signature cannot
    be read. They contain the token, so `repr` leaves them out. V1 has no canonical request, its URLs no time.
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
        """Whether OSS would accept the request."""
        return not self.faults

    @property
    def fault(self) -> str | None:
        """The code of the first fault."""
        return self.faults[0].code if self.faults else None

    @property
    def parameter(self) -> str | None:
        """The parameter or header of the first fault."""
        return self.faults[0].parameter if self.faults else None

    @property
    def signature(self) -> bool:
        """Whether these credentials make the same signature."""
        others = ("signature_mismatch", "unknown_access_key")
        return bool(self.string_to_sign) and not any(fault.code in others for fault in self.faults)

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
    """Verifies a presigned URL, signed with V4 or V1, with the credentials that signed it.

    `headers` are those that the request will carry besides `Host`. `endpoint` says where the bucket is in the URL;
    without it, the host does. A custom domain does not contain its bucket, so `bucket` is required.
    Raises `InvalidLink` unless `url` is the URL of an object.
    """
    check_type("method", method, str, InvalidMethod)
    check_access_key(credentials)
    if endpoint is not None:
        check_endpoint(endpoint)
    if bucket is not None:
        check_type("bucket name", bucket, str, InvalidBucket)
    parsed = parse_url(url, endpoint=endpoint, bucket=bucket)
    region = endpoint.region if endpoint else None
    sent = {"host": parsed.host}
    for name, value in string_pairs("headers", headers, InvalidHeader):
        sent[name.lower()] = value
    return verify_request(
        method,
        parsed.bucket,
        parsed.key,
        parsed.query,
        sent,
        credentials=credentials,
        now=now,
        region=region,
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
    """Verifies a request as OSS receives it, signed in its query or in its Authorization header.

    `key` is decoded once, "" for a request to the bucket; `bucket` is "" for a request to the service. `query` holds
    decoded pairs, `headers` names in any case. With `region`, a signature for another region is a fault. OSS does not
    check the body: x-oss-content-sha256 can only be UNSIGNED-PAYLOAD, and a V4 signature in the header requires it.
    """
    sent = {name.lower(): value for name, value in headers.items()}
    clock = seconds(now)
    parameters = dict(query)
    if any(name in parameters for name in REQUIRED):
        parts = parse_query_signature(parameters)
        signed_query = [(name, value) for name, value in query if name != "x-oss-signature"]
        if len(query) - len(signed_query) > 1:
            # This parameter alone is not signed; a duplicate of any other is a mismatch.
            parts = parts._replace(
                faults=(*parts.faults, Fault("bad_parameter", "x-oss-signature"))
            )
    elif sent.get("authorization", "").startswith(v4.ALGORITHM + " "):
        parts = parse_header_signature(sent)
        signed_query = list(query)
    elif (
        _has_v1_header(sent)
        or "OSSAccessKeyId" in parameters
        or {"Expires", "Signature"} <= parameters.keys()
    ):
        return _verify_v1(method, bucket, key, query, sent, credentials, clock)
    else:
        return Verification((Fault("unsigned"),))
    if (
        sent.get("x-oss-content-sha256", v4.UNSIGNED_PAYLOAD if parts.in_query else "")
        != v4.UNSIGNED_PAYLOAD
    ):
        parts = parts._replace(
            faults=(*parts.faults, Fault("bad_parameter", "x-oss-content-sha256"))
        )
    if parts.faults:
        return Verification(
            parts.faults, access_key_id=parts.access_key_id, provided_signature=parts.signature
        )

    faults: list[Fault] = []
    if parts.expires is not None and not 1 <= parts.expires <= MAX_EXPIRES_IN:
        faults.append(Fault("expires_out_of_range", "x-oss-expires"))
    if region is not None and parts.region != region:
        faults.append(Fault("wrong_scope", parts.location("credential")))
    if parts.product not in PRODUCTS:
        faults.append(Fault("wrong_product", parts.location("credential")))
    if not _is_equal(parts.access_key_id, credentials.access_key_id):
        faults.append(Fault("unknown_access_key", parts.location("credential")))
    else:
        faults.extend(_token_faults("x-oss-security-token", parts.token, credentials, clock))
    expires_at = parts.issued + parts.expires if parts.expires is not None else None
    if parts.issued > clock + SKEW or (expires_at is None and parts.issued < clock - SKEW):
        faults.append(Fault("skewed", "x-oss-date"))
    if expires_at is not None and clock >= expires_at:
        faults.append(Fault("expired", "x-oss-expires"))
    faults.extend(Fault("missing_header", name) for name in parts.additional if name not in sent)

    signed = {n: v for n, v in sent.items() if v4.is_always_signed(n) or n in parts.additional}
    request = v4.canonical_request(
        method,
        v4.canonical_path(bucket, v4.encode_key(key)) if bucket else "/",
        v4.canonical_query(v4.canonical_parameter(name, value) for name, value in signed_query),
        v4.canonical_headers(signed),
        v4.additional_headers(parts.additional),
    )
    scope = v4.scope(parts.date, parts.region, parts.product)
    # OSS's Go SDK 3 signs a Date header as it is sent, the specification says the ISO 8601 form: both are accepted.
    timestamps = dict.fromkeys((parts.issued_at, v4.timestamp(parts.issued)))
    candidates = [v4.string_to_sign(timestamp, scope, request) for timestamp in timestamps]
    signing_key = v4.signing_key(
        credentials.access_key_secret, parts.date, parts.region, parts.product
    )
    if not any(
        _is_equal(v4.signature(signing_key, candidate), parts.signature) for candidate in candidates
    ):
        faults.append(Fault("signature_mismatch", parts.location("signature")))
    signed_by = parts.access_key_id, parts.signature, utc(parts.issued), utc(expires_at)
    return Verification(tuple(faults), request, candidates[0], *signed_by)


def _verify_v1(
    method: str,
    bucket: str,
    key: str,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    credentials: Credentials,
    clock: int,
) -> Verification:
    parameters = dict(query)
    names = [name for name, _ in query]
    issued = expires = None
    if _has_v1_header(headers):
        places = ("authorization", "date", "authorization")
        key_id, _, signature = headers["authorization"].partition(" ")[2].partition(":")
        date = headers.get("x-oss-date") or headers.get("date", "")
        issued = read_http_date(date) or read_timestamp(date)
        bad = (
            []
            if re.fullmatch(r"\S+", key_id) and re.fullmatch(r"\S+", signature)
            else ["authorization"]
        )
        bad += [] if issued else ["date"]
        token_name = "x-oss-security-token"  # noqa: S105 - a name of a parameter
        token = headers.get("x-oss-security-token", "")
    else:
        places = v1.REQUIRED
        key_id, date, signature = (parameters.get(name, "") for name in places)
        expires = int(date) if re.fullmatch("[0-9]{1,11}", date) else None
        bad = [
            n
            for n in places
            if not parameters.get(n) or names.count(n) > 1 or (n == "Expires" and expires is None)
        ]
        token_name = v1.TOKEN
        token = parameters.get(v1.TOKEN, "")
    if bad:
        faults = [Fault("bad_parameter", name) for name in bad]
        return Verification(tuple(faults), access_key_id=key_id, provided_signature=signature)
    if not _is_equal(key_id, credentials.access_key_id):
        faults = [Fault("unknown_access_key", places[0])]
    else:
        faults = list(_token_faults(token_name, token, credentials, clock))
    if issued is not None and abs(issued - clock) > SKEW:
        faults.append(Fault("skewed", places[1]))
    if expires is not None and clock >= expires:
        faults.append(Fault("expired", places[1]))
    string_to_sign = v1.string_to_sign(
        method, headers, date, v1.canonicalized_resource(bucket, key, query)
    )
    if not _is_equal(v1.signature(credentials.access_key_secret, string_to_sign), signature):
        faults.append(Fault("signature_mismatch", places[2]))
    return Verification(
        faults=tuple(faults),
        canonical_request="",
        string_to_sign=string_to_sign,
        access_key_id=key_id,
        provided_signature=signature,
        issued_at=utc(issued),
        expires_at=utc(expires),
    )


def _has_v1_header(headers: Mapping[str, str]) -> bool:
    return headers.get("authorization", "").partition(" ")[0] == v1.SCHEME


def _token_faults(
    parameter: str, token: str, credentials: Credentials, clock: int
) -> Iterable[Fault]:
    if credentials.security_token is None and credentials.access_key_id.startswith("STS."):
        return  # a temporary key has a token, but here it is not known
    if credentials.security_token and not token:
        yield Fault("missing_token", parameter)
    elif not _is_equal(token, credentials.security_token or ""):
        yield Fault("wrong_token", parameter)
    elif credentials.expires_at is not None and clock >= seconds(credentials.expires_at):
        yield Fault("token_expired", parameter)


def _is_equal(one: str, other: str) -> bool:
    return hmac.compare_digest(
        one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    )
