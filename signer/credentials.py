"""Access keys, permanent or temporary (STS)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from .errors import MissingCredentials

# Each family is read whole or not at all: an id of one with the secret of another never matches.
OFFICIAL_SDK = ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN")
FUNCTION_COMPUTE = (
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
)


class Credentials(NamedTuple):
    """What signs.

    `security_token` comes with temporary keys and is None or "" for permanent ones. `expires_at` is when the
    credentials end (a datetime with a zone, or Unix seconds), None where unknown; no link outlives it.
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
        """Credentials from the environment: the official SDK's names first, then Function Compute's.

        `families` are the triples of names (id, secret, token); the first complete one wins. A variable that is
        set but empty is a missing one. Raises `MissingCredentials`.
        """
        if environ is None:
            environ = os.environ
        for family in families:
            key_id, secret, token = (environ.get(name, "") for name in family)
            if key_id and secret:
                return cls(key_id, secret, token or None)
            if key_id or secret:
                absent = family[1] if key_id else family[0]
                present = family[0] if key_id else family[1]
                raise MissingCredentials(
                    f"{present} is set but {absent} is not: set both, or neither.", variables=family
                )
        raise MissingCredentials(
            f"There are no credentials in the environment: set {OFFICIAL_SDK[0]} and {OFFICIAL_SDK[1]} "
            f"(and {OFFICIAL_SDK[2]} for temporary ones), or the same as {FUNCTION_COMPUTE[0]}, "
            f"{FUNCTION_COMPUTE[1]} and {FUNCTION_COMPUTE[2]}.",
            variables=OFFICIAL_SDK + FUNCTION_COMPUTE,
        )
