"""The keys document: every secret of the service in one JSON text, parsed strictly.

```json
{"version": 1, "share": [{"id", "secret"}], "api": [{"id", "sha256", "paths", "methods", "expires_at"}],
 "jwt": [{"iss", "aud", "alg", "secret" | "jwks", "paths", "methods", "leeway"}], "sinks": {"name": {"kind"}}}
```

`python -m handler.keys` makes and changes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from .fields import METHODS, Entry, InvalidKeys
from .issuer import Issuer, read_issuer

__all__ = ["ID", "METHODS", "ApiKey", "InvalidKeys", "Issuer", "Keys", "ShareKey", "load_json", "parse"]

VERSION = 1
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHAPE_OF_ID = "a name of 1 to 64 letters, digits, ., _ and -, beginning with a letter or digit"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ShareKey(NamedTuple):
    """What signs and verifies shares; `secret` is at least 32 bytes."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"ShareKey(id={self.id!r}, secret='***')"


class ApiKey(NamedTuple):
    """An API key: `sha256` (hexadecimal) is of its whole text, fcp_ included; `expires_at` is in Unix seconds."""

    id: str
    sha256: str
    paths: tuple[str, ...]
    methods: tuple[str, ...]
    expires_at: float | None

    @property
    def owner(self) -> str:
        """Who owns its shares; with the hash, so that a new key of the same name does not revive the old one's."""
        return f"api:{self.id}:{self.sha256}"


class Keys(NamedTuple):
    """The whole document. Share keys are oldest first: the newest signs, all verify."""

    share: tuple[ShareKey, ...]
    api: tuple[ApiKey, ...]
    jwt: tuple[Issuer, ...]
    sinks: Mapping[str, Mapping[str, object]]

    def owners(self) -> frozenset[str]:
        """Who shares may belong to: every API key and every issuer of the document."""
        return frozenset([*(key.owner for key in self.api), *(f"jwt:{issuer.iss}" for issuer in self.jwt)])

    def __repr__(self) -> str:
        # A sink's address is a secret, too.
        return f"Keys(share={self.share!r}, api={self.api!r}, jwt={self.jwt!r}, sinks={sorted(self.sinks)!r})"


def parse(document: bytes | str) -> Keys:
    """The keys in a document, checked whole. Raises `InvalidKeys`."""
    top = Entry("The keys document", load_json(document), ("version", "share", "api", "jwt", "sinks"))
    version = top.required("version")
    if type(version) is not int or version != VERSION:
        top.refuse("version", f"is not {VERSION}, the one that this release understands")
    share = tuple(_share(number, value) for number, value in enumerate(top.entries("share"), 1))
    api = tuple(_api(number, value) for number, value in enumerate(top.entries("api"), 1))
    jwt = tuple(read_issuer(number, value) for number, value in enumerate(top.entries("jwt"), 1))
    _distinct("share", "id", [key.id for key in share])
    _distinct("share", "secret", [key.secret for key in share])
    _distinct("api", "id", [key.id for key in api])
    _distinct("api", "sha256", [key.sha256 for key in api])
    _distinct("jwt", "iss", [issuer.iss for issuer in jwt])
    return Keys(share, api, jwt, _sinks(top))


def load_json(document: bytes | str) -> Any:
    """The JSON of a document in which no object names a member twice. Raises `InvalidKeys`."""
    try:
        text = document.decode() if isinstance(document, bytes) else document
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise InvalidKeys("The keys document is no UTF-8.") from None
    except json.JSONDecodeError as error:
        raise InvalidKeys(f"The keys document is no JSON (line {error.lineno}, column {error.colno}).") from None
    except (ValueError, RecursionError):
        raise InvalidKeys("The keys document is no JSON that can be read.") from None


def _share(number: int, value: object) -> ShareKey:
    entry = Entry(f"share {number}", value, ("id", "secret"))
    return ShareKey(entry.matching("id", ID, _SHAPE_OF_ID), entry.secret("secret"))


def _api(number: int, value: object) -> ApiKey:
    entry = Entry(f"api {number}", value, ("id", "sha256", "paths", "methods", "expires_at"))
    found = entry.matching("id", ID, _SHAPE_OF_ID)
    entry.where = f"api {number} ({found})"
    return ApiKey(
        found,
        entry.matching("sha256", _SHA256, "the SHA-256 of a key in 64 lower-case hexadecimal digits"),
        entry.paths(),
        entry.methods(),
        entry.moment("expires_at"),
    )


def _sinks(top: Entry) -> Mapping[str, Mapping[str, object]]:
    """Each sink has a kind; what else it needs, the sinks themselves check."""
    value = top.members.get("sinks", {})
    if not isinstance(value, dict):
        top.refuse("sinks", "is no object: write {…}")
    for number, sink in enumerate(value.values(), 1):
        if not isinstance(sink, dict) or not isinstance(sink.get("kind"), str) or not sink["kind"]:
            top.refuse("sinks", f"has an entry ({number}) that is no object with a kind")
    return value


def _distinct(name: str, member: str, values: Sequence[object]) -> None:
    if len(set(values)) != len(values):
        raise InvalidKeys(f"Two entries of {name} have one {member}: leave one of them out.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidKeys("An object of the keys document names one member twice: leave one of the two out.")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
