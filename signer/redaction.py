"""Removes secrets from strings, such as log lines."""

from __future__ import annotations

import re

from .errors import InvalidLink, check_type

REDACTED = "REDACTED"

# A name begins where no word continues, or directly after an escape: %26, %2526, \u0026.
_START = r"(?:(?<![a-z0-9_-])|(?<=%[0-9A-F]{2})|(?<=25[0-9A-F]{2})|(?<=\\u[0-9A-F]{4}))"
# Names whose values are secret, with any prefix: x-oss-, x-fc-, ALIBABA_CLOUD_; or in a link that lost some characters.
_NAME = r"""(?:(?:[\w-]{0,40}[_-])?(?:signature|credential|(?:security|session)[_-]?token|authorization
    |api[_-]?key|(?:oss|aws)?access[_-]?key[_-]?(?:id|secret))
    |[\w-]{1,40}(?:signature|(?:security|session)[_-]?token)(?==|%(?:25)*3D))"""
# Lists in queries repeat a name with an index: share[]=, share[0]=.
_INDEX = r"(?:\[[^\s\[\]]{0,20}\]|%(?:25)*5B[^\s%]{0,20}%(?:25)*5D)?"
# The same for words that are common in prose, only if what follows shows that they are names. \uFF1D is the full-width
# "=" and \uFF1A the full-width ":", which Chinese keyboards type.
_WORD = rf"""(?:policy|share|(?:[\w-]{{0,40}}[_-])?secret)(?={_INDEX}
    (?:[ \t]*[=\uFF1D]|%(?:25)*(?:3D|EF%(?:25)*BC%(?:25)*9D)|\\*["'][ \t]*[:,]|&(?:quot|\#34);:))"""
_QUOTE = r"""(?:\\*["']|&(?:quot|\#34|\#39);)"""
# `deep` is how often the string was percent-encoded: only that encoding of "&" ends a value.
_SIGN = rf"""(?:{_QUOTE}?[ \t]*(?:[=:\uFF1D\uFF1A]|%(?P<deep>(?:25)*)(?:3[AD]|EF%(?P=deep)BC%(?P=deep)9[AD]))
    [ \t]*{_QUOTE}?|{_QUOTE},[ \t]*{_QUOTE})"""
_VALUE = r"""(?:(?:Bearer|Basic|OSS4?|OSS4-HMAC-SHA256)[ \t]+)?
    (?:(?!&|\\u0026|%(?P=deep)26|\\{0,8}["'])[^\s<>;,)\]}])+"""
_PAIR = re.compile(
    f"{_START}(?P<name>(?:{_NAME}|{_WORD}){_INDEX})(?P<sign>{_SIGN}){_VALUE}",
    re.IGNORECASE | re.VERBOSE,
)
_BEARER = re.compile(r"\b(Bearer\s+|share[:\uFF1A]\s*)[\w.~+/=-]{16,}", re.IGNORECASE)
# The MD5 in links of a CDN: a parameter's value, or behind a time in type A, behind one in B and before one in C.
_SLASH = r"(?:\\{0,3}/|%(?:25)*2F)"
_MD5 = re.compile(
    rf"(=|%(?:25)*3D|[0-9]{{10}}-\w{{1,64}}-\w{{1,64}}-|(?<![0-9])[0-9]{{12}}{_SLASH}"
    rf"|(?:{_SLASH}|(?<![0-9a-z]))(?=\w{{32}}{_SLASH}[0-9a-f]{{8}}{_SLASH}))[0-9a-f]{{32}}(?![0-9a-z])",
    re.IGNORECASE,
)
# Recognised by themselves, also in the middle of a word; the last is a security token.
_OWN_KEY = re.compile(
    r"fcp_[\w-]{16,}|whsec_[\w+/=-]{16,}|CAIS(?:[\w+/=-]|%(?:25)*(?:2B|2F|3D)){56,}"
)
# A JWT begins with {" in base64url, and its header has at least {"alg":"none"}. The lookahead keeps the search linear.
_JWT = re.compile(
    r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.)([A-Za-z0-9_-]*?)"
    r"eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)+"
)


def redact(string: str) -> str:
    """Replaces every signature, token, access key, share, JWT and API key with `REDACTED`.

    Works for URLs (also encoded, HTML-escaped or within JSON), for headers, and for prose that quotes them.
    Raises `InvalidLink` for what is no string.
    """
    check_type("text", string, str, InvalidLink)
    string = _MD5.sub(rf"\1{REDACTED}", string)
    string = _BEARER.sub(rf"\1{REDACTED}", string)
    string = _OWN_KEY.sub(REDACTED, string)
    string = _JWT.sub(rf"\1{REDACTED}", string)
    return _PAIR.sub(rf"\g<name>\g<sign>{REDACTED}", string)
