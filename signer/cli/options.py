"""What the commands share: types of arguments, options, the endpoint, input and output."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from ..cdn import CdnKey
from ..credentials import Credentials
from ..endpoint import KNOWN_REGIONS, Endpoint, closest_region, is_address, parse_oss_host
from ..errors import MissingCredentials, SignerError
from ..link import MAX_EXPIRES_IN, Link
from ..names import METHODS, parse_oss_url
from ..sizes import parse_size
from ..times import format_duration, format_time, parse_duration, parse_rfc3339
from . import terminal
from .credentials import CONFIG, load_credentials, profile_names
from .terminal import echo

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
KINDS: dict[str, Callable[[str], Endpoint]] = {
    "public": Endpoint.public,
    "internal": Endpoint.internal,
    "accelerate": Endpoint.accelerate,
    "accelerate-overseas": partial(Endpoint.accelerate, overseas=True),
    "dual-stack": Endpoint.dual_stack,
}
MAX_INPUT = 1 << 20  # bytes
NAME = "fc-presign"


# --- the program ----------------------------------------------------------------------------------------------


def program_name() -> str:
    """What was called: `fc-presign`, or `python -m signer` in a clone."""
    return click.get_current_context().find_root().info_name or NAME


class Command(click.Command):
    """Its help names the program that was called in its examples."""

    def get_help(self, ctx: click.Context) -> str:
        return re.sub(
            rf"\b{NAME} (?=[a-z])", lambda match: f"{program_name()} ", super().get_help(ctx)
        )


class Group(Command, click.Group):
    """As `Command`."""


# --- types of arguments ---------------------------------------------------------------------------------------


class ObjectAddress(NamedTuple):
    """`oss://bucket/key`; nothing in the key is percent-decoded."""

    bucket: str
    key: str


def _type(name: str, parse: Callable[[str], T | None], expected: str) -> Callable[[str], T]:
    """What `parse` makes of an argument; it returns None for one that is not what was `expected`."""

    def convert(value: str) -> T:
        parsed = parse(value)
        if parsed is None:
            raise click.BadParameter(f"expected a {expected}, not {value!r}.")
        return parsed

    convert.__name__ = name
    return convert


def _parse_expiry(value: str) -> int | None:
    seconds = parse_duration(value)
    if seconds and seconds > MAX_EXPIRES_IN:
        hint = f"For longer, share the file: {program_name()} share."
        raise click.BadParameter(f"expected a {_EXPIRY}, not {value!r}. {hint}")
    return seconds


_EXPIRY = "duration of at most 7d, of one unit, such as 90, 90s, 15m, 2h or 7d"
EXPIRY = _type("duration", _parse_expiry, _EXPIRY)
LIFETIME = _type(
    "duration",
    lambda value: value if parse_duration(value) else None,
    "duration such as 12h, 7d or 30d",
)
TIME = _type("time", parse_rfc3339, "time such as 2026-11-25T08:30:00Z")
SIZE = _type("size", parse_size, "size such as 1000, 512K, 10MB or 5G (K is 1024)")


def words(maximum: int) -> Callable[[str], str]:
    """The type of what a sender says on a page: no service takes more characters, or only spaces."""

    def convert(value: str) -> str:
        if not value.strip() or len(value) > maximum:
            raise click.BadParameter(f"expected 1 to {maximum} characters, not only spaces.")
        return value

    convert.__name__ = "text"
    return convert


def oss_url(value: str) -> ObjectAddress:
    try:
        return ObjectAddress(*parse_oss_url(value))
    except SignerError as error:
        raise click.BadParameter(str(error)) from None


def _pair(separator: str, example: str) -> Callable[[str], tuple[str, str]]:
    """The type of a name and a value, which may be empty."""

    def convert(value: str) -> tuple[str, str]:
        name, found, rest = value.partition(separator)
        if not name.strip() or (not found and separator == ":"):
            # The value is not repeated: a header may hold a secret.
            raise click.BadParameter(f"expected {example!r}.")
        return name.strip(), rest.strip() if separator == ":" else rest

    convert.__name__ = example
    return convert


METHOD = click.Choice(sorted(METHODS), case_sensitive=False)
HEADER = _pair(":", "Name: value")
QUERY = _pair("=", "name=value")


# --- options --------------------------------------------------------------------------------------------------


def add(*options: Callable[[F], F]) -> Callable[[F], F]:
    """A decorator that adds options in the order in which the help lists them."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def _complete_endpoint(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [CompletionItem(kind) for kind in KINDS if kind.startswith(incomplete)]


