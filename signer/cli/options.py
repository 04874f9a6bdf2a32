"""What all commands ask alike: who signs, where the object is, and what is signed with it."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TypeVar
from urllib.parse import urlsplit

import click
from click.shell_completion import CompletionItem

from ..credentials import Credentials
from ..endpoint import Endpoint
from ..errors import MissingCredentials
from ..names import METHODS
from ..redaction import redact
from ..times import parse_duration
from . import profile as profiles

F = TypeVar("F", bound=Callable[..., Any])
KINDS = ("public", "internal", "accelerate", "accelerate-overseas", "dual-stack")
_SIZE = re.compile(r"([0-9]{1,12})\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Target(NamedTuple):
    """`oss://bucket/key`, the key letter by letter: nothing in it is percent-decoded."""

    bucket: str
    key: str


class Span(click.ParamType[int]):
    """A span of time, in seconds."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Seconds of 90, 90s, 15m, 2h or 1d."""
        seconds = value if isinstance(value, int) else parse_duration(str(value))
        if seconds is None:
            self.fail(f"{value!r} is no span of time: write 90, 90s, 15m, 2h or 7d.", param, ctx)
        return seconds


class Size(click.ParamType[int]):
    """A size in bytes."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes of 1000, 10K, 10MB or 5GiB; K is 1024."""
        found = _SIZE.fullmatch(str(value))
        if not found:
            self.fail(f"{value!r} is no size: write 1000, 512K, 10MB or 5G (K is 1024).", param, ctx)
        return int(found[1]) * _UNITS[found[2].upper()]


class OssAddress(click.ParamType[Target]):
    """oss://bucket/key."""

    name = "oss://bucket/key"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Target:
        """Bucket and key."""
        if isinstance(value, Target):
            return value
        text = str(value)
        bucket, slash, key = text.removeprefix("oss://").partition("/")
        if not text.startswith("oss://") or not bucket or not slash:
            self.fail(f"{redact(text)!r} is no address of an object: write oss://bucket/key.", param, ctx)
        return Target(bucket, key)


class Pair(click.ParamType[tuple[str, str]]):
    """A name and a value."""

    def __init__(self, sign: str, example: str) -> None:
        self._sign = sign
        self._example = example
        self.name = example

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Both parts; the value may be empty."""
        if isinstance(value, tuple):
            return value
        name, sign, rest = str(value).partition(self._sign)
        if not name.strip() or (not sign and self._sign == ":"):
            # The text is not repeated: a header may hold a secret.
            self.fail(f"write it as {self._example!r}.", param, ctx)
        return name.strip(), rest.strip() if self._sign == ":" else rest


def _endpoints(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(kind) for kind in KINDS if kind.startswith(incomplete)]


def _profiles(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    path = ctx.params.get("config") or profiles.DEFAULT
    return [CompletionItem(name) for name in profiles.names(path) if name.startswith(incomplete)]


def signing(function: F) -> F:
    """Options that say who signs and for which endpoint."""
    for option in reversed(
        (
            click.option(
                "--endpoint",
                default="public",
                show_default=True,
                metavar="KIND|URL",
                shell_complete=_endpoints,
                help=f"{', '.join(KINDS)}; or https://DOMAIN, a custom domain.",
            ),
            click.option(
                "--path-style", is_flag=True, help="The bucket stands first in the path of the --endpoint URL."
            ),
            click.option("--region", envvar="OSS_REGION", help="Such as cn-hangzhou; or OSS_REGION, or the profile's."),
        )
    ):
        function = option(function)
    return identity(function)


def identity(function: F) -> F:
    """Options that say who signs."""
    for option in reversed(
        (
            click.option(
                "--profile", shell_complete=_profiles, help="A profile of the aliyun CLI, instead of the environment."
            ),
            click.option(
                "--config",
                default=profiles.DEFAULT,
                show_default=True,
                type=click.Path(dir_okay=False),
                help="The aliyun CLI's configuration file.",
            ),
        )
    ):
        function = option(function)
    return function


METHOD = click.Choice(sorted(METHODS), case_sensitive=False)
HEADER = Pair(":", "Name: value")
QUERY = Pair("=", "name=value")


class Who(NamedTuple):
    """Credentials, and the region of their profile."""

    credentials: Credentials
    region: str


def who(profile: str | None, config: str) -> Who:
    """The credentials of a profile, or of the environment. Raises `MissingCredentials`."""
    if profile:
        found = profiles.read_profile(profile, config)
        return Who(found.credentials, found.region)
    return Who(Credentials.from_environment(), "")


def endpoint(text: str, path_style: bool, region: str | None, profile_region: str) -> Endpoint:
    """The endpoint that the options name."""
    region = region or profile_region
    if not region:
        raise click.UsageError("Which region? Give --region cn-hangzhou, or set OSS_REGION.")
    if "://" in text:
        host = urlsplit(text).hostname or ""
        if path_style or re.fullmatch(r"[0-9.]+|localhost|.*:.*", host):
            return Endpoint.path_style(text, region)
        return Endpoint.custom_domain(text, region)
    if path_style:
        raise click.UsageError("--path-style goes with --endpoint https://…")
    made = {
        "public": lambda: Endpoint.public(region),
        "internal": lambda: Endpoint.internal(region),
        "accelerate": lambda: Endpoint.accelerate(region),
        "accelerate-overseas": lambda: Endpoint.accelerate(region, overseas=True),
        "dual-stack": lambda: Endpoint.dual_stack(region),
    }.get(text)
    if made is None:
        raise click.UsageError(
            f"{text!r} is no endpoint: one of {', '.join(KINDS)}, or a URL such as https://static.example.com."
        )
    return made()


def text_of(argument: str, what: str) -> str:
    """An argument, or standard input for "-", which keeps it out of the shell's history."""
    if argument != "-":
        return argument
    if sys.stdin.isatty():
        click.echo(f"Paste {what}, then press Ctrl-D (Windows: Ctrl-Z, Enter):", err=True)
    data = sys.stdin.buffer.read(1 << 20)
    return data.decode("utf-8-sig", errors="replace")


def show(document: object) -> None:
    """A document as JSON, on one line where a program reads it."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def stop(sentence: str) -> NoReturn:
    """Ends with status 2 and one sentence."""
    raise click.UsageError(sentence)


def possible_credentials(profile: str | None, config: str) -> Credentials | None:
    """Credentials where some are meant; none set is no error, a half-set pair or a bad profile is."""
    if profile:
        return who(profile, config).credentials
    try:
        return Credentials.from_environment()
    except MissingCredentials as error:
        variables = error.variables if isinstance(error.variables, tuple) else ()
        if any(os.environ.get(name) for name in variables):
            raise
        return None
