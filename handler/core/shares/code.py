"""The code of a share: eight characters that the service makes, and that whoever opens the share types.

31 ** 8 codes are 39.6 bits, and each guess is a request: docs/security.md counts how long that takes.
"""

from __future__ import annotations

import re
from hashlib import sha256
from hmac import compare_digest
from secrets import choice
from unicodedata import normalize

from .record import base64url

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # without 0, 1, I, L and O
MAX_TYPED = 100  # characters


def new_code() -> str:
    code = "".join(choice(ALPHABET) for _ in range(8))
    return f"{code[:4]}-{code[4:]}"


def code_hash(secret: str, code: str) -> str:
    """What the record of the share keeps of a code, however it is typed: wide letters of an East Asian keyboard too."""
    typed = re.sub(r"[^0-9A-Z]", "", normalize("NFKC", code[:MAX_TYPED]).upper())
    return base64url(sha256(f"{secret}\n{typed}".encode()).digest())


def is_code(typed: object, secret: str, expected: str) -> bool:
    return isinstance(typed, str) and compare_digest(code_hash(secret, typed), expected)
