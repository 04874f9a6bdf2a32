"""`python -m tools.reference`: writes what docs and OpenAPI say of keys, errors and sinks from the tables in the code.

`--check` only says whether they are current.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.command import run
from handler.core import errors
from handler.core.config import assume_role, notices, table
from handler.core.config.reader import REQUIRED, Key
from handler.notices import sinks
from handler.notices.sinks import SinkKind
from local.fc.functions import MAX_ENVIRONMENT_BYTES
from signer.common.files import replace_file
from signer.common.printing import Parser, show

ROOT = Path(__file__).parent.parent

EXAMPLE = """region     = "${LINK_REGION}"
public_url = "https://links.example.com"
keys       = "oss://${LINK_BUCKET}/.links/keys.json"
state      = "oss://${LINK_BUCKET}/.links/state/"

[[mount]]
path        = "/reports/"
target      = "oss://${LINK_BUCKET}/reports/"
methods     = ["GET"]
max_expires = "30m"
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

THUMBNAIL = """[[mount]]
path    = "/photos/"
target  = "oss://${LINK_BUCKET}/photos/"
access  = "anonymous"
query   = ["x-oss-process"]
process = ["image/resize,w_320"]
"""


def configuration_page() -> str:
    return f"""\
<!-- Written by python -m tools.reference from the code. -->
# Configuration

`links.toml` says what may be linked. A path that no mount covers returns 404. The function reads the file when an
instance starts; an unknown key, an invalid value, or a
missing or empty variable stops it.

```toml
{EXAMPLE.rstrip()}
```

Write durations as `90` or `90s` (seconds), `15m`, `2h` or `1d`; sizes in bytes, or as `10MB` (1 KB is 1024 bytes).
Paths and prefixes are not percent-encoded. A link never outlives its share, its caller's key or token, the mount's
`max_expires`, or its credentials.

## At the top

{_keys(table.TOP_KEYS)}

## `[[mount]]`

The longest `path` with which the request's path begins is used.

{_keys(table.MOUNT_KEYS)}

- A mount with `cdn` has no {_list(_forbidden_by("cdn"))}.
- `inline` may contain the types that [media_types.py](../handler/core/config/media_types.py) lists with their
  extensions, each also with a charset: `text/plain; charset=utf-8`. The extension of the key decides.

Images of a page and their thumbnails, such as `/photos/a.jpg?x-oss-process=image/resize,w_320`, and no other size.
Browsers keep them with [`cache`](api.md#settings-of-a-mount-that-change-its-links). The OSS of `make run` has its
files in `samples/examplebucket/`, and answers a thumbnail with 501:

```toml
{THUMBNAIL.rstrip()}
```

## `[assume_role]`

With this table, each mount signs with a session of its own ([sessions.md](sessions.md)).

{_keys(assume_role.ASSUME_ROLE_KEYS)}

## `[[notice]]`

{_keys(notices.NOTICE_KEYS)}

## `[[sink]]`

Sinks in OSS. All others are in the [keys document](keys.md#sinks).

{_keys(notices.SINK_KEYS)}

## Environment variables

Set them in `s.yaml`, under `environmentVariables`: less than {MAX_ENVIRONMENT_BYTES} bytes in total. `s deploy` prints
them, so they are no place for secrets.

- Any variable replaces its `${{NAME}}` in the strings of `links.toml`.
- `LINK_CONFIG` names a file beside `links.toml` to read instead of it, which the build includes.
- `LINK_OSS_ENDPOINT`, `LINK_STS_ENDPOINT`, `LINK_CDN_ENDPOINT` (`name=address` pairs, separated by commas) and
  `LINK_PUBLIC_URL` are for local services. Never deploy these: the function starts with loopback addresses only.
"""


def errors_page() -> str:
    return f"""\
<!-- Written by python -m tools.reference from handler/core/errors.py. -->
# Errors

Every error of the HTTP service is a problem document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)); a browser
gets a page instead ([an example](api.md)). Programs should read `code`, which does not change; the words of `detail`
may. The function's log has a line with the same `request_id`. If there is a `Retry-After` header, try again after that
many seconds.

## 4xx: The request cannot be answered

{_errors(4)}

## 5xx: The service cannot answer

{_errors(5)}
"""


