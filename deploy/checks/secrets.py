"""Finds strings that look like secrets, in a package or in environment variables that `s deploy` prints."""

from __future__ import annotations

import re

from handler.notices.sinks import KINDS

# Each by the format that its issuer uses, so that the short fakes of documentation pass.
_FORMATS = {
    "an access key id": r"\bLTAI[A-Za-z0-9]{12,}",
    "a temporary access key id": r"\bSTS\.[A-Za-z0-9]{16,}",
    "a security token": r"\bCAIS[A-Za-z0-9+/]{60,}",
    "an API key of this service": r"\bfcp_[A-Za-z0-9_-]{20,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----(\\n|\s)+[A-Za-z0-9+/=]{16}",
    **{
        f"a {name} secret": rf"{re.escape(kind.FOUND_BY)}[A-Za-z0-9]"
        for name, kind in KINDS.items()
    },
    "a token in an address": r"https?://[^\s/:@]+:[\w.~%+=-]{12,}@|[?&](access_token|x-oss-signature|Signature)=(?!EXAMPLE)[\w%+/-]{12,}",
    "a secret": r"""(?i:secret|password|passwd|token)["']?\s*[=:]\s*["'][A-Za-z0-9+/_-]{30,}={0,2}["']""",
}
_PATTERNS = {kind: re.compile(pattern) for kind, pattern in _FORMATS.items()}
_SECRET_NAME = re.compile(
    r"(?i)secret|passw|token|private|credential|access_?key|api_?key|(^|_)(sk|pwd)($|_)|webhook"
)
# Random letters and digits, as long as a secret key.
_RANDOM = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9+/_=-]{30,}|[0-9a-f]{32,}")


def secret_in(content: str) -> str | None:
    """The kind of the first secret in it, such as "an access key id"; None if it has no secret."""
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.search(content)), None)


def secret_in_variable(name: str, value: str) -> str | None:
    """The same for an environment variable, whose name counts too."""
    if not value:
        return None
    if _SECRET_NAME.search(name):
        return "a secret (by its name)"
    return secret_in(value) or ("a key (random characters)" if _RANDOM.fullmatch(value) else None)
