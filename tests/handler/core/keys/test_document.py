"""The keys document: what it contains, and the many ways in which it can be invalid."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from handler.core.keys import ApiKey, InvalidKeys, ShareKey, parse
from tests.handler.client import ask
from tests.handler.keys_fixtures import (
    READER,
    SECRET,
    api,
    base64url,
    config_with,
    document,
    hash_of,
    issuer,
)

SHORT = base64url(b"s" * 31)
PUBLIC_RSA = {"kty": "RSA", "n": base64url(b"\xc1" * 256), "e": "AQAB"}
PUBLIC_EC = {"kty": "EC", "crv": "P-256", "x": base64url(b"x" * 32), "y": base64url(b"y" * 32)}


def serialized(**changes: object) -> bytes:
    return json.dumps(document(**changes)).encode()


def without(name: str) -> bytes:
    return json.dumps(
        {member: value for member, value in document().items() if member != name}
    ).encode()


def api_without(name: str) -> bytes:
    return serialized(
        api=[{member: value for member, value in api("reader", READER).items() if member != name}]
    )


def rs256(*keys: object, **changes: object) -> dict[str, object]:
    return issuer(**{"alg": "RS256", "secret": None, "jwks": {"keys": list(keys)}, **changes})


INVALID: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"version: 1",
    "null": b"null",
    "not UTF-8": b'{"version": 1, "share": "\xff"}',
    "not UTF-8 once unescaped": serialized(sinks={"\ud800": {"kind": "webhook"}}),
    "nested too deep": b"[" * 100_000,
    "NaN": b'{"version": NaN}',
    "a member twice": b'{"version": 1, "api": [], "api": []}',
    "an unknown member": serialized(shares=[]),
    "no version": without("version"),
    "another version": serialized(version=2),
    "a version that is true": serialized(version=True),
    "share that is an object": serialized(share={}),
    "a share key that is a string": serialized(share=["secret"]),
    "a share key without a secret": serialized(share=[{"id": "a"}]),
    "a share secret that is short": serialized(share=[{"id": "a", "secret": SHORT}]),
    "a share secret in base64, not base64url": serialized(share=[{"id": "a", "secret": "+/" * 32}]),
    "a share secret with a character cut off": serialized(
        share=[{"id": "a", "secret": base64url(b"s" * 33) + "A"}]
    ),
    "a share secret that is a number": serialized(
        share=[{"id": "a", "secret": 12345678901234567890123456789012}]
    ),
    "a share id with a space": serialized(share=[{"id": "a b", "secret": base64url(SECRET)}]),
    "two share keys with one id": serialized(
        share=[{"id": "a", "secret": base64url(b * 32)} for b in (b"a", b"b")]
    ),
    "two share keys with one secret": serialized(
        share=[{"id": i, "secret": base64url(SECRET)} for i in "ab"]
    ),
    "api that is null": serialized(api=None),
    "an API key in plain text": serialized(api=[{**api("reader", READER), "key": READER}]),
    "an API key in place of its hash": serialized(api=[api("reader", READER, sha256=READER)]),
    "a hash in upper case": serialized(api=[api("reader", READER, sha256=hash_of(READER).upper())]),
    "a hash cut off": serialized(api=[api("reader", READER, sha256=hash_of(READER)[:63])]),
    "an API key without paths": api_without("paths"),
    "an API key with no path": serialized(api=[api("reader", READER, paths=[])]),
    "a path without a slash": serialized(api=[api("reader", READER, paths=["reports/"])]),
    "a path of the service's own": serialized(api=[api("reader", READER, paths=["/-/shares"])]),
    "a path twice": serialized(api=[api("reader", READER, paths=["/a/", "/a/"])]),
    "paths that are a string": serialized(api=[api("reader", READER, paths="/reports/")]),
    "an API key without methods": api_without("methods"),
    "an API key with no method": serialized(api=[api("reader", READER, methods=[])]),
    "an unknown method": serialized(api=[api("reader", READER, methods=["DELETE"])]),
    "a method that is a list": serialized(api=[api("reader", READER, methods=[["GET"]])]),
    "an API key without expires_at": api_without("expires_at"),
    "an expiry that is a number": serialized(api=[api("reader", READER, expires_at=1772347271)]),
    "two API keys with one name": serialized(
        api=[api("reader", READER), api("reader", READER + "2")]
    ),
    "two API keys with one hash": serialized(api=[api("reader", READER), api("writer", READER)]),
    "an issuer without iss": serialized(jwt=[issuer(iss=None)]),
    "an issuer without aud": serialized(jwt=[issuer(aud=None)]),
    "an issuer without alg": serialized(jwt=[issuer(alg=None)]),
    "an issuer with alg none": serialized(jwt=[issuer(alg="none")]),
    "an issuer with a list of algs": serialized(jwt=[issuer(alg=["HS256", "RS256"])]),
    "an issuer without a secret": serialized(jwt=[issuer(secret=None)]),
    "an issuer with a short secret": serialized(jwt=[issuer(secret=SHORT)]),
    "an issuer with both secret and jwks": serialized(jwt=[issuer(jwks={"keys": [PUBLIC_RSA]})]),
    "an RS256 issuer with a secret": serialized(jwt=[rs256(PUBLIC_RSA, secret=base64url(SECRET))]),
    "an issuer whose jwks is an address": serialized(
        jwt=[rs256(jwks="https://id.example.com/jwks.json")]
    ),
    "an issuer whose jwks is empty": serialized(jwt=[rs256()]),
    "a private key": serialized(jwt=[rs256({**PUBLIC_RSA, "d": "AQAB"})]),
    "a symmetric key among the public ones": serialized(
        jwt=[rs256({"kty": "oct", "k": base64url(SECRET)})]
    ),
    "a key of 1024 bits": serialized(jwt=[rs256({**PUBLIC_RSA, "n": base64url(b"\xc1" * 128)})]),
    "a key of 1024 bits, padded": serialized(
        jwt=[rs256({**PUBLIC_RSA, "n": base64url(b"\0" * 128 + b"\xc1" * 128)})]
    ),
    "a key for encryption": serialized(jwt=[rs256({**PUBLIC_RSA, "use": "enc"})]),
    "a key of another algorithm": serialized(jwt=[rs256({**PUBLIC_RSA, "alg": "RS512"})]),
    "a key on another curve": serialized(jwt=[rs256({**PUBLIC_EC, "crv": "P-384"}, alg="ES256")]),
    "two keys and no kid": serialized(jwt=[rs256(PUBLIC_RSA, {**PUBLIC_RSA, "e": "Aw"})]),
    "a leeway over a minute": serialized(jwt=[issuer(leeway=61)]),
    "a leeway that is true": serialized(jwt=[issuer(leeway=True)]),
    "a max_share of a key that is no duration": serialized(
        api=[api("reader", READER, max_share="long")]
    ),
    "a max_share of a key that is null": serialized(api=[api("reader", READER, max_share=None)]),
    "a max_share of a key under a minute": serialized(api=[api("reader", READER, max_share="59s")]),
    "a max_share of an issuer over ten years": serialized(jwt=[issuer(max_share="3661d")]),
    "an id of an issuer that is empty": serialized(jwt=[issuer(id="")]),
    "an id of an issuer with a colon": serialized(jwt=[issuer(id="a:b")]),
    "two issuers with one id": serialized(
        jwt=[issuer(id="a"), issuer(iss="https://other.example.com", id="a")]
    ),
    "two entries of one issuer": serialized(jwt=[issuer(), issuer(aud="another")]),
    "sinks that are a list": serialized(sinks=[]),
    "cdn that is a list": serialized(cdn=[]),
    "a sink without a kind": serialized(
        sinks={"team": {"url": "https://hooks.example.com/EXAMPLE"}}
    ),
}


def test_a_document_that_an_editor_begins_with_a_mark_is_read() -> None:
    assert parse(b"\xef\xbb\xbf" + serialized()) == parse(serialized())


@pytest.mark.parametrize(
    ("document", "advice"),
    [
        (serialized(shares=[]), "keys document: unknown member (did you mean 'share'?)."),
        (
            serialized(api=[{**api("reader", READER), "digest": READER}]),
            "api 1: unknown member (known: id, sha256, paths,",
        ),
        (
            serialized(api=[{**api("reader", READER), "shar256": READER}]),
            "api 1: unknown member (did you mean 'sha256'?).",
        ),
    ],
)
def test_of_an_unknown_member_only_the_one_that_was_meant_is_shown(
    document: bytes, advice: str
) -> None:
    """The name itself may be a secret."""
    with pytest.raises(InvalidKeys) as caught:
        parse(document)
    assert str(caught.value).startswith(advice)


def test_every_member_of_a_valid_document_is_read() -> None:
    keys = parse(serialized())
    assert keys.share == (ShareKey("old", b"o" * 32), ShareKey("new", b"n" * 32))
    assert keys.api[0] == ApiKey(
        id="reader",
        sha256=hash_of(READER),
        paths=("/reports/",),
        methods=("GET",),
        expires_at=None,
        owner=f"api:reader:{hash_of(READER)}",
    )
    assert keys.api[1].expires_at == 1772347871
    assert keys.jwt[0].secret == SECRET
    assert keys.sinks == {"team": {"kind": "webhook", "url": "https://hooks.example.com/EXAMPLE"}}


def test_max_share_and_the_id_of_an_issuer_are_optional() -> None:
    old = parse(serialized())
    assert (old.api[0].max_share, old.jwt[0].max_share, old.jwt[0].id) == (None, None, None)
    new = parse(
        serialized(
            api=[api("reader", READER, max_share="30d")], jwt=[issuer(max_share=3600, id="3f1c")]
        )
    )
    assert (new.api[0].max_share, new.jwt[0].max_share, new.jwt[0].id) == (
        30 * 86_400,
        3600,
        "3f1c",
    )
    padded = parse(serialized(share=[{"id": "a", "secret": f"{base64url(b'a' * 32)}="}]))
    assert padded.share[0].secret == b"a" * 32


def test_each_list_is_optional_and_a_string_is_read_like_bytes() -> None:
    for name in ("share", "api", "jwt", "sinks"):
        assert not getattr(parse(without(name).decode()), name)


def test_public_keys_of_both_kinds_are_read() -> None:
    ecdsa = issuer(
        iss="https://other.example.com", alg="ES256", secret=None, jwks={"keys": [PUBLIC_EC]}
    )
    keys = parse(
        serialized(jwt=[rs256({**PUBLIC_RSA, "kid": "1"}, {**PUBLIC_RSA, "kid": "2"}), ecdsa])
    )
    assert [key["kid"] for key in keys.jwt[0].jwks] == ["1", "2"]
    assert keys.jwt[1].jwks == (PUBLIC_EC,)


def test_what_an_identity_provider_adds_to_its_public_keys_is_ignored() -> None:
    jwks = {
        "keys": [{**PUBLIC_RSA, "use": "sig", "x5c": ["MIIEXAMPLE"], "issuer": "x"}],
        "issuer": "x",
    }
    assert parse(serialized(jwt=[rs256(jwks=jwks)])).jwt[0].jwks == ({**PUBLIC_RSA, "use": "sig"},)


@pytest.mark.parametrize("content", INVALID.values(), ids=INVALID.keys())
def test_an_invalid_document_is_refused_with_a_message_that_shows_no_secret(content: bytes) -> None:
    with pytest.raises(InvalidKeys) as raised:
        parse(content)
    assert raised.value.code == "invalid_keys"
    assert raised.value.sentence.endswith(".")
    for secret in (base64url(SECRET), SHORT, READER, hash_of(READER), "hooks.example.com"):
        assert secret not in str(raised.value)
        assert secret not in repr(raised.value)


@pytest.mark.parametrize("name", ["not JSON", "another version", "a hash cut off"])
def test_an_invalid_document_gives_no_access(name: str, tmp_path: Path) -> None:
    config = config_with(INVALID[name], tmp_path)
    answered = ask("/reports/q3.pdf", headers={"Authorization": f"Bearer {READER}"}, config=config)
    assert (answered.status, answered.code) == (503, "keys_unavailable")
    assert "malformed" in answered.json["detail"]
    assert ask("/reports/q3.pdf", config=config).status == 401
    assert ask("/public/a.txt", config=config).status == 302


def test_no_representation_shows_a_secret() -> None:
    keys = parse(serialized())
    for value in (keys, keys.share[0], keys.jwt[0], list(keys.share), [keys]):
        for secret in ("o" * 32, "n" * 32, SECRET.decode(), base64url(SECRET), "hooks.example.com"):
            assert secret not in repr(value) + str(value) + f"{value}"
