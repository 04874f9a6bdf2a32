"""The keys document: every secret of the service in one JSON document."""

from .document import (
    ALGORITHMS,
    METHODS,
    VERSION,
    ApiKey,
    Issuer,
    Keys,
    ShareKey,
    load_json,
    owner_tag,
    parse,
)
from .fields import InvalidKeys

__all__ = [
    "ALGORITHMS",
    "METHODS",
    "VERSION",
    "ApiKey",
    "InvalidKeys",
    "Issuer",
    "Keys",
    "ShareKey",
    "load_json",
    "owner_tag",
    "parse",
]
