"""Access keys, permanent or temporary (STS)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from .errors import InvalidCredentials, MissingCredentials, check_type

# What STS issues is valid no longer (RAM page "AssumeRole"); Function Compute gives its functions tokens for 36 hours.
MAX_SESSION = 43_200  # seconds

# The ID of one family does not match the secret of another, so they are never mixed.
OFFICIAL_SDK = ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN")
FUNCTION_COMPUTE = (
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
)


class Credentials(NamedTuple):
    """An access key.

    `security_token` comes with temporary keys, whose ID begins with "STS.": without it, they can verify and explain
    links, and sign none. It is None or "" for permanent ones. `expires_at` is when the credentials expire (a datetime
    with a time zone, or Unix seconds), None if unknown; no link outlives it. If it is unknown when the security token
    expires, links are valid for at most `MAX_SESSION` seconds.
    """

    access_key_id: str
    access_key_secret: str
    security_token: str | None = None
    expires_at: datetime | float | None = None

    def __repr__(self) -> str:
        token = "'***'" if self.security_token else "None"
        return (
            f"Credentials(access_key_id='***', access_key_secret='***', "
            f"security_token={token}, expires_at={self.expires_at!r})"
        )

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        families: Sequence[tuple[str, str, str]] = (OFFICIAL_SDK, FUNCTION_COMPUTE),
    ) -> Credentials:
        """Reads the environment: the official SDK's variables first, then Function Compute's.

        `families` are triples of names (ID, secret, token); the first complete one is used. A variable that is set but
        empty counts as missing. Raises `MissingCredentials`.
        """
        if environ is None:
            environ = os.environ
        check_type("environ", environ, Mapping, InvalidCredentials, "a mapping of strings")
        for family in families:
            key_id, secret, token = (environ.get(name, "") for name in family)
            if key_id and secret:
                return cls(key_id, secret, token or None)
            if key_id or secret:
                present, absent = family[:2] if key_id else family[1::-1]
                raise MissingCredentials(
                    f"{present} is set but {absent} is not: set both, or neither.", family
                )
        raise MissingCredentials(
            f"Credentials not found in the environment: set {OFFICIAL_SDK[0]} and {OFFICIAL_SDK[1]} (and "
            f"{OFFICIAL_SDK[2]} for temporary credentials), or {FUNCTION_COMPUTE[0]} and {FUNCTION_COMPUTE[1]} (and "
            f"{FUNCTION_COMPUTE[2]}).",
            OFFICIAL_SDK + FUNCTION_COMPUTE,
        )
