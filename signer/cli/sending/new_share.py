"""A new share: the options that say what it is, and what the service answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import click

from .. import options
from ..service import Service
from ..terminal import echo

share_options = options.add(
    click.option(
        "--expires",
        type=options.LIFETIME,
        default="7d",
        show_default=True,
        help="From now, as 30d or 12h.",
    ),
    click.option(
        "--password",
        is_flag=True,
        help="Protect it with a code, which is printed behind the address.",
    ),
    click.option(
        "--title", type=options.words(120), help="What the page says first, in your words."
    ),
)


def create_share(service: Service, as_json: bool, **params: Any) -> dict[str, Any]:
    """A new share, whose address is printed with the code behind it; id and end are on standard error."""
    body = {name: value for name, value in params.items() if value not in (None, False)}
    document = {"path": params["path"], **service.ask("POST", "/-/shares", body=body)}
    url, code, share_id, end = (
        document.get(name, "") for name in ("url", "password", "id", "expires_at")
    )
    if not all(isinstance(value, str) for value in (url, code, share_id, end)) or not url:
        raise service.refusal(document)
    if not as_json:
        echo(f"{url} {code}".rstrip())
        limited = limited_by(document)
        line = f"{share_id}: {params['path']}, until {end}{limited}.{deleted_before(document)}"
        covers = document.get("covers", "")
        if "files" in params:
            covers = f"Files: {params['files']}."
        echo(f"{line} {covers}".rstrip(), err=True)
    return document


def limited_by(document: Mapping[str, Any]) -> str:
    """What ended a share earlier than was asked for, "" where nothing did."""
    match document.get("clamped_by"):
        case "mount":
            return " (the latest that the mount allows)"
        case "caller":
            return " (the latest that your key allows)"
        case _:
            return ""


def deleted_before(document: Mapping[str, Any]) -> str:
    """When files of a share are deleted, "" where that is not before its end."""
    deleted_at = document.get("deleted_at")
    return f" OSS deletes files of it before, from {deleted_at} on." if deleted_at else ""


class ShareCommand(options.Command):
    """Refuses a code behind --password, which would be the name of a file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for option, following in pairwise(args):
            is_value = not following.startswith("-") and not os.path.lexists(following)
            if option == "--password" and is_value:
                options.fail(
                    "--password takes no value: the service makes the code. No file has the name that follows it."
                )
        return super().parse_args(ctx, args)
