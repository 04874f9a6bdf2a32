"""What operators write: the keys document, and links.toml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from handler.auth.jwt import identify
from handler.config import InvalidConfig, Location
from handler.config.load import load
from handler.errors import Problem
from handler.keys import InvalidKeys, Keys, edit, parse
from handler.links import find_mount
from handler.notices.sinks import KINDS, read_sink
from handler.notices.sinks.base import InvalidSink
from tests.fuzz.coverage import ROOT
from tests.fuzz.fuzzer import Run
from tests.fuzz.laws import check_no_secret, check_refused, check_sentence
from tests.handler.client import NOW
from tests.handler.keys.test_document import PUBLIC_EC, PUBLIC_RSA, rs256
from tests.handler.keys_fixtures import ISSUER, SECRET, base64url, document, issuer, token
from tests.handler.notice_fixtures import WHSEC

WEBHOOK = "https://hooks.example.com/EXAMPLE-SECRET-PATH"
KEYS_SECRETS = (base64url(b"n" * 32), base64url(b"o" * 32), base64url(SECRET), WHSEC, WEBHOOK)
VARIABLES = {"LINK_REGION": "cn-hangzhou", "LINK_BUCKET": "examplebucket"}

TOKEN_CODES = ("malformed_credential", "unknown_credential", "authorization_expired", "keys_unavailable")
_TOML = re.compile(r"links\.toml(?:: | is not valid TOML: )\S")
_IN_ITS_PLACE = re.compile(r'"(?:secret|url)"\s*:\s*"[^"]*"')
_ENTRY = re.compile(r"(?:keys document|Invalid sink|share \d+|api \d+|jwt \d+)\b")


# --- the keys document --------------------------------------------------------------------------------------------


@contextmanager
def keys_documents() -> Iterator[Run]:
    """A document is refused by the place of its fault, without a value, or its keys can be used and written again."""
    tokens = [token(header={"kid": kid}) for kid in ("a", "b")]
    other_tokens = [as_signed_with("RS256"), as_signed_with("ES256")]

    def run(data: bytes) -> None:
        rest = _IN_ITS_PLACE.sub("", data.decode("utf-8", "replace"))
        secrets = [secret for secret in KEYS_SECRETS if secret not in rest]  # that are only where secrets belong
        try:
            keys = parse(data)
        except InvalidKeys as error:
            check_sentence(error, _ENTRY)
            check_no_secret(error.sentence, secrets)
            return
        check_no_secret(repr(keys), secrets)
        assert keys.owners() is not None
        assert edit.read(data)[1] == keys
        assert_kept(data, keys)
        for name, entry in keys.sinks.items():
            try:
                sink = read_sink(name, entry, KINDS)
            except InvalidSink as error:
                check_no_secret(error.sentence, secrets)
            else:
                check_no_secret(repr(sink), secrets)
        for each in (*tokens, *other_tokens):
            try:
                identify(each, keys, NOW)
            except Problem as problem:
                check_refused(problem, *TOKEN_CODES)

    yield run


def as_signed_with(alg: str) -> str:
    """A token that claims to be signed with an algorithm."""
    header = base64url(json.dumps({"alg": alg, "typ": "JWT"}).encode())
    return f"{header}.{token().split('.')[1]}.{base64url(b's' * 64)}"


def assert_kept(data: bytes, keys: Keys) -> None:
    """A change leaves everything else as it is. A string that no file can hold is not a valid change."""
    try:
        rotated = edit.rotate_share(edit.read(data)[0])
        again = parse(edit.serialize(rotated[0]))
    except InvalidKeys:
        raise AssertionError("a valid document cannot be changed") from None
    assert again.share[:-1] == keys.share
    assert again._replace(share=()) == keys._replace(share=())


def keys_document_seeds() -> Iterable[bytes]:
    kinds = ("dingtalk", "feishu", "wecom", "slack")
    sinks = {kind: {"kind": kind, "url": WEBHOOK, "retry_for": "1d"} for kind in kinds}
    sinks["ops"] = {"kind": "webhook", "url": WEBHOOK, "secret": WHSEC}
    two = [{**PUBLIC_EC, "kid": "a", "use": "sig"}, {**PUBLIC_EC, "kid": "b", "key_ops": ["verify"]}]
    documents = (
        document(),
        document(sinks=sinks),
        document(jwt=[rs256(PUBLIC_RSA)]),
        document(jwt=[rs256(*two, alg="ES256", paths=None, methods=None, leeway=30, max_share="30d", id="a")]),
        document(jwt=[issuer(iss=ISSUER), issuer(iss="https://other.example.com", leeway=60)]),
        {"version": 1},
    )
    return [json.dumps(each, indent=1).encode() for each in documents]


# --- links.toml ---------------------------------------------------------------------------------------------------


@contextmanager
def links_toml() -> Iterator[Run]:
    """A file is refused by the place of its fault, or it opens nothing that belongs to the service."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "links.toml"

        def run(data: bytes) -> None:
            path.write_bytes(data)
            try:
                config = load(str(path), VARIABLES)
            except InvalidConfig as error:
                check_sentence(error, _TOML)
                return
            assert load(str(path), VARIABLES) == config
            for mount in config.mounts:
                assert config.mount(mount.path) == mount
                assert 1 <= mount.expires <= mount.max_expires <= 604_800
                for reserved in config.reserved:
                    if mount.target.contains(reserved):
                        assert_refused(mount.path + reserved.key[len(mount.target.key) :], reserved)

        def assert_refused(path_below: str, reserved: Location) -> None:
            config = load(str(path), VARIABLES)
            try:
                mount, key = find_mount(config, path_below + ("x" if path_below.endswith("/") else ""))
            except Problem as problem:
                check_refused(problem, "not_found")
            else:
                assert not config.is_reserved(mount.target.bucket, key), reserved

        yield run


def links_toml_seeds() -> Iterable[bytes]:
    names = (
        "links.toml",
        "tests/e2e/links.toml",
        "tests/e2e/own_domain_links.toml",
        "tests/e2e/upload_links.toml",
    )
    every_key = """
region = "cn-hangzhou"
credential_life = "1h"
keys = "file:keys.json"
state = "oss://statebucket/.links/state/"
public_url = "https://links.example.com"
cors = ["https://app.example.com"]
cors_allow_origin = "function"

[assume_role]
role = "acs:ram::1000000000000001:role/links"

[[mount]]
path = "/a/"
target = "oss://examplebucket/a/"
access = "anonymous"
methods = ["GET", "HEAD"]
expires = 90
max_expires = "7d"
region = "cn-shanghai"
role = "acs:ram::1000000000000001:role/links-a"
endpoint = "https://static.example.com"
query = ["x-oss-process", "versionId"]
process = ["image/resize,w_100"]
unknown_query = "ignore"
max_share = "30d"
check = true
cache = "5m"
inline = ["image/png"]
active_content = false

[[mount]]
path = "/b/"
target = "oss://examplebucket/"
region = "cn-shanghai"
methods = ["PUT", "POST"]
max_size = "5MB"
overwrite = true

[[notice]]
on = "timer"
mount = "/a/"
give = "share"
expires = "1d"
to = ["ops"]
every = "1h"

[[sink]]
name = "manifest"
target = "oss://statebucket/.links/notices/"
"""
    return [*((ROOT / name).read_bytes() for name in names), every_key.encode()]
