"""Credentials where Alibaba Cloud's own tools keep them.

The environment is read first, without a library. All else is read and exchanged by one provider of the official package
`alibabacloud-credentials`, which is imported only then: that of a profile of the aliyun CLI or of `credentials.ini`, of
a credentials URI, or of an ECS instance's metadata. Its default chain is not used: it asks for metadata everywhere, at
an address that does not answer outside of ECS; takes other credentials where those of a profile fail; hides the expiry.
"""

from __future__ import annotations

import configparser
import json
import logging
import os
import re
from importlib import import_module
from typing import Any, NamedTuple

from ..credentials import FUNCTION_COMPUTE, OFFICIAL_SDK, Credentials
from ..errors import MissingCredentials
from ..redaction import redact
from .network import failure_reason
from .terminal import echo

CONFIG = os.path.join("~", ".aliyun", "config.json")
INI = os.path.join("~", ".alibabacloud", "credentials.ini")
URI = "ALIBABA_CLOUD_CREDENTIALS_URI"
METADATA = "ALIBABA_CLOUD_ECS_METADATA"


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
    entries, current = _read_config(config)
    cli_name = name or current
    if cli_name in entries:
        return _fetch_cli_profile(cli_name, entries[cli_name], config)
    ini = os.environ.get("ALIBABA_CLOUD_CREDENTIALS_FILE") or INI
    sections = _read_ini(ini)
    section = name or "default"
    if section in sections:
        source = f"profile {section!r} (type {sections[section].get('type', 'not set')}) of {ini}"
        file = os.path.expanduser(ini)
        return Profile(
            _fetch(source, "ProfileCredentialsProvider", profile_name=section, profile_file=file)
        )
    if not profile and (uri := os.environ.get(URI)):
        if not re.match(r"https?://[^/?#]", uri):
            raise MissingCredentials(
                f"Invalid {URI}: expected an address such as http://127.0.0.1:9001/credentials."
            )
        return Profile(_fetch(URI, "URLCredentialsProvider", uri=uri))
    if not profile and (role := os.environ.get(METADATA)):
        return Profile(
            _fetch(
                f"the instance metadata ({METADATA})",
                "EcsRamRoleCredentialsProvider",
                role_name=role,
            )
        )
    if name:
        available = ", ".join(sorted({*entries, *sections})) or "none"
        raise MissingCredentials(
            f"Profile {name!r} not found in {config} or {ini} (available: {available}): "
            "pass one of these as --profile, or run aliyun configure."
        )
    raise MissingCredentials(
        f"Credentials not found: {OFFICIAL_SDK[0]}, {FUNCTION_COMPUTE[0]}, {URI} and {METADATA} are not set, and "
        f"{config} and {ini} have no current profile: set a key ID and its secret, or pass --profile."
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
    return list(_read_config(config)[0])


def _read_config(path: str) -> tuple[dict[str, dict[str, Any]], str]:
    """The aliyun CLI's profiles by name, and which is the current one; none where they are switched off."""
    if os.environ.get("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "").lower() == "true":
        return {}, ""
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            document = json.load(file)
        return {str(entry["name"]): entry for entry in document.get("profiles", ())}, str(
            document.get("current", "")
        )
    except FileNotFoundError:
        if path == CONFIG:
            return {}, ""
        raise MissingCredentials(
            f"{path} not found: run aliyun configure, or correct --config."
        ) from None
    except (OSError, ValueError, AttributeError, LookupError, TypeError) as error:
        raise _unreadable(path, error, "JSON") from None


def _read_ini(path: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser()
    try:
        parser.read(os.path.expanduser(path), encoding="utf-8")
        return {name: dict(parser.items(name)) for name in parser.sections()}
    except (OSError, ValueError, configparser.Error) as error:
        raise _unreadable(path, error, "INI") from None


def _unreadable(path: str, error: Exception, kind: str) -> MissingCredentials:
    reason = getattr(error, "strerror", None) or f"it is not the {kind} that was expected"
    return MissingCredentials(
        f"Cannot read {path} ({reason}): correct it, or run aliyun configure."
    )


def _fetch_cli_profile(name: str, entry: dict[str, Any], config: str) -> Profile:
    source = f"profile {name!r} (mode {entry.get('mode') or 'not set'}) of {config}"
    path = os.path.expanduser(config)
    region = str(entry.get("region_id") or "")
    credentials = _fetch(
        source, "CLIProfileCredentialsProvider", profile_name=name, profile_file=path
    )
    # The provider leaves the expiry out, but the package may have written it to the profile.
    entry = _read_config(config)[0].get(name, {})
    expiry = entry.get("sts_expiration")
    if (
        credentials.security_token
        and entry.get("access_key_id") == credentials.access_key_id
        and expiry
    ):
        return Profile(credentials._replace(expires_at=float(expiry)), region)
    return Profile(credentials, region)


def _fetch(source: str, provider: str, **arguments: str) -> Credentials:
    """The credentials of one of the package's providers. Raises `MissingCredentials`."""
    try:
        providers: Any = import_module("alibabacloud_credentials.provider")
    except ImportError:
        raise MissingCredentials(
            f"Reading {source} requires a package: run pip install alibabacloud-credentials, or set "
            f"{OFFICIAL_SDK[0]} and {OFFICIAL_SDK[1]}."
        ) from None
    # The package prints failures with a traceback and with the addresses that it asked.
    logging.getLogger("credentials").disabled = True
    try:
        keys = getattr(providers, provider)(**arguments).get_credentials()
        key_id = keys.get_access_key_id()
        secret = keys.get_access_key_secret()
        token = keys.get_security_token()
        expiration = keys.get_expiration()
    except Exception as error:
        raise MissingCredentials(
            f"Cannot get credentials from {source}: {reason_of(error)}; correct it, or pass another --profile."
        ) from None
    if not key_id or not secret:
        raise MissingCredentials(
            f"{source} gives no access key: correct it, or pass another --profile."
        )
    return Credentials(key_id, secret, token or None, float(expiration) if expiration else None)


def reason_of(error: Exception) -> str:
    """One line of the package's message, without the addresses and the responses in it, which may hold secrets."""
    if type(error).__module__.startswith("Tea.") or isinstance(error, OSError):
        host = re.search(r"\bhost='([^']+)'", str(error))
        return failure_reason(error) + (f" ({host[1]})" if host else "")
    line = re.split(
        r",?\s*\b(?:result|(?<!credential )response|OAuth token): |[{\n]", str(error), maxsplit=1
    )[0]
    line = line.replace(" form cli credentials file", "")
    line = re.sub(r"(https?://)(?:[^\s/@]*@)?([^\s/?,]+)[^\s,]*", r"\1\2", line)
    return redact(line).strip().rstrip(".") or type(error).__name__
