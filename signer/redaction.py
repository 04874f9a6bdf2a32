"""Texts without the secrets that stand in them."""

from __future__ import annotations

import re

_NAMES = (
    r"x-oss-signature(?!-version)|x-oss-security-token|x-oss-credential|security-token|ossaccesskeyid"
    r"|x-amz-(?:signature|security-token|credential)|awsaccesskeyid|signature|credential|policy|share"
    r"|access_?key_?(?:id|secret)|security_?token|(?:proxy-)?authorization|x-api-key|secret"
)
# A value ends where a query, a header, a JSON text, an attribute or a line does, also when that is encoded.
_PAIR = re.compile(
    rf"""(?<![\w-])(?P<name>(?:{_NAMES}))(?P<sign>\\?["']?\s*(?:=|:|%3D|%253D)\s*\\?["']?)
    (?P<value>(?:(?:Bearer|Basic|OSS4?|OSS4-HMAC-SHA256)\s+)?(?:(?!%26|%2526|&|\\u0026|\\?["'])[^\s<>;,)\]}}])+)""",
    re.IGNORECASE | re.VERBOSE,
)
_BEARER = re.compile(r"\b(Bearer\s+)[\w.~+/=-]+", re.IGNORECASE)
_API_KEY = re.compile(r"\bfcp_[\w-]+")
_WEBHOOK = re.compile(r"\bwhsec_[\w+/=-]+")
REDACTED = "REDACTED"


def redact(text: str) -> str:
    """The text with every signature, token, access key, share and API key replaced by `REDACTED`.

    Works on URLs, also encoded, HTML-escaped or within JSON, on headers, and on prose that quotes them.
    """
    text = _BEARER.sub(rf"\1{REDACTED}", text)
    text = _API_KEY.sub(REDACTED, text)
    text = _WEBHOOK.sub(REDACTED, text)
    return _PAIR.sub(rf"\g<name>\g<sign>{REDACTED}", text)