def _complete_profile(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    try:
        names = profile_names(ctx.params.get("config") or CONFIG)
    except MissingCredentials:
        names = []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


credentials_options = add(
    click.option(
        "--profile",
        shell_complete=_complete_profile,
        help="A profile of the aliyun CLI or of ~/.alibabacloud/credentials.ini, instead of the environment variables.",
    ),
    click.option(
        "--config",
        default=CONFIG,
        show_default=True,
        type=click.Path(dir_okay=False),
        help="The configuration file of the aliyun CLI.",
    ),
)
cdn_options = add(
    click.option(
        "--cdn-key",
        type=click.Choice(["-"]),
        help="- reads a CDN's key: the first line of standard input.",
    ),
    *(
        click.option(
            f"--cdn-{name}".replace("_", "-"),
            default=default,
            show_default=True,
            help="As at the domain.",
        )
        for name, default in CdnKey._field_defaults.items()
    ),
)
signing_options = add(
    credentials_options,
    click.option(
        "--endpoint",
        envvar="OSS_ENDPOINT",
        default="public",
        show_default=True,
        metavar="KIND|HOST|URL",
        shell_complete=_complete_endpoint,
        help=f"{', '.join(KINDS)}; oss-REGION.aliyuncs.com; or https://DOMAIN, a custom domain. Also OSS_ENDPOINT.",
    ),
    click.option(
        "--path-style", is_flag=True, help="The bucket is first in the path of the --endpoint URL."
    ),
    click.option(
        "--region",
        envvar=["OSS_REGION", "ALIBABA_CLOUD_REGION_ID"],
        help="For example cn-hangzhou. Default: OSS_REGION, ALIBABA_CLOUD_REGION_ID, the endpoint's, or the profile's.",
    ),
    click.option(
        "--credentials-expire-at",
        type=TIME,
        metavar="TIME",
        help="When temporary credentials expire, such as 2026-11-25T08:30:00Z: no link outlives them.",
    ),
)


# --- credentials and endpoints --------------------------------------------------------------------------------


class Signing(NamedTuple):
    """What the signing options say, as `presign` takes it."""

    credentials: Credentials
    endpoint: Endpoint

    @property
    def may_end_early(self) -> bool:
        """Whether links may end before their expiry: nothing says when the security token expires."""
        return bool(self.credentials.security_token) and self.credentials.expires_at is None


def load_signing(params: dict[str, Any]) -> Signing:
    """Raises `click.UsageError`, `MissingCredentials`, `InvalidEndpoint`."""
    credentials, region = load_credentials(params["profile"], params["config"])
    if params["credentials_expire_at"] is not None:
        credentials = credentials._replace(expires_at=params["credentials_expire_at"])
    return Signing(credentials, _load_endpoint(params, region))


def _load_endpoint(params: dict[str, Any], profile_region: str) -> Endpoint:
    endpoint = params["endpoint"]
    if parse_oss_host(endpoint.lower().rstrip("/")):
        endpoint = "https://" + endpoint
    try:
        hostname = urlsplit(endpoint).hostname or "" if "://" in endpoint else ""
    except ValueError:
        fail(
            "Invalid --endpoint: expected only scheme and host, such as https://static.example.com."
        )
    host = parse_oss_host(hostname)
    signed_region = params["region"] or (host.region if host else None) or profile_region
    if not signed_region:
        fail(
            "Missing region: pass --region (for example cn-hangzhou), or set OSS_REGION or ALIBABA_CLOUD_REGION_ID."
        )
    result = _create_endpoint(endpoint, hostname, params["path_style"], signed_region)
    if signed_region not in KNOWN_REGIONS:
        closest = closest_region(signed_region)
        question = f" (did you mean {closest}?)" if closest else ""
        echo(
            f"Warning: unknown region {signed_region!r}{question}: OSS refuses the link unless it exists.",
            err=True,
        )
    return result


def _create_endpoint(endpoint: str, hostname: str, path_style: bool, region: str) -> Endpoint:
    if "://" in endpoint:
        if path_style or is_address(hostname):
            return Endpoint.path_style(endpoint, region)
        return Endpoint.custom_domain(endpoint, region)
    if path_style:
        fail("--path-style requires a URL as --endpoint.")
    if endpoint not in KINDS:
        expected = f"{', '.join(KINDS)}, oss-REGION.aliyuncs.com, or a URL such as https://static.example.com."
        fail(f"Invalid endpoint {endpoint!r}: expected {expected}")
    return KINDS[endpoint](region)


def describe_expiry(issued: Link, *, may_end_early: bool) -> str:
    """`expires 2026-11-25 00:29:48 UTC, in 10 minutes`, and what else is known of it."""
    latest, reason = (
        (" at the latest", "; earlier if the security token does") if may_end_early else ("", "")
    )
    if issued.clamped and may_end_early:
        reason += " (12 hours is the longest session of STS: pass --credentials-expire-at if the token lives longer)"
    elif issued.clamped:
        reason = ", when the credentials expire"
    return f"expires{latest} {format_time(issued.expires_at)}, in {format_duration(issued.expires_in)}{reason}"


# --- input and output -----------------------------------------------------------------------------------------


def read_argument(argument: str, description: str) -> str:
    """The argument, or standard input for "-", which keeps a link out of the shell's history."""
    if argument != "-":
        return argument
    if sys.stdin.isatty():
        return terminal.read(
            description, f"{program_name()} {click.get_current_context().info_name} - < file"
        )
    return sys.stdin.buffer.read(MAX_INPUT).decode("utf-8-sig", errors="replace")


def read_secret(name: str) -> str:
    """A line of standard input, which a terminal does not show."""
    if sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True, err=True))
    return sys.stdin.buffer.readline(MAX_INPUT).decode("utf-8-sig", errors="replace").strip()


def load_cdn_key(params: dict[str, Any]) -> CdnKey | None:
    """The key of --cdn-key, None without it, unless another setting of a CDN is given."""
    if not params["cdn_key"]:
        source = click.get_current_context().get_parameter_source
        if any(
            name.startswith("cdn_") and source(name) is ParameterSource.COMMANDLINE
            for name in params
        ):
            fail(
                "The key of the CDN is missing. Add --cdn-key - and give the key as the first line of standard input."
            )
        return None
    return CdnKey(read_secret("Key of the CDN"), params["cdn_valid_for"], params["cdn_parameter"])


def fail(message: str) -> NoReturn:
    """Ends the command with status 2."""
    raise click.UsageError(message)
