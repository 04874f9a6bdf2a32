"""`python -m deploy.reference`: writes docs/configuration.md from the tables that links.toml is read with.

`--check` only says whether the page is current.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from handler.config import load, notices

from .checks.functions import ENVIRONMENT_BYTES

PAGE = Path(__file__).parent.parent / "docs/configuration.md"

VARIABLES = {
    "LINK_CONFIG": "Another file than links.toml, beside it. The build ships it.",
    "LINK_OSS_ENDPOINT": "A local OSS for links and the function's own calls; a loopback address, else the function "
    "does not start. Never deployed.",
    "any other": "Fills in ${NAME} inside the texts of links.toml. An empty one counts as missing, and a missing one "
    "stops the function with its name.",
}

EXAMPLE = """region     = "${LINK_REGION}"
public_url = "https://links.example.com"
keys       = "oss://${LINK_BUCKET}/.links/keys.json"
state      = "oss://${LINK_BUCKET}/.links/state/"

[[mount]]
path        = "/reports/"
target      = "oss://${LINK_BUCKET}/reports/"
access      = "authenticated"
methods     = ["GET", "HEAD"]
expires     = "15m"
max_expires = "1h"
max_share   = "90d"

[[sink]]
name   = "manifest"
target = "oss://${LINK_BUCKET}/.links/notices/"

[[notice]]
on    = "created"
mount = "/reports/"
give  = "share"
to    = ["manifest"]
"""


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            "<!-- Written by python -m deploy.reference from the code. Change the tables there, not this page. -->",
            "# Configuration",
            "",
            "`links.toml` says what may be linked; what no mount covers does not exist. It is read whole when an "
            "instance starts, and a key that is not listed here, a value out of its bounds or a variable that is "
            "missing stops the function with a sentence that names the entry.",
            "",
            "```toml",
            EXAMPLE.rstrip(),
            "```",
            "",
            "Spans of time are written as `90` or `90s` (seconds), `15m`, `2h` or `1d`; sizes as bytes, or as `10MB` "
            "(1 KB is 1024 bytes). No link outlives its share, its caller's own end, the mount's `max_expires`, or "
            "`credential_life` where the credentials do not say when they end.",
            "",
            "## At the top",
            "",
            *_table("key", load.TOP_KEYS),
            "",
            "## `[[mount]]`",
            "",
            "The longest `path` that a request's path begins with wins.",
            "",
            *_table("key", load.MOUNT_KEYS),
            "",
            f"- `methods` are of {_list(load.METHODS)}.",
            f"- `query` is of {_list(load.QUERY)}.",
            f"- `endpoint` is {_list(load.ENDPOINTS)}, or an address such as `https://static.example.com`.",
            "",
            "## `[[notice]]`",
            "",
            *_table("key", notices.NOTICE_KEYS),
            "",
            f"- `on` is of {_list(notices.ON)}; `give` of {_list(notices.GIVE)}.",
            "",
            "## `[[sink]]`",
            "",
            *_table("key", notices.SINK_KEYS),
            "",
            "## The environment",
            "",
            f"In `s.yaml`, under `environmentVariables`: less than {ENVIRONMENT_BYTES} bytes in all. `s deploy` prints "
            "them, so secrets live in the [keys document](keys.md) instead.",
            "",
            *_table("variable", VARIABLES),
            "",
        ]
    )


def _table(first: str, rows: Mapping[str, str]) -> list[str]:
    lines = [f"| {first} | meaning |", "|---|---|"]
    return lines + [f"| {name if ' ' in name else f'`{name}`'} | {_cell(meaning)} |" for name, meaning in rows.items()]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _list(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the page; with `--check` the exit status is 1 where it is stale."""
    parser = argparse.ArgumentParser(prog="python -m deploy.reference", description="Writes docs/configuration.md.")
    parser.add_argument("--check", action="store_true", help="only say whether it is current")
    options = parser.parse_args(arguments)
    if not options.check:
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page():
        print("docs/configuration.md is stale: run python -m deploy.reference.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
