"""`python -m tools.secret_search [--known FILE] FILE…`: searches what a run printed for secrets.

It prints the file, the line and the kind of each, never the secret. `record` collects the secrets that a run makes.
"""

from __future__ import annotations

import argparse
import re
import secrets
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from handler.notices import sinks

# Between a name and its value: in a query (also encoded), a header, JSON (also escaped), or an assignment.
_IS = r"""(?:\\*["'])?\s*(?:=|:|%(?:25)*3D)\s*(?:\\*["'])?"""
KINDS = {
    "a signature": re.compile(
        rf"signature{_IS}[\w%+/-]{{27,}}|<SignatureProvided>[\w+/]{{27,}}|SignatureProvided&gt;[\w+/]{{27,}}",
        re.I,
    ),
    "a security token": re.compile(
        rf"\bCAIS[\w+/=%]{{16,}}|(?:security|session)[_-]?token{_IS}(?!REDACTED)[\w+/%=]{{16,}}",
        re.I,
    ),
    "an access key secret": re.compile(
        rf"access_?key_?secret{_IS}(?!REDACTED)[\w+/-]{{16,}}", re.I
    ),
    "a share": re.compile(r"(?<![\w-])share(?:=|%(?:25)*3D)[\w-]{22,}"),
    "an API key": re.compile(r"\bfcp_[\w-]{32,}"),
    "a sink's secret": re.compile(
        rf"(?:{'|'.join(re.escape(kind.FOUND_BY) for kind in sinks.KINDS.values())})[\w+/=-]{{16,}}"
    ),
    "a JWT": re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}"),
    "a bearer token": re.compile(r"\bBearer\s+(?!REDACTED)[\w.~+/=-]{20,}", re.I),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}


class Finding(NamedTuple):
    """The line of a secret, from 1, and what it is."""

    line: int
    kind: str


def search(output: str, known: Collection[str] = ()) -> list[Finding]:
    """The secrets in an output: by their form, and those that are known."""
    places = [
        (match.start(), kind)
        for kind, pattern in KINDS.items()
        for match in pattern.finditer(output)
    ]
    for secret in known:
        place = -1
        while (place := output.find(secret, place + 1)) != -1:
            places.append((place, "a secret of this run"))
    return sorted({Finding(output.count("\n", 0, place) + 1, kind) for place, kind in places})


def record(path: Path) -> None:
    """Adds every secret that this process makes from now on to a file, one per line.

    The service and the local stack make keys with `secrets.token_urlsafe`, of at least 32 bytes; what is shorter is the
    secret of a share, which is known by its form, or a nonce or an identifier, which may be shown.
    """
    make = secrets.token_urlsafe

    def token_urlsafe(nbytes: int | None = None) -> str:
        value = make(nbytes)
        if nbytes is not None and nbytes >= 32:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{value}\n")
        return value

    secrets.token_urlsafe = token_urlsafe


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.secret_search", description="Search outputs for secrets."
    )
    parser.add_argument(
        "--known", metavar="FILE", type=Path, help="secrets to search for, one per line"
    )
    parser.add_argument("outputs", metavar="FILE", type=Path, nargs="+", help="what a run printed")
    options = parser.parse_args(arguments)
    known = options.known.read_text(encoding="utf-8").split() if options.known else []
    if options.known and not known:
        parser.error(
            f"{options.known} has no secrets: set SECRETS_USED to it for the run of the tests."
        )
    has_secrets = False
    for path in options.outputs:
        for finding in search(path.read_text(encoding="utf-8", errors="replace"), known):
            print(f"{path}:{finding.line}: contains {finding.kind}", file=sys.stderr)
            has_secrets = True
    return 1 if has_secrets else 0


if __name__ == "__main__":
    sys.exit(main())
