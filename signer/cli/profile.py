"""Credentials from the configuration file of the `aliyun` command line, `~/.aliyun/config.json`."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from ..credentials import Credentials
from ..errors import MissingCredentials

DEFAULT = os.path.join("~", ".aliyun", "config.json")
# Modes whose profile holds a key that signs; the others ask a service for one.
_WITH_KEY = frozenset({"AK", "StsToken", "CloudSSO", "OAuth"})


class Profile(NamedTuple):
    """A profile's credentials and its region, "" where it has none."""

    credentials: Credentials
    region: str


def read_profile(name: str, path: str = DEFAULT) -> Profile:
    """The profile of this name. Raises `MissingCredentials` with what to do."""
    profiles = _profiles(path)
    found = next((profile for profile in profiles if profile.get("name") == name), None)
    if found is None:
        known = ", ".join(sorted(str(profile.get("name")) for profile in profiles)) or "none"
        raise MissingCredentials(
            f"There is no profile {name!r} in {path} (there are: {known}): name one of these, or run aliyun configure.",
            variables=(),
        )
    mode = found.get("mode") or "AK"
    key_id, secret, token = (_text(found, field) for field in ("access_key_id", "access_key_secret", "sts_token"))
    if mode not in _WITH_KEY or not key_id or not secret or (mode != "AK" and not token):
        raise MissingCredentials(
            f"The profile {name!r} (mode {mode}) holds no key that signs: use one of mode AK or StsToken, or give the "
            "credentials in the environment.",
            variables=(),
        )
    ends = found.get("sts_expiration")
    expires_at = float(ends) if mode != "AK" and isinstance(ends, int) and ends > 0 else None
    return Profile(
        Credentials(key_id, secret, token or None if mode != "AK" else None, expires_at), _text(found, "region_id")
    )


def names(path: str = DEFAULT) -> list[str]:
    """The names of all profiles; none where the file cannot be read."""
    try:
        return [_text(profile, "name") for profile in _profiles(path)]
    except MissingCredentials:
        return []


def _profiles(path: str) -> list[dict[str, object]]:
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        raise MissingCredentials(
            f"{path} cannot be read ({error.strerror}): run aliyun configure, or name the file with --config.",
            variables=(),
        ) from None
    except ValueError:
        raise MissingCredentials(f"{path} is no JSON: run aliyun configure anew.", variables=()) from None
    found = document.get("profiles") if isinstance(document, dict) else None
    return [profile for profile in found if isinstance(profile, dict)] if isinstance(found, list) else []


def _text(profile: dict[str, object], field: str) -> str:
    value = profile.get(field)
    return value if isinstance(value, str) else ""
