"""What the commands share: types of arguments, options, credentials and endpoints, input and output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

import click
from click.shell_completion import CompletionItem

from ..credentials import Credentials
from ..endpoint import Endpoint, is_address
from ..errors import MissingCredentials, SignerError
from ..names import METHODS, parse_oss_url
from ..sizes import parse_size
from ..times import parse_duration

F = TypeVar("F", bound=Callable[..., Any])
KINDS: dict[str, Callable[[str], Endpoint]] = {
    "public": Endpoint.public,
    "internal": Endpoint.internal,
    "accelerate": Endpoint.accelerate,
    "accelerate-overseas": partial(Endpoint.accelerate, overseas=True),
    "dual-stack": Endpoint.dual_stack,
}
CONFIG = os.path.join("~", ".aliyun", "config.json")
# Profiles of other modes hold no key: the aliyun CLI requests one from a service.
_MODES_WITH_KEY = frozenset({"AK", "StsToken", "CloudSSO", "OAuth"})
MAX_INPUT = 1 << 20  # bytes


# --- types of arguments ---------------------------------------------------------------------------------------


class ObjectAddress(NamedTuple):
    """`oss://bucket/key`; nothing in the key is percent-decoded."""

    bucket: str
    key: str


class Duration(click.ParamType[int]):
    """90, 90s, 15m, 2h or 1d, in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        seconds = value if isinstance(value, int) else parse_duration(str(value))
        if seconds is None:
            self.fail(f"expected a duration such as 90, 90s, 15m, 2h or 7d, not {value!r}.", param, ctx)
        return seconds


class Size(click.ParamType[int]):
    """1000, 10K, 10MB or 5GiB, in bytes; K is 1024."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        size = parse_size(str(value))
        if size is None:
            self.fail(f"expected a size such as 1000, 512K, 10MB or 5G (K is 1024), not {value!r}.", param, ctx)
        return size


class OssUrl(click.ParamType[ObjectAddress]):
    """oss://bucket/key."""

    name = "oss://bucket/key"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> ObjectAddress:
        try:
            return value if isinstance(value, ObjectAddress) else ObjectAddress(*parse_oss_url(str(value)))
        except SignerError as error:
            self.fail(str(error), param, ctx)


class Pair(click.ParamType[tuple[str, str]]):
    """A name and a value, which may be empty."""

    def __init__(self, separator: str, example: str) -> None:
        self._separator = separator
        self._example = example
        self.name = example

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, separator, rest = str(value).partition(self._separator)
        if not name.strip() or (not separator and self._separator == ":"):
            # The value is not repeated: a header may hold a secret.
            self.fail(f"expected {self._example!r}.", param, ctx)
        return name.strip(), rest.strip() if self._separator == ":" else rest


METHOD = click.Choice(sorted(METHODS), case_sensitive=False)
HEADER = Pair(":", "Name: value")
QUERY = Pair("=", "name=value")


# --- options --------------------------------------------------------------------------------------------------


