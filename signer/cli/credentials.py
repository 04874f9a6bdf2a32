"""Credentials where Alibaba Cloud's own tools keep them.

The environment is read first, without a library. All else is read and exchanged by the official package
`alibabacloud-credentials`, which is imported only then: profiles of the aliyun CLI and of `credentials.ini`, a
credentials URI, and the metadata of an ECS instance. Its default chain is not used: it asks for instance metadata
everywhere, at an address that does not answer outside of ECS.
"""

from __future__ import annotations

import configparser
import json
import logging
import os
import re
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from ..credentials import FUNCTION_COMPUTE, OFFICIAL_SDK, Credentials
from ..errors import MissingCredentials
from ..redaction import redact
from .network import failure_reason
from .output import echo

CONFIG = os.path.join("~", ".aliyun", "config.json")
INI = os.path.join("~", ".alibabacloud", "credentials.ini")
PACKAGE = "alibabacloud-credentials"
URI = "ALIBABA_CLOUD_CREDENTIALS_URI"
METADATA = "ALIBABA_CLOUD_ECS_METADATA"
_OFFLINE_MODES = ("AK", "StsToken", "access_key")


class Profile(NamedTuple):
    """Credentials and the region of their profile, "" if it has none."""

    credentials: Credentials
    region: str = ""


def load_credentials(profile: str | None, config: str) -> Profile:
    """The credentials of a profile, or of the first place that has any. Raises `MissingCredentials`."""
    if not profile:
        try:
            return Profile(Credentials.from_environment())
        except MissingCredentials as error:
            if error.variables != OFFICIAL_SDK + FUNCTION_COMPUTE:  # half a pair
                raise
    name = profile or os.environ.get("ALIBABA_CLOUD_PROFILE", "")
    document = _read_config(config)
    cli_name = name or str(document.get("current") or "")
    entry = next((entry for entry in profiles_of(document) if entry.get("name") == cli_name), None)
    if entry is not None:
        return Profile(_fetch_cli_profile(cli_name, entry, config), _string(entry, "region_id"))
    ini_path = os.environ.get("ALIBABA_CLOUD_CREDENTIALS_FILE") or INI
    ini = _read_ini(ini_path)
    ini_name = name or "default"
    if ini_name in ini:
        ini_file, kind = os.path.expanduser(ini_path), ini[ini_name].get("type", "")
        credentials = _fetch(
            f"profile {ini_name!r} (type {kind}) of {ini_path}",
            lambda providers: providers.ProfileCredentialsProvider(profile_name=ini_name, profile_file=ini_file),
            is_offline=kind in _OFFLINE_MODES,
        )
        return Profile(credentials)
    if not profile:
        if uri := os.environ.get(URI):
            if not re.match(r"https?://[^/?#]", uri):
                raise MissingCredentials(
                    f"Invalid {URI}: expected an address such as http://127.0.0.1:9001/credentials."
                )
            return Profile(_fetch(URI, lambda providers: providers.URLCredentialsProvider(uri=uri)))
        if role := os.environ.get(METADATA):
            where = f"the instance metadata ({METADATA})"
            return Profile(_fetch(where, lambda providers: providers.EcsRamRoleCredentialsProvider(role_name=role)))
    if name:
        available = ", ".join(sorted({*map(str, (e.get("name") for e in profiles_of(document))), *ini})) or "none"
        raise MissingCredentials(
            f"Profile {name!r} not found in {config} or {ini_path} (available: {available}): "
            "pass one of these as --profile, or run aliyun configure."
        )
    raise MissingCredentials(
        f"Credentials not found: {OFFICIAL_SDK[0]}, {FUNCTION_COMPUTE[0]}, {URI} and {METADATA} are not set, and "
        f"{config} and {ini_path} have no current profile: set a key ID and its secret, or pass --profile."
    )


def load_optional_credentials(profile: str | None, config: str) -> Credentials | None:
    """The credentials of a profile, else of the environment, None if it has none. No profile is read unasked.

    Half a pair of variables is as none, with a warning. A bad profile still raises `MissingCredentials`.
    """
    if profile:
        return load_credentials(profile, config).credentials
    try:
        return Credentials.from_environment()
    except MissingCredentials as error:
        if any(os.environ.get(name) for name in error.variables):
            echo(f"Warning: {error} Going on without the secret.", err=True)
        return None


