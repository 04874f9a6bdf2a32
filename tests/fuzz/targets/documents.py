"""What operators write: the keys document, and links.toml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from handler.commands import keys_edit
from handler.core.auth.jwt import identify
from handler.core.config import InvalidConfig
from handler.core.config.load import load
from handler.core.errors import Problem
from handler.core.keys import InvalidKeys, Keys, parse
from handler.notices.sinks import KINDS, read_sink
from handler.notices.sinks.base import InvalidSink
from tests.fuzz.laws import Run, check_no_secret, check_refused, check_sentence
from tests.fuzz.mutations import ROOT
from tests.handler.client import NOW
from tests.handler.keys_fixtures import SECRET, base64url, token
from tests.handler.notice_fixtures import WHSEC

WEBHOOK = "https://hooks.example.com/EXAMPLE-SECRET-PATH"
KEYS_SECRETS = (base64url(b"n" * 32), base64url(b"o" * 32), base64url(SECRET), WHSEC, WEBHOOK)
VARIABLES = {"LINK_REGION": "cn-hangzhou", "LINK_BUCKET": "examplebucket"}

TOKEN_CODES = (
    "malformed_credential",
    "unknown_credential",
    "authorization_expired",
    "keys_unavailable",
)
TOML = r"links\.toml(?:: | is not valid TOML: )\S"
_IN_ITS_PLACE = re.compile(r'"(?:secret|url)"\s*:\s*"[^"]*"')
ENTRY = r"(?:keys document|Invalid sink|share \d+|api \d+|jwt \d+)\b"


@contextmanager
def keys_documents() -> Iterator[Run]:
    """A document is refused by the place of its fault, without a value, or its keys can be used and written again."""
    tokens = [token(header={"kid": kid}) for kid in ("a", "b")]
    for alg in ("RS256", "ES256"):
        header = base64url(json.dumps({"alg": alg, "typ": "JWT"}).encode())
        tokens.append(f"{header}.{token().split('.')[1]}.{base64url(b's' * 64)}")

    def run(data: bytes) -> None:
        rest = _IN_ITS_PLACE.sub("", data.decode("utf-8", "replace"))
        # That are only where secrets belong.
        secrets = [secret for secret in KEYS_SECRETS if secret not in rest]
        try:
            keys = parse(data)
        except InvalidKeys as error:
            check_sentence(error, ENTRY)
            check_no_secret(error.sentence, secrets)
            return
        check_no_secret(repr(keys), secrets)
        assert keys.owners() is not None
        assert keys_edit.read(data)[1] == keys
        assert_kept(data, keys)
        for name, entry in keys.sinks.items():
            try:
                sink = read_sink(name, entry, KINDS)
            except InvalidSink as error:
                check_no_secret(error.sentence, secrets)
            else:
                check_no_secret(repr(sink), secrets)
        for each in tokens:
            try:
                identify(each, keys, NOW)
            except Problem as problem:
                check_refused(problem, *TOKEN_CODES)

    yield run


def assert_kept(data: bytes, keys: Keys) -> None:
    """A change leaves everything else as it is. A string that no file can hold is not a valid change."""
    try:
        rotated = keys_edit.rotate_share(keys_edit.read(data)[0])
        again = parse(keys_edit.serialize(rotated[0]))
    except InvalidKeys:
        raise AssertionError("a valid document cannot be changed") from None
    assert again.share[:-1] == keys.share
    assert again._replace(share=()) == keys._replace(share=())


@contextmanager
def links_toml() -> Iterator[Run]:
    """A file is refused by the place of its fault, or it opens nothing that belongs to the service."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "links.toml"

        def run(data: bytes) -> None:
            file.write_bytes(data)
            try:
                config = load(str(file), VARIABLES)
            except InvalidConfig as error:
                check_sentence(error, TOML)
                return
            assert load(str(file), VARIABLES) == config
            for mount in config.mounts:
                assert config.mounts.covering(mount.path) == mount
                assert 1 <= mount.expires <= mount.max_expires <= 604_800
                for reserved in filter(mount.target.contains, config.mounts.reserved):
                    path_below = mount.path + reserved.key[len(mount.target.key) :]
                    try:
                        target = config.mounts.find(
                            path_below + ("x" if path_below.endswith("/") else "")
                        )
                    except Problem as problem:
                        check_refused(problem, "not_found")
                    else:
                        assert not config.mounts.is_reserved(*target.location), reserved

        yield run


def links_toml_seeds() -> list[bytes]:
    return [
        (ROOT / name).read_bytes()
        for name in ("links.toml", "tests/links.toml", "tests/fuzz/links.toml")
    ]
