"""Whether a request may pass: its signature, and the limits that its x-oss-ac-* parameters set."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

from signer.credentials import Credentials
from signer.signed_request import REQUIRED
from signer.verification import Verification, verify_request

from .errors import OssError, invalid_argument
from .incoming import Incoming

# The EC of a query parameter that is missing or malformed, where OSS documents one.
_EC = {
    "x-oss-signature": "0002-00000219",
    "x-oss-additional-headers": "0002-00000076",
    "x-oss-expires": "0002-00000215",
}


def authorize(incoming: Incoming, credentials: Sequence[Credentials], *, region: str, now: float) -> Incoming:
    """The request with the bucket and key that its signature is for. Raises `OssError`."""
    sent = {name: _text(value) for name, value in incoming.headers.items()}
    faulty: list[Verification] = []
    for reading in incoming.readings:
        for known in credentials:
            verification = verify_request(
                incoming.method,
                reading.bucket,
                reading.key,
                incoming.query,
                sent,
                credentials=known,
                now=now,
                region=region,
            )
            if verification.ok:
                _check_source(incoming)
                return replace(incoming, bucket=reading.bucket, key=reading.key)
            faulty.append(verification)
    if not faulty:
        raise OssError(403, "AccessDenied", "This stand-in was started without credentials.")
    # Of several keys, the one that the request names tells best what is wrong.
    named = [verification for verification in faulty if verification.fault != "unknown_access_key"]
    raise refusal((named or faulty)[0], incoming, now)


def refusal(verification: Verification, incoming: Incoming, now: float) -> OssError:
    """OSS's error for the first fault of a request."""
    name, key_id = verification.parameter or "", verification.access_key_id
    match verification.fault:
        case "unsigned":
            message = "You have no right to access this object because of bucket acl."
            return OssError(403, "AccessDenied", message, ec="0003-00000001")
        case "bad_parameter":
            return _unreadable(incoming, name, f"{name} is missing or malformed.", _EC.get(name, ""))
        case "expires_out_of_range":
            return _unreadable(incoming, name, "x-oss-expires must be from 1 to 604800 seconds.", "0002-00000232")
        case "wrong_scope":
            return _unreadable(incoming, name, "The signature is for another region than this one.")
        case "missing_header":
            return _unreadable(incoming, name, f"The signed header {name} is not in the request.", "0002-00000076")
        case "unknown_access_key":
            return invalid_access_key(key_id)
        case "missing_token":
            return invalid_access_key(key_id, is_temporary=True)
        case "wrong_token":
            return invalid_token(key_id)
        case "token_expired":
            return token_expired(key_id)
        case "skewed":
            return skewed(verification.issued_at, now)
        case "expired":
            times = (("Expires", _iso(verification.expires_at)), ("ServerTime", _iso(now)))
            return OssError(403, "AccessDenied", "Request has expired.", ec="0002-00000069", details=times)
        case _:
            return mismatch(
                key_id,
                verification.provided_signature,
                verification.string_to_sign,
                verification.canonical_request,
            )


def invalid_access_key(key_id: str, *, is_temporary: bool = False) -> OssError:
    """403 for an unknown key, and for a temporary one without its token."""
    return OssError(
        403,
        "InvalidAccessKeyId",
        "The OSS Access Key Id you provided does not exist in our records.",
        ec="0002-00000002" if is_temporary else "0002-00000902",
        details=(("OSSAccessKeyId", key_id),),
    )


def invalid_token(key_id: str) -> OssError:
    """403 for a token that is not the key's."""
    return OssError(
        403,
        "InvalidSecurityToken",
        "The security token you provided is invalid.",
        ec="0002-00000006",
        details=(("OSSAccessKeyId", key_id),),
    )


def token_expired(key_id: str) -> OssError:
    """403 for a token whose life is over."""
    return OssError(
        403,
        "SecurityTokenExpired",
        "The security token you provided has expired.",
        ec="0002-00000007",
        details=(("OSSAccessKeyId", key_id),),
    )


def skewed(issued_at: datetime | float | None, now: float) -> OssError:
    """403 for a clock that is more than 15 minutes off."""
    return OssError(
        403,
        "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.",
        ec="0002-00000504",
        details=(
            ("MaxAllowedSkewMilliseconds", "900000"),
            ("RequestTime", _iso(issued_at)),
            ("ServerTime", _iso(now)),
        ),
    )


def mismatch(key_id: str, provided: str, string_to_sign: str, canonical_request: str = "") -> OssError:
    """403 SignatureDoesNotMatch, with all that shows the difference; a form has no canonical request."""
    details = [
        ("OSSAccessKeyId", key_id),
        ("SignatureProvided", provided),
        ("StringToSign", string_to_sign),
        ("StringToSignBytes", string_to_sign.encode().hex(" ").upper()),
    ]
    if canonical_request:
        details += [
            ("CanonicalRequest", canonical_request),
            ("CanonicalRequestBytes", canonical_request.encode().hex(" ").upper()),
        ]
    return OssError(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and signing "
        "method.",
        ec="0002-00000040" if canonical_request else "0002-00000705",
        details=tuple(details),
    )


def _unreadable(incoming: Incoming, name: str, message: str, ec: str = "") -> OssError:
    in_query = any(parameter in REQUIRED for parameter, _ in incoming.query)
    code = "AuthorizationQueryParametersError" if in_query else "InvalidArgument"
    return OssError(400, code, message, ec=ec if in_query else "", details=(("ArgumentName", name),))


def _check_source(incoming: Incoming) -> None:
    """Holds the caller's address against x-oss-ac-source-ip and its mask; a laptop has no VPC to check."""
    limits = incoming.parameters
    if "x-oss-ac-source-ip" not in limits:
        return
    peer = incoming.peer
    if limits.get("x-oss-ac-forward-allow") == "true":
        peer = incoming.headers.get("x-forwarded-for", peer).split(",")[0].strip()
    source, mask = limits["x-oss-ac-source-ip"], limits.get("x-oss-ac-subnet-mask", "")
    try:
        network = ipaddress.ip_network(f"{source}/{mask}" if mask else source, strict=False)
        allowed = ipaddress.ip_address(peer) in network
    except ValueError:
        raise invalid_argument("x-oss-ac-source-ip", source, "This is no address, or no mask of it.") from None
    if not allowed:
        raise OssError(403, "AccessDenied", "The source address is not in the range that was signed.")


def _text(value: str) -> str:
    """A header's value as its signer knew it: clients send UTF-8, WSGI hands on Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _iso(moment: datetime | float | None) -> str:
    if moment is None:
        return ""
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