def events_page(current: str) -> str:
    """The page with its table of sinks written again."""
    rows = [_sink(name, kind) for name, kind in sinks.KINDS.items()]
    table = [
        "| kind | message | signature | pace | largest message |",
        "|---|---|---|---|---|",
        *rows,
        "| `[[sink]]` | `{target}{yyyy}/{mm}/{dd}/{hash of the notice ids}.jsonl`, one notice a line, one object for "
        "each invocation | none | any | any |",
    ]
    return _between(
        r"<!-- begin: sinks -->\n", "\n".join(table) + "\n", r"<!-- end: sinks -->", current
    )


def openapi(current: str) -> str:
    """The document with what `GET /-/me` says of a mount written again."""
    schemas = {name: key.schema for name, key in table.MOUNT_KEYS.items() if key.schema}
    properties = [
        f"          {json.dumps(name)}: {_json(schema)}" for name, schema in schemas.items()
    ]
    lines = [
        '\n        "type": "object",',
        '        "properties": {',
        ",\n".join(properties),
        "        },",
        f'        "required": {json.dumps([*schemas])},',
        '        "additionalProperties": false',
    ]
    return _between(r'\n      "MyMount": \{', "\n".join(lines), r"\n      \}", current)


PAGES: Mapping[str, Callable[[str], str]] = {
    "docs/configuration.md": lambda _: configuration_page(),
    "docs/errors.md": lambda _: errors_page(),
    "docs/events.md": events_page,
    "handler/web/openapi.json": openapi,
}


def _between(begin: str, content: str, end: str, page: str) -> str:
    """The page with other content between the only places where these patterns match."""
    parts = re.fullmatch(f"(.*?{begin}).*?({end}.*)", page, re.DOTALL)
    assert parts is not None
    return f"{parts[1]}{content}{parts[2]}"


def _json(value: object) -> str:
    """As the document is written: with spaces inside of braces."""
    return json.dumps(value).replace("{", "{ ").replace("}", " }")


def _sink(name: str, kind: SinkKind) -> str:
    pace = f"{round(60 / kind.MIN_INTERVAL)} a minute" if kind.MIN_INTERVAL else "any"
    return (
        f"| `{name}` | {kind.MESSAGE} | {kind.SIGNATURE} | {pace} | {kind.SERVICE_BYTES:,} bytes |"
    )


def _keys(keys: Mapping[str, Key]) -> str:
    """A list of the keys that need words; tables have sections of their own."""
    return "\n".join(f"- `{name}`: {_meaning(key)}" for name, key in keys.items() if key.says)


def _meaning(key: Key) -> str:
    """All that the row of a key says."""
    sentences = [key.says]
    if key.default is REQUIRED:
        sentences.insert(0, "Required.")
    elif key.default:
        sentences.append(f"Default: {_written(key.default)}.")
    if key.needs:
        sentences.append(f"It requires {' and '.join(key.needs)}.")
    return " ".join(sentences)


def _forbidden_by(other: str) -> list[str]:
    """The keys that a mount with the key `other` must not have."""
    return [name for name, key in table.MOUNT_KEYS.items() if other in dict(key.forbids)]


def _written(default: object) -> str:
    """A default as it would stand in links.toml, without quotes; a number is a duration in seconds."""
    if isinstance(default, int):
        return f"{default // 3600}h"
    return ", ".join(default) if isinstance(default, tuple) else str(default)


def _errors(status_class: int) -> str:
    """A heading for each status, and below it each code with what it means and what to do."""
    lines = list[str]()
    status = None
    for code, entry in sorted(errors.ERRORS.items(), key=lambda item: (item[1].status, item[0])):
        if entry.status // 100 != status_class:
            continue
        if entry.status != status:
            status = entry.status
            lines.append(f"\n### {status}\n")
        lines.append(f"- `{code}`: {_escaped(entry.meaning)} {_escaped(entry.action)}")
    return "\n".join(lines).lstrip()


def _escaped(content: str) -> str:
    return content.replace("<", "&lt;")


def _list(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m tools.reference",
        description="Write what docs and OpenAPI have of the code.",
    )
    parser.add_argument("--check", action="store_true", help="only check that they are current")
    options = parser.parse_args(arguments)
    stale = False
    for name, page in PAGES.items():
        path = ROOT / name
        current = path.read_text(encoding="utf-8")
        written = page(current)
        if written == current:
            continue
        if options.check:
            show(f"{name} is not current: run python -m tools.reference.", file=sys.stderr)
            stale = True
        else:
            replace_file(str(path), written.encode())
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(run("python -m tools.reference", main))
