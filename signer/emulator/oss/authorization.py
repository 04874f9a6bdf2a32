"""Who sends a request: its signature, and the limits that its x-oss-ac-* parameters set."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

from ... import Credentials, v1, v4
from ...link import MAX_EXPIRES_IN
from ...signed_request import REQUIRED, Fault
from ...verification import Verification, verify_request
from ..ram import Principal
from .errors import OssError, invalid_argument, not_implemented
from .incoming import OssRequest, Resource
from .operations import SIGNATURE
from .responses import iso_date
from .service import Service

# The EC of a query parameter or header that is missing or malformed, where OSS documents one.
_EC = {
    "x-oss-signature": "0002-00000219",
    "x-oss-additional-headers": "0002-00000076",
    "x-oss-expires": "0002-00000215",
    "x-oss-credential": "0002-00000224",
}
_V1_MESSAGE = (
    "Query-string authentication requires the Signature, Expires and OSSAccessKeyId parameters."
)
# Of V1: the message, and the EC of what is missing, empty and malformed.
_EC_V1 = {
    "Expires": (_V1_MESSAGE, "0002-00000067", "0002-00000068", "0002-00000070"),
    "OSSAccessKeyId": (_V1_MESSAGE, "0002-00000071", "0002-00000072", ""),
    "Signature": (_V1_MESSAGE, "0002-00000074", "0002-00000075", ""),
    "date": (
        "OSS authentication requires a valid Date.",
        "0002-00000503",
        "0002-00000503",
        "0002-00000502",
    ),
}
_UNKNOWN_KEY = "The OSS Access Key Id you provided does not exist in our records."
_DENIALS = {
    "unsigned": (
        "AccessDenied",
        "You have no right to access this object because of bucket acl.",
        "0003-00000001",
    ),
    "unknown_access_key": ("InvalidAccessKeyId", _UNKNOWN_KEY, "0002-00000902"),
    "missing_token": ("InvalidAccessKeyId", _UNKNOWN_KEY, "0002-00000002"),
    "wrong_token": (
        "InvalidSecurityToken",
        "The security token you provided is invalid.",
        "0002-00000006",
    ),
    "token_expired": (
        "SecurityTokenExpired",
        "The security token you provided has expired.",
        "0002-00000007",
    ),
}
# Schemes and parameters of OSS's signature V2, and of S3's, which OSS accepts too.
_OTHER_SCHEMES = ("OSS2", "AWS", "AWS4-HMAC-SHA256")
_OTHER_PARAMETERS = ("x-oss-access-key-id", "X-Amz-Signature", "AWSAccessKeyId")


def authorize(request: OssRequest, service: Service) -> tuple[OssRequest, Principal]:
    """The request with the bucket and key that its signature is for, and who signed it. Raises `OssError`."""
    _check_one_signature(request)
    if not service.settings.accepts_v1 and _is_v1(request):
        message = "Signature version 1 is no longer supported. Sign with version 4."
        raise _denied("AccessDenied", message, "0002-00000080")
    headers = {name: _decoded(value) for name, value in request.headers.items()}
    now = service.now()
    failures: list[Verification] = []
    for resource in request.resources:
        verification, principal = _verify(request, headers, resource, service, now)
        if principal is not None and verification.ok:
            _check_moved_clock(verification, request, resource.bucket, service, now)
            if not _meets_limits(request):
                raise _mismatch(verification, request)
            return replace(request, bucket=resource.bucket, key=resource.key), principal
        failures.append(verification)
    first = request.resources[0]
    is_creation = (
        request.method == "PUT" and not first.key and request.params.keys() <= SIGNATURE | {"acl"}
    )
    if failures[0].fault in ("unsigned", "unknown_access_key") and first.bucket and not is_creation:
        service.bucket(first.bucket)  # OSS reports a missing one first
    raise refusal(failures[0], request, now)


def _check_moved_clock(
    verification: Verification, request: OssRequest, bucket: str, service: Service, now: float
) -> None:
    """Raises `OssError` if a link has expired by the clock that a test moved."""
    expires_at = verification.expires_at
    if expires_at is None:
        return
    issued_at = verification.issued_at
    moved = now + service.settings.observer.elapsed(
        bucket, issued_at.timestamp() if issued_at else None
    )
    if moved >= expires_at.timestamp():
        expired = verification._replace(faults=(Fault("expired"),))
        raise refusal(expired, request, moved)


def _verify(
    request: OssRequest,
    headers: Mapping[str, str],
    resource: Resource,
    service: Service,
    now: float,
) -> tuple[Verification, Principal | None]:
    signed = request.method, resource.bucket, resource.key, request.query, headers
    verified = partial(verify_request, *signed, now=now, region=service.region)
    of_nobody = verified(credentials=Credentials("", ""))
    principal = service.principals(of_nobody.access_key_id)
    if principal is None:
        return of_nobody, None
    return verified(
        credentials=principal.credentials._replace(expires_at=principal.expires_at)
    ), principal


def _check_one_signature(request: OssRequest) -> None:
    """Raises `OssError` for a signature in both places, or one that is neither of version 4 nor of version 1."""
    names = request.params.keys()
    if "authorization" not in request.headers:
        if not names.isdisjoint(_OTHER_PARAMETERS) and "x-oss-credential" not in names:
            raise not_implemented("signatures other than V4 and V1")
        return
    if not names.isdisjoint(REQUIRED + v1.REQUIRED):
        message = "A request must not have a signature in the URL and an Authorization header."
        raise _invalid_argument("Authorization", message, "0002-00000039")
    scheme = request.headers["authorization"].partition(" ")[0]
    if scheme in _OTHER_SCHEMES:
        raise not_implemented("signatures other than V4 and V1")
    if scheme not in (v4.ALGORITHM, v1.SCHEME):
        raise _invalid_argument(
            "Authorization", "Authorization header is invalid.", "0002-00000061"
        )


def _is_v1(request: OssRequest) -> bool:
    scheme = request.headers.get("authorization", "").partition(" ")[0]
    return scheme == v1.SCHEME or not request.params.keys().isdisjoint(v1.REQUIRED)


def refusal(result: Verification, request: OssRequest, now: float) -> OssError:
    """OSS's error for the first fault of a request."""
    name = result.parameter or ""
    fault = result.fault or ""
    match fault:
        case "bad_parameter" if name == "x-oss-content-sha256":
            message = "The x-oss-content-sha256 only supports UNSIGNED-PAYLOAD."
            return _invalid_argument(name, message, "0002-00000214")
        case "bad_parameter" if name == "authorization":
            return _malformed_header(request.headers[name])
        case "bad_parameter" if name in _EC_V1:
            message, missing, empty, invalid = _EC_V1[name]
            value = request.headers.get(
                "x-oss-date", request.headers.get(name, request.params.get(name))
            )
            ec = invalid if value else empty
            return _denied("AccessDenied", message, missing if value is None else ec)
        case "bad_parameter":
            return _invalid_parameter(
                request, name, f"{name} is missing or malformed.", _EC.get(name, "")
            )
        case "expires_out_of_range":
            message = f"x-oss-expires must be from 1 to {MAX_EXPIRES_IN} seconds."
            return _invalid_parameter(request, name, message, "0002-00000232")
        case "wrong_scope":
            message = "Invalid signing region in Authorization header."
            return _invalid_parameter(
                request, name, message, "0002-00000228", header_ec="0002-00000226"
            )
        case "wrong_product":
            return _invalid_argument(
                name, "Invalid signing product in Authorization header.", "0002-00000227"
            )
        case "missing_header":
            message = f"The signed header {name} is missing from the request."
            return _invalid_parameter(request, name, message, "0002-00000076")
        case "skewed":
            return skewed(result.issued_at, now)
        case "expired":
            expires = iso_date(result.expires_at)
            time = iso_date(now)
            return _denied(
                "AccessDenied",
                "Request has expired.",
                "0002-00000069",
                Expires=expires,
                ServerTime=time,
            )
        case "signature_mismatch":
            return _mismatch(result, request)
        case _:
            return denial(fault, result.access_key_id)