def profile_names(config: str) -> list[str]:
    """The names of the aliyun CLI's profiles. Raises `MissingCredentials` if the file cannot be read."""
    return [_string(entry, "name") for entry in profiles_of(_read_config(config))]


def profiles_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    entries = document.get("profiles")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _read_config(path: str) -> dict[str, Any]:
    """The aliyun CLI's configuration; empty if it is the default file and does not exist, or is switched off."""
    if os.environ.get("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "").lower() == "true":
        return {}
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            document = json.load(file)
    except FileNotFoundError:
        if path == CONFIG:
            return {}
        raise MissingCredentials(f"{path} not found: run aliyun configure, or correct --config.") from None
    except OSError as error:
        raise MissingCredentials(f"Cannot read {path} ({error.strerror}): correct its permissions.") from None
    except ValueError:
        raise MissingCredentials(f"{path} is not valid JSON: run aliyun configure again.") from None
    return document if isinstance(document, dict) else {}


def _read_ini(path: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser()
    try:
        parser.read(os.path.expanduser(path), encoding="utf-8")
        return {name: dict(parser.items(name)) for name in parser.sections()}
    except OSError as error:
        raise MissingCredentials(f"Cannot read {path} ({error.strerror}): correct its permissions.") from None
    except (configparser.Error, ValueError):
        raise MissingCredentials(f"{path} is not a valid INI file: correct it, or pass another --profile.") from None


def _string(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


def _fetch_cli_profile(name: str, entry: dict[str, Any], config: str) -> Credentials:
    path = os.path.expanduser(config)
    mode = _string(entry, "mode")
    credentials = _fetch(
        f"profile {name!r} (mode {mode or 'not set'}) of {config}",
        lambda providers: providers.CLIProfileCredentialsProvider(profile_name=name, profile_file=path),
        is_offline=mode in _OFFLINE_MODES,
    )
    if credentials.expires_at is None and mode != "AK":
        # The package's providers for profiles leave the expiry out, but it may have written it to the profile.
        now = next((e for e in profiles_of(_read_config(config)) if e.get("name") == name), entry)
        expiry = now.get("sts_expiration")
        if now.get("access_key_id") == credentials.access_key_id and isinstance(expiry, int) and expiry > 0:
            return credentials._replace(expires_at=float(expiry))
    return credentials


def _fetch(source: str, create: Callable[[Any], Any], *, is_offline: bool = False) -> Credentials:
    """The credentials of one of the package's providers. Raises `MissingCredentials`."""
    try:
        providers = import_module("alibabacloud_credentials.provider")
    except ImportError:
        raise MissingCredentials(
            f"Reading {source} requires the package {PACKAGE}: run pip install {PACKAGE}, or set "
            f"{OFFICIAL_SDK[0]} and {OFFICIAL_SDK[1]}."
        ) from None
    # The package prints failures with a traceback and with the addresses that it asked.
    logging.getLogger("credentials").disabled = True
    if not is_offline and sys.stderr.isatty():
        echo(f"Getting credentials from {source}...", err=True)
    try:
        keys = create(providers).get_credentials()
        key_id, secret, token = keys.get_access_key_id(), keys.get_access_key_secret(), keys.get_security_token()
        expiration = keys.get_expiration()
    except Exception as error:
        raise MissingCredentials(
            f"Cannot get credentials from {source}: {reason_of(error)}; correct it, or pass another --profile."
        ) from None
    if not key_id or not secret:
        raise MissingCredentials(f"{source} gives no access key: correct it, or pass another --profile.")
    return Credentials(key_id, secret, token or None, float(expiration) if expiration else None)


def reason_of(error: Exception) -> str:
    """One line of the package's message, without the addresses and the responses in it, which may hold secrets."""
    if type(error).__module__.startswith("Tea.") or isinstance(error, OSError):
        host = re.search(r"\bhost='([^']+)'", str(error))
        return failure_reason(error) + (f" ({host[1]})" if host else "")
    line = re.split(r",?\s*\b(?:result|(?<!credential )response|OAuth token): |[{\n]", str(error), maxsplit=1)[0]
    line = line.replace(" form cli credentials file", "")
    line = re.sub(r"(https?://)(?:[^\s/@]*@)?([^\s/?,]+)[^\s,]*", r"\1\2", line)
    return redact(line).strip().rstrip(".") or type(error).__name__