def add(*options: Callable[[F], F]) -> Callable[[F], F]:
    """A decorator that adds options in the order in which the help lists them."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _complete_endpoint(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(kind) for kind in KINDS if kind.startswith(incomplete)]


def _complete_profile(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        names = [_string(profile, "name") for profile in _profiles(ctx.params.get("config") or CONFIG)]
    except MissingCredentials:
        names = []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


credentials_options = add(
    click.option(
        "--profile",
        shell_complete=_complete_profile,
        help="A profile of the aliyun CLI, instead of the environment variables.",
    ),
    click.option(
        "--config",
        default=CONFIG,
        show_default=True,
        type=click.Path(dir_okay=False),
        help="The configuration file of the aliyun CLI.",
    ),
)
signing_options = add(
    credentials_options,
    click.option(
        "--endpoint",
        default="public",
        show_default=True,
        metavar="KIND|URL",
        shell_complete=_complete_endpoint,
        help=f"{', '.join(KINDS)}; or https://DOMAIN, a custom domain.",
    ),
    click.option("--path-style", is_flag=True, help="The bucket is first in the path of the --endpoint URL."),
    click.option(
        "--region",
        envvar="OSS_REGION",
        help="For example cn-hangzhou. Default: the environment variable OSS_REGION, or the profile's region.",
    ),
)


# --- credentials and endpoints --------------------------------------------------------------------------------


class Profile(NamedTuple):
    """Credentials and the region of their profile, "" if it has none."""

    credentials: Credentials
    region: str


def load_credentials(profile: str | None, config: str) -> Profile:
    """The credentials of a profile of the aliyun CLI, or of the environment. Raises `MissingCredentials`."""
    return _read_profile(profile, config) if profile else Profile(Credentials.from_environment(), "")


def load_optional_credentials(profile: str | None, config: str) -> Credentials | None:
    """The same, but None if no variable is set. Half a pair and a bad profile still raise `MissingCredentials`."""
    try:
        return load_credentials(profile, config).credentials
    except MissingCredentials as error:
        if profile or any(os.environ.get(name) for name in error.variables):
            raise
        return None


def _read_profile(name: str, path: str) -> Profile:
    profiles = _profiles(path)
    profile = next((profile for profile in profiles if profile.get("name") == name), None)
    if profile is None:
        available = ", ".join(sorted(str(profile.get("name")) for profile in profiles)) or "none"
        raise MissingCredentials(
            f"Profile {name!r} not found in {path} (available: {available}). Use one of these, or run aliyun configure."
        )
    mode = profile.get("mode") or "AK"
    key_id, secret, token = (_string(profile, key) for key in ("access_key_id", "access_key_secret", "sts_token"))
    if mode not in _MODES_WITH_KEY or not key_id or not secret or (mode != "AK" and not token):
        raise MissingCredentials(
            f"Profile {name!r} (mode {mode}) has no access key. Use a profile of mode AK or StsToken, "
            "or log in again if the mode is CloudSSO or OAuth, or set the credentials in the environment."
        )
    expiry = profile.get("sts_expiration")
    expires_at = float(expiry) if mode != "AK" and isinstance(expiry, int) and expiry > 0 else None
    credentials = Credentials(key_id, secret, token or None if mode != "AK" else None, expires_at)
    return Profile(credentials, _string(profile, "region_id"))


def _profiles(path: str) -> list[dict[str, object]]:
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        raise MissingCredentials(
            f"Cannot read {path} ({error.strerror}). Run aliyun configure, or name the file with --config."
        ) from None
    except ValueError:
        raise MissingCredentials(f"{path} is not valid JSON. Run aliyun configure again.") from None
    profiles = document.get("profiles") if isinstance(document, dict) else None
    return [profile for profile in profiles if isinstance(profile, dict)] if isinstance(profiles, list) else []


def _string(profile: dict[str, object], key: str) -> str:
    value = profile.get(key)
    return value if isinstance(value, str) else ""


def load_endpoint(endpoint: str, path_style: bool, region: str | None, profile_region: str) -> Endpoint:
    """The endpoint of the options. Raises `click.UsageError`, `InvalidEndpoint`."""
    region = region or profile_region
    if not region:
        fail("Missing region: pass --region (for example cn-hangzhou), or set OSS_REGION.")
    if "://" in endpoint:
        if path_style or is_address(urlsplit(endpoint).hostname or ""):
            return Endpoint.path_style(endpoint, region)
        return Endpoint.custom_domain(endpoint, region)
    if path_style:
        fail("--path-style requires a URL as --endpoint.")
    if endpoint not in KINDS:
        fail(
            f"Invalid endpoint {endpoint!r}: expected {', '.join(KINDS)}, or a URL such as https://static.example.com."
        )
    return KINDS[endpoint](region)


# --- input and output -----------------------------------------------------------------------------------------


def read_argument(argument: str, description: str) -> str:
    """The argument, or standard input for "-", which keeps a link out of the shell's history."""
    if argument != "-":
        return argument
    if sys.stdin.isatty():
        click.echo(f"Paste {description}, then press Ctrl-D (Windows: Ctrl-Z, Enter):", err=True)
    return sys.stdin.buffer.read(MAX_INPUT).decode("utf-8-sig", errors="replace")


def print_json(document: object) -> None:
    """Prints JSON: indented on a terminal, on one line for programs."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def fail(message: str) -> NoReturn:
    """Ends the command with status 2."""
    raise click.UsageError(message)