def denial(fault: str, key_id: str = "") -> OssError:
    """For a request without a signature, an unknown key, and a temporary one with no token, a wrong or an old one."""
    code, message, ec = _DENIALS[fault]
    details = {"OSSAccessKeyId": key_id} if key_id else {}
    return _denied(code, message, ec, **details)


def skewed(issued_at: datetime | float | None, now: float) -> OssError:
    """For a signing time that differs by more than 15 minutes."""
    message = "The difference between the request time and the current time is too large."
    times = {"RequestTime": iso_date(issued_at), "ServerTime": iso_date(now)}
    return _denied(
        "RequestTimeTooSkewed",
        message,
        "0002-00000504",
        MaxAllowedSkewMilliseconds="900000",
        **times,
    )


def mismatch(
    key_id: str,
    provided: str,
    string_to_sign: str,
    canonical_request: str = "",
    ec: str = "0002-00000040",
) -> OssError:
    """SignatureDoesNotMatch, with what the server signed; a form and V1 have no canonical request."""
    details = {"OSSAccessKeyId": key_id, "SignatureProvided": provided}
    for name, string in (("StringToSign", string_to_sign), ("CanonicalRequest", canonical_request)):
        if string:
            details |= {name: string, f"{name}Bytes": string.encode().hex(" ").upper()}
    message = "The request signature we calculated does not match the signature you provided."
    return _denied(
        "SignatureDoesNotMatch", f"{message} Check your key and signing method.", ec, **details
    )


