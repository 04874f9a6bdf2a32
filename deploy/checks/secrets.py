"""Texts that look like a secret: in a package that ships, or in an environment that `s deploy` prints."""

from __future__ import annotations

import re

# Each by the shape that its issuer gives it, so that documentation's short fakes pass.
_SHAPES = {
    "an access key id": r"\bLTAI[A-Za-z0-9]{12,}",
    "a temporary access key id": r"\bSTS\.[A-Za-z0-9]{16,}",
    "a security token": r"\bCAIS[A-Za-z0-9+/]{60,}",
    "an API key of this service": r"\bfcp_[A-Za-z0-9_-]{20,}",
    "a webhook's secret": r"\bwhsec_[A-Za-z0-9+/]{20,}",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----(\\n|\s)+[A-Za-z0-9+/=]{16}",
    "a chat robot's address": r"/robot/send\?access_token=\w|/open-apis/bot/v2/hook/\w|/cgi-bin/webhook/send\?key=\w"
    r"|hooks\.slack\.com/services/\w",
    "a token in an address": r"https?://[^\s/:@]+:[\w.~%+=-]{12,}@|[?&](access_token|x-oss-signature|Signature)=[\w%+/-]{12,}",
    "a secret": r"""(?i:secret|password|passwd|token)["']?\s*[=:]\s*["'][A-Za-z0-9+/_-]{30,}={0,2}["']""",
}
_TEXTS = {what: re.compile(shape) for what, shape in _SHAPES.items()}
_NAME = re.compile(r"(?i)secret|passw|token|private|credential|access_?key|api_?key|(^|_)(sk|pwd)($|_)|webhook")
# Letters and digits mixed as only chance mixes them, as long as a key's secret.
_CHANCE = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9+/_=-]{30,}|[0-9a-f]{32,}")


def leak_in(text: str) -> str | None:
    """What the text holds that looks like a secret, such as "an access key id"; None where it holds none."""
    return next((what for what, shape in _TEXTS.items() if shape.search(text)), None)


def leak_in_variable(name: str, value: str) -> str | None:
    """The same for a variable of an environment, whose name counts too."""
    if not value:
        return None
    if _NAME.search(name):
        return "a secret by its name"
    return leak_in(value) or ("a key by its looks" if _CHANCE.fullmatch(value) else None)
