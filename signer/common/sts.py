"""AssumeRole of STS: the signed call and its answer. Whoever uses them sends the call, with the client that they have.

Source: the RAM page "AssumeRole" (2015-04-01), and the STS page "Endpoints".
"""

from __future__ import annotations

import json
import os
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from ..acs3 import SignedCall, sign_call
from ..credentials import MAX_SESSION, Credentials
from ..errors import SignerError
from ..link import check_credentials
from ..times import parse_rfc3339

MIN_DURATION = 900
MAX_DURATION = MAX_SESSION  # seconds
MAX_POLICY = 2048  # bytes
# Source: the RAM page "CreateRole" (2015-05-01).
ROLE_ARN = re.compile(r"acs:ram::[0-9]+:role/[A-Za-z0-9.-]{1,64}")

_CODE = re.compile(r"[A-Za-z0-9.]{1,100}")
_CENTRAL = ("ap-south-1", "ap-southeast-2")


class StsError(SignerError):
    """STS did not open a session; `reason` is a short code for programs, STS's own if it sent one."""

    code = "sts_error"

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class AssumedRole(NamedTuple):
    """`expires_at` is in Unix seconds."""

    credentials: Credentials
    expires_at: float


def sts_host(region: str) -> str:
    """The public host of STS in a region."""
    return "sts.aliyuncs.com" if region in _CENTRAL else f"sts.{region}.aliyuncs.com"


def sign_assume_role(
    url: str, role: str, name: str, policy: str, duration: int, credentials: Credentials, now: float
) -> SignedCall:
    """The call that opens a session of `duration` seconds at the STS of `url`. Raises a subclass of `SignerError`."""
    address = urlsplit(url)
    return sign_call(
        address.netloc,
        "AssumeRole",
        "2015-04-01",
        {
            "RoleArn": role,
            "RoleSessionName": name,
            "DurationSeconds": str(duration),
            "Policy": policy,
        },
        credentials=credentials,
        now=now,
        nonce=os.urandom(16).hex(),
        scheme=address.scheme,
    )


def read_assumed_role(status: int, body: bytes) -> AssumedRole:
    """What STS answered. Raises `StsError`."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise StsError("STS did not answer with JSON.", f"status_{status}") from None
    if status != 200:
        code = document.get("Code") if isinstance(document, dict) else None
        reason = code if isinstance(code, str) and _CODE.fullmatch(code) else f"status_{status}"
        raise StsError(f"STS refused the session ({reason}).", reason)
    try:
        fields = document["Credentials"]
        credentials = Credentials(
            *(fields[name] for name in ("AccessKeyId", "AccessKeySecret", "SecurityToken"))
        )
        expires_at = parse_rfc3339(fields["Expiration"])
        if not credentials.security_token or expires_at is None:
            raise ValueError
        check_credentials(credentials)
    except (KeyError, TypeError, ValueError, SignerError):
        raise StsError("STS answered with an incomplete session.", "incomplete_session") from None
    return AssumedRole(credentials, expires_at)