def _mismatch(result: Verification, request: OssRequest) -> OssError:
    """Where the address or the VPC is limited it is part of what OSS signs: another one is a mismatch, too."""
    ec = "0002-00000040"
    if "x-oss-ac-vpc-id" in request.params:
        ec = "0002-00000603"
    elif "x-oss-ac-source-ip" in request.params:
        ec = "0002-00000225" if result.canonical_request else "0002-00000602"
    return mismatch(
        result.access_key_id,
        result.provided_signature,
        result.string_to_sign,
        result.canonical_request,
        ec,
    )


def _denied(code: str, message: str, ec: str = "", **details: str) -> OssError:
    return OssError(403, code, message, ec=ec, headers=None, **details)


def _invalid_argument(name: str, message: str, ec: str) -> OssError:
    """Without the value, which may be secret."""
    return OssError(400, "InvalidArgument", message, ec=ec, ArgumentName=name)


def _malformed_header(authorization: str) -> OssError:
    scheme, _, rest = authorization.partition(" ")
    if scheme != v1.SCHEME:
        ec = "0002-00000213" if "Signature=" in rest else ""
    elif ":" not in rest:
        ec = "0002-00000062"
    else:
        ec = "0002-00000065" if rest.endswith(":") else "0002-00000063"
    return _invalid_argument("Authorization", "Authorization header is invalid.", ec)


def _invalid_parameter(
    request: OssRequest, name: str, message: str, ec: str = "", header_ec: str = ""
) -> OssError:
    in_query = not request.params.keys().isdisjoint(REQUIRED)
    code = "AuthorizationQueryParametersError" if in_query else "InvalidArgument"
    return OssError(400, code, message, ec=ec if in_query else header_ec, ArgumentName=name)


def _meets_limits(request: OssRequest) -> bool:
    """By x-oss-ac-source-ip and its mask, and by x-oss-ac-vpc-id: no request here comes from a VPC."""
    params = request.params
    if "x-oss-ac-vpc-id" in params:
        return False
    if "x-oss-ac-source-ip" not in params:
        return True
    client = request.remote_addr
    if params.get("x-oss-ac-forward-allow") == "true":
        client = request.headers.get("x-forwarded-for", client).split(",")[0].strip()
    source = params["x-oss-ac-source-ip"]
    mask = params.get("x-oss-ac-subnet-mask", "")
    try:
        network = ipaddress.ip_network(f"{source}/{mask}" if mask else source, strict=False)
        return ipaddress.ip_address(client) in network
    except ValueError:
        message = (
            "x-oss-ac-source-ip must be an IP address, and x-oss-ac-subnet-mask a prefix length."
        )
        raise invalid_argument("x-oss-ac-source-ip", source, message) from None


def _decoded(value: str) -> str:
    """A header's value as its signer knew it: clients send UTF-8, WSGI passes it on as Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value
