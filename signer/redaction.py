"""Removes secrets from strings, such as log lines."""

from __future__ import annotations

import re

REDACTED = "REDACTED"

# A name begins where no word continues, or directly after an escape: %26, %2526, \u0026.
_START = r"(?:(?<![\w-])|(?<=%[0-9A-F]{2})|(?<=25[0-9A-F]{2})|(?<=\\u[0-9A-F]{4}))"
# Names whose values are secret, with any prefix: x-oss-, x-fc-, ALIBABA_CLOUD_.
_NAME = r"""(?:[\w-]{0,40}[_-])?(?:signature|credential|(?:security|session)[_-]?token|authorization|api[_-]?key
    |(?:oss|aws)?access[_-]?key[_-]?(?:id|secret))"""
# The same for words that are common in prose, only if what follows shows that they are names.
_WORD = r"""(?:policy|share|(?:[\w-]{0,40}[_-])?secret)(?=[ \t]*=|%(?:25)*3D|\\*["'][ \t]*[:,]|&(?:quot|\#34);:)"""
_QUOTE = r"""(?:\\*["']|&(?:quot|\#34|\#39);)"""
# `deep` is how often the string was percent-encoded: only that encoding of "&" ends a value.
_SIGN = rf"""(?:{_QUOTE}?[ \t]*(?:[=:]|%(?P<deep>(?:25)*)3[AD])[ \t]*{_QUOTE}?|{_QUOTE},[ \t]*{_QUOTE})"""
_VALUE = r"""(?:(?:Bearer|Basic|OSS4?|OSS4-HMAC-SHA256)[ \t]+)?
    (?:(?!&|\\u0026|%(?P=deep)26|\\*["'])[^\s<>;,)\]}])+"""
_PAIR = re.compile(f"{_START}(?P<name>{_NAME}|{_WORD})(?P<sign>{_SIGN}){_VALUE}", re.IGNORECASE | re.VERBOSE)
_BEARER = re.compile(r"\b(Bearer\s+)[\w.~+/=-]{16,}", re.IGNORECASE)
_OWN_KEY = re.compile(r"\b(?:fcp_[\w-]+|whsec_[\w+/=-]+)")


def redact(string: str) -> str:
    """Replaces every signature, token, access key, share and API key with `REDACTED`.

    Works for URLs (also encoded, HTML-escaped or within JSON), for headers, and for prose that quotes them.
    """
    string = _BEARER.sub(rf"\1{REDACTED}", string)
    string = _OWN_KEY.sub(REDACTED, string)
    return _PAIR.sub(rf"\g<name>\g<sign>{REDACTED}", string)
