"""Which keys OSS takes. Source: the OSS page "Object naming conventions"."""

from __future__ import annotations

from signer.names import MAX_KEY_BYTES

from .errors import OssError


def check_key(key: str) -> None:
    """Raises `OssError` InvalidObjectName. Keys that HTTP clients rewrite ("..", "//") are allowed, as in OSS."""
    if not key or key[0] in "/\\" or "\x00" in key or len(key.encode()) > MAX_KEY_BYTES:
        raise OssError(
            400,
            "InvalidObjectName",
            "The specified object is not valid.",
            details=(("ObjectName", key.replace("\x00", "")),),
        )
