"""Who sent a request: its signature, version 3 (ACS3) or 1, with its time, nonce and token."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import NamedTuple

from ... import acs3, v4
from ...times import parse_rfc3339, rfc3339
from ..ram import Principal, Principals
from . import errors, signature_v1
from .incoming import StsRequest
from .nonces import Nonces

MAX_SKEW = 15 * 60  # seconds

_REQUIRED_V1 = ("AccessKeyId", "SignatureMethod", "SignatureNonce", "Timestamp", "Signature")
_REQUIRED_V3 = {
    "host": "Host",
    "x-acs-content-sha256": "ContentSha256",
    "x-acs-date": "Timestamp",
    "x-acs-signature-nonce": "SignatureNonce",
}


class _Signature(NamedTuple):
    access_key_id: str
    security_token: str
    timestamp: str
    nonce: str
    provided: str
    string_to_sign: str
    sign: Callable[[str, str], str]


def authenticate(
    request: StsRequest, principals: Principals, nonces: Nonces, now: float
) -> Principal:
    """The principal whose key signed the request. Raises `StsError`."""
    signature = _read_v3(request) if request.is_v3 else _read_v1(request)
    _check_time(signature.timestamp, now)
    principal = principals.find(signature.access_key_id)
    if principal is None:
        raise errors.StsError("InvalidAccessKeyId.NotFound")
    _check_token(signature.security_token, principal, now)
    expected = signature.sign(principal.credentials.access_key_secret, signature.string_to_sign)
    if not hmac.compare_digest(expected.encode(), signature.provided.encode()):
        raise errors.signature_mismatch(signature.string_to_sign)
    if not nonces.use(signature.access_key_id, signature.nonce, now):
        raise errors.StsError("SignatureNonceUsed")
    return principal


def _read_v1(request: StsRequest) -> _Signature:
    params = request.parameters
    for name in _REQUIRED_V1:
        if not params.get(name):
            raise errors.missing(name)
    if params["SignatureMethod"] != signature_v1.METHOD:
        raise errors.not_valid("SignatureMethod")
    return _Signature(
        access_key_id=params["AccessKeyId"],
        security_token=params.get("SecurityToken", ""),
        timestamp=params["Timestamp"],
        nonce=params["SignatureNonce"],
        provided=params["Signature"],
        string_to_sign=signature_v1.string_to_sign(request.method, params),
        sign=signature_v1.signature,
    )


def _read_v3(request: StsRequest) -> _Signature:
    headers = request.headers
    for name, parameter in _REQUIRED_V3.items():
        if not headers.get(name):
            raise errors.missing(parameter)
    authorization = acs3.Authorization.parse(headers["authorization"])
    # Every header that matters must be signed, or it could be changed on the way. The type of no content does not.
    required = {
        name
        for name in headers
        if acs3.is_signed(name) and (request.body or name != "content-type")
    }
    if authorization is None or required - {*authorization.signed_headers}:
        raise errors.StsError("IncompleteSignature")
    names = set(authorization.signed_headers)
    payload = acs3.payload_hash(request.body)
    if names - headers.keys() or headers["x-acs-content-sha256"] != payload:
        raise errors.StsError("IncompleteSignature")
    canonical_request = acs3.canonical_request(
        request.method,
        request.path,
        acs3.canonical_query(request.query),
        v4.canonical_headers({name: headers[name] for name in names}),
        v4.additional_headers(names),
        payload,
    )
    return _Signature(
        access_key_id=authorization.access_key_id,
        security_token=headers.get("x-acs-security-token", ""),
        timestamp=headers["x-acs-date"],
        nonce=headers["x-acs-signature-nonce"],
        provided=authorization.signature,
        string_to_sign=acs3.string_to_sign(canonical_request),
        sign=acs3.signature,
    )


def _check_time(timestamp: str, now: float) -> None:
    issued = parse_rfc3339(timestamp)
    if issued is None or rfc3339(issued) != timestamp:
        raise errors.StsError("InvalidTimeStamp.Format")
    if abs(now - issued) > MAX_SKEW:
        raise errors.StsError("InvalidTimeStamp.Expired")


def _check_token(token: str, principal: Principal, now: float) -> None:
    expected = principal.credentials.security_token or ""
    if expected and not token:
        raise errors.missing("SecurityToken")
    if not hmac.compare_digest(expected.encode(), token.encode()):
        raise errors.StsError("InvalidSecurityToken.MismatchWithAccessKey")
    if principal.expires_at is not None and now >= principal.expires_at:
        raise errors.StsError("InvalidSecurityToken.Expired")
