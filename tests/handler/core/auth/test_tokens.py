"""JSON Web Tokens: what an issuer's entry allows, what a token can narrow, and the forgeries that fail."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from handler.core.auth import jwt as tokens
from handler.core.keys import METHODS, parse
from tests.handler.client import NOW, Answered, ask
from tests.handler.keys_fixtures import (
    AUDIENCE,
    ISSUER,
    SECRET,
    base64url,
    config_with,
    document,
    issuer,
    token,
)

OTHER_SECRET = b"another example of thirty-two b.."


@cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def ec_key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, **members: str) -> dict[str, Any]:
    """A public key as a JWK."""
    if isinstance(key, rsa.RSAPrivateKey):
        return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), **members}
    return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), **members}


def signed_by(alg: str, *keys: dict[str, Any], **changes: object) -> dict[str, object]:
    for key in keys:
        key.pop("key_ops", None)
    return issuer(**{"alg": alg, "secret": None, "jwks": {"keys": list(keys)}, **changes})


def present(
    bearer: str,
    folder: Path,
    *entries: object,
    path: str = "/reports/q3.pdf",
    method: str = "GET",
    now: float = NOW,
) -> Answered:
    """The answer to a request with this bearer, if these issuers are listed (by default the HS256 one)."""
    config = config_with(document(jwt=list(entries) or [issuer()]), folder)
    return ask(path, method, headers={"Authorization": f"Bearer {bearer}"}, config=config, now=now)


def forged(header: object, claims: object, signature: bytes = b"") -> str:
    parts = [base64url(json.dumps(part).encode()) for part in (header, claims)]
    return ".".join([*parts, base64url(signature)])


def by_hand(header: dict[str, object], claims: dict[str, object], key: bytes) -> str:
    """Signed as HS256, whatever the header says."""
    signed = forged(header, claims).rpartition(".")[0]
    return f"{signed}.{base64url(hmac.digest(key, signed.encode(), 'sha256'))}"


def claims(**changes: object) -> dict[str, object]:
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": int(NOW) + 600, **changes}


def test_a_valid_token_is_answered_with_json_and_its_subject_is_in_the_audit_line(
    tmp_path: Path,
) -> None:
    bearer = token(aud=["others", AUDIENCE])
    answered = present(bearer, tmp_path)
    assert (answered.status, answered.key) == (200, "reports/q3.pdf")
    assert answered.signs("GET")
    assert answered.line["caller"] == f"jwt:{ISSUER}:alice"
    assert bearer.rpartition(".")[2] not in answered.body + answered.printed


@pytest.mark.parametrize(("alg", "key"), [("RS256", rsa_key), ("ES256", ec_key)])
def test_tokens_are_verified_with_public_keys(alg: str, key: Any, tmp_path: Path) -> None:
    entry = signed_by(alg, public(key()))
    assert present(token(key=key(), alg=alg), tmp_path, entry).status == 200
    answered = present(token(key=key(1), alg=alg), tmp_path, entry)
    assert (answered.status, answered.code) == (401, "unknown_credential")


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_the_key_is_chosen_by_kid(alg: str, tmp_path: Path) -> None:
    keys = [rsa_key(number) if alg == "RS256" else ec_key(number) for number in range(2)]
    entry = signed_by(alg, public(keys[0], kid="one"), public(keys[1], kid="two"))

    def status(number: int, header: dict[str, str]) -> int:
        return present(token(key=keys[number], alg=alg, header=header), tmp_path, entry).status

    assert status(0, {"kid": "one"}) == 200
    assert status(1, {"kid": "two"}) == 200
    assert status(0, {"kid": "two"}) == 401
    assert status(0, {"kid": "three"}) == 401
    assert status(0, {}) == 401
    entry = signed_by(alg, public(keys[0], kid="one"))
    assert [status(0, {}), status(0, {"kid": "two"})] == [200, 401]


# --- algorithms ------------------------------------------------------------------------------------------------------


def test_a_token_without_a_signature_is_refused(tmp_path: Path) -> None:
    for alg in ("none", "None", "NONE", "", None, [], ["HS256"]):
        for entry in (issuer(), signed_by("RS256", public(rsa_key()))):
            assert present(forged({"alg": alg}, claims()), tmp_path, entry).status == 401
    assert present(forged({}, claims()), tmp_path).status == 401
    assert present(forged({"alg": "HS256"}, claims()), tmp_path).status == 401


def test_a_public_key_is_not_accepted_as_a_secret(tmp_path: Path) -> None:
    key, jwk = rsa_key().public_key(), public(rsa_key())
    for secret in (
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(jwk).encode(),
        str(jwk["n"]).encode(),
    ):
        for alg in ("RS256", "ES256", "HS256"):
            bearer = by_hand({"alg": alg, "typ": "JWT"}, claims(), secret)
            assert present(bearer, tmp_path, signed_by("RS256", jwk)).code == "unknown_credential"


def test_another_algorithm_of_the_same_secret_is_refused(tmp_path: Path) -> None:
    for alg in ("HS384", "HS512"):
        assert (
            present(
                token(key=SECRET * 2, alg=alg), tmp_path, issuer(secret=base64url(SECRET * 2))
            ).status
            == 401
        )


def test_a_token_with_the_algorithm_of_another_issuer_is_refused(tmp_path: Path) -> None:
    rs256 = signed_by("RS256", public(rsa_key()), iss="https://other.example.com")
    assert present(token(iss="https://other.example.com"), tmp_path, issuer(), rs256).status == 401
    assert present(token(key=rsa_key(), alg="RS256"), tmp_path, issuer(), rs256).status == 401
    valid = token(key=rsa_key(), alg="RS256", iss="https://other.example.com")
    assert present(valid, tmp_path, issuer(), rs256).status == 200


def test_a_key_in_the_token_itself_is_not_used(tmp_path: Path) -> None:
    entry = signed_by("RS256", public(rsa_key()))
    for header in (
        {"jwk": public(rsa_key(1))},
        {"jku": "https://evil.example.com/jwks"},
        {"x5u": "https://e.example"},
    ):
        assert (
            present(token(key=rsa_key(1), alg="RS256", header=header), tmp_path, entry).status
            == 401
        )


def test_a_token_with_critical_headers_is_refused(tmp_path: Path) -> None:
    odd: list[dict[str, object]] = [{"crit": ["exp"]}, {"crit": []}, {"b64": False}]
    for header in odd:
        assert (
            present(by_hand({"alg": "HS256", **header}, claims(), SECRET), tmp_path).status == 401
        )


def test_a_token_with_any_character_changed_is_refused(tmp_path: Path) -> None:
    valid = by_hand({"alg": "HS256"}, claims(), SECRET)
    assert present(valid, tmp_path).status == 200
    config = config_with(document(), tmp_path)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for place, character in enumerate(valid):
        other = alphabet[(alphabet.index(character) + 1) % 64] if character != "." else "A"
        headers = {"Authorization": f"Bearer {valid[:place]}{other}{valid[place + 1 :]}"}
        assert ask("/reports/q3.pdf", headers=headers, config=config).status == 401, place


MALFORMED = [
    "e30.e30",
    "e30.e30.AAAA.AAAA",
    "e30.AAAA.AAAA.AAAA.AAAA",
    "..",
    ".",  # other numbers of parts, or empty ones
    "W10.e30.AAAA",
    "e30.W10.AAAA",
    "e30.AAAA.AAAA",
    f"e30.{base64url(b'[' * 4000)}.AAAA",  # lists, and no JSON
]


@pytest.mark.parametrize("bearer", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_token_is_refused(bearer: str, tmp_path: Path) -> None:
    answered = present(bearer, tmp_path)
    assert (answered.status, answered.code) == (401, "malformed_credential")


# --- claims ----------------------------------------------------------------------------------------------------------

# ... leaves a claim out.
BAD_VALUES: dict[str, list[Any]] = {
    "iss": [..., "https://evil.example.com", ISSUER + "/"],
    "aud": [..., "others", AUDIENCE + "x", [], ["others", "more"], 1, {AUDIENCE: True}],
    "exp": [
        ...,
        str(int(NOW) + 600),
        True,
        [int(NOW) + 600],
        10**400,
        -1,
        float("inf"),
        float("nan"),
    ],
    "nbf": ["now", False, int(NOW) + 60],
    "sub": [None, 7, "\ud800"],
    "paths": [None, "/reports/", {"/reports/": True}, [1], ["reports/"], ["/reports/../"]],
    "methods": [None, "GET", [None]],
}
BAD_CLAIMS = [{name: value} for name, values in BAD_VALUES.items() for value in values]


@pytest.mark.parametrize("changes", BAD_CLAIMS)
def test_a_token_with_bad_claims_is_a_401_everywhere(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    members = {name: value for name, value in claims(**changes).items() if value is not ...}
    for path in ("/reports/q3.pdf", "/public/a.txt", "/nothing/here"):
        answered = present(by_hand({"alg": "HS256"}, members, SECRET), tmp_path, path=path)
        assert answered.status == 401
        assert answered.code in ("unknown_credential", "malformed_credential")
        assert answered.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("leeway", [0, 30])
def test_a_token_is_valid_from_its_nbf_minus_the_leeway_until_its_exp_plus_it(
    leeway: int, tmp_path: Path
) -> None:
    nbf, exp = 1_772_347_400, 4_000_000_000  # the clock of the machine is not used
    for now, code in (
        (nbf - leeway - 1, "unknown_credential"),
        *((now, None) for now in (nbf - leeway, nbf, exp + leeway - 1, exp + leeway - 0.5)),
        *((now, "authorization_expired") for now in (exp + leeway, exp + 900)),
    ):
        answered = present(token(nbf=nbf, exp=exp), tmp_path, issuer(leeway=leeway), now=now)
        assert (answered.status, answered.line["code"]) == (401 if code else 200, code)
        if now >= exp and not code:
            assert (answered.expires_in, answered.json["clamped_by"]) == (1, "caller")


# --- paths and methods -----------------------------------------------------------------------------------------------


def allowed_by(entry: dict[str, object], **changes: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    keys = parse(json.dumps(document(jwt=[issuer(**entry)])))
    caller = tokens.identify(token(**changes), keys, NOW)
    return caller.paths, caller.methods


@pytest.mark.parametrize(
    ("entry", "claimed", "both"),
    [
        (["/reports/"], None, ("/reports/",)),
        (None, ["/reports/"], ("/reports/",)),
        (["/reports/"], ["/reports/2026/"], ("/reports/2026/",)),
        (["/reports/2026/"], ["/"], ("/reports/2026/",)),
        (["/reports/"], ["/plans/"], ()),
        (["/reports/"], [], ()),
        (["/a/", "/b/"], ["/b/c", "/a/d/", "/e/"], ("/b/c", "/a/d/")),
    ],
)
def test_a_token_only_narrows_the_paths_of_its_issuer(
    entry: Any, claimed: Any, both: tuple[str, ...]
) -> None:
    assert allowed_by({"paths": entry}, paths=claimed)[0] == both


@pytest.mark.parametrize(
    ("entry", "claimed", "both"),
    [
        (["GET", "SHARE"], None, ("GET", "SHARE")),
        (None, ["GET", "DELETE", "get", "*"], ("GET",)),
        (["GET", "PUT"], ["PUT", "SHARE"], ("PUT",)),
        (["GET"], ["PUT"], ()),
        (None, ["HEAD", "GET"], ("GET",)),
        (["HEAD", "GET"], ["HEAD"], ()),
    ],
)
def test_a_token_only_narrows_the_methods_of_its_issuer(
    entry: Any, claimed: Any, both: tuple[str, ...]
) -> None:
    assert allowed_by({"methods": entry}, methods=claimed)[1] == both


def test_a_method_of_a_later_release_must_be_named_by_the_entry_of_the_issuer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("handler.core.keys", "handler.core.auth.jwt"):
        monkeypatch.setattr(f"{module}.METHODS", (*METHODS, "LATER"), raising=False)
    assert (*tokens.CLAIMABLE, "LIST", "ADMIN") == METHODS
    assert allowed_by({"methods": None}, methods=[*METHODS, "LATER"])[1] == tokens.CLAIMABLE
    assert allowed_by({"methods": ["GET", "LIST"]})[1] == ("GET", "LIST")
    assert allowed_by({"methods": ["GET", "LIST"]}, methods=["LIST", "ADMIN"])[1] == ("LIST",)


@pytest.mark.parametrize("name", ["paths", "methods"])
def test_a_token_is_refused_if_neither_it_nor_its_issuer_names_paths_or_methods(
    name: str, tmp_path: Path
) -> None:
    answered = present(token(), tmp_path, issuer(**{name: None}))
    assert (answered.status, answered.code) == (401, "malformed_credential")
    assert name in answered.json["detail"]


# --- ids -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sub", "quoted"),
    [
        ("auth0|alice@example.com", "auth0|alice@example.com"),
        ("user:7\n", "user%3A7%0A"),
        ("张", "%E5%BC%A0"),
        (None, ""),
    ],
)
def test_the_id_of_a_caller_is_printable_and_unambiguous(sub: str | None, quoted: str) -> None:
    keys = parse(json.dumps(document()))
    caller = tokens.identify(token(sub=sub), keys, NOW)
    assert (caller.id, caller.owner) == (f"jwt:{ISSUER}:{quoted}", keys.jwt[0].owner)
    assert caller.owner in keys.owners()
    one, two = (tokens.identify(token(sub=f"{'a' * 3000}{end}"), keys, NOW).id for end in "12")
    assert one != two
    assert len(one) < 200


# --- without cryptography --------------------------------------------------------------------------------------------


@pytest.fixture
def _no_cryptography() -> Iterator[None]:
    with patch("jwt.algorithms.has_crypto", False):
        yield


@pytest.mark.usefixtures("_no_cryptography")
@pytest.mark.parametrize(("alg", "key"), [("RS256", rsa_key), ("ES256", ec_key)])
def test_without_cryptography_tokens_of_public_keys_are_a_503(
    alg: str, key: Any, tmp_path: Path
) -> None:
    entry = signed_by(alg, public(key()))
    for signer in (key(), key(1)):
        answered = present(token(key=signer, alg=alg), tmp_path, entry)
        assert (answered.status, answered.code) == (503, "algorithm_unavailable")
        assert "cryptography" in answered.json["detail"]
    assert present(token(), tmp_path, issuer(iss="https://hs.example.com"), entry).status == 401
    assert (
        present(
            token(iss="https://hs.example.com"),
            tmp_path,
            issuer(iss="https://hs.example.com"),
            entry,
        ).status
        == 200
    )


def test_a_public_key_that_is_not_on_its_curve_is_a_503(tmp_path: Path) -> None:
    invalid = {"kty": "EC", "crv": "P-256", "x": base64url(b"x" * 32), "y": base64url(b"y" * 32)}
    answered = present(token(key=ec_key(), alg="ES256"), tmp_path, signed_by("ES256", invalid))
    assert (answered.status, answered.code) == (503, "keys_unavailable")


def test_neither_the_answer_nor_the_log_contains_the_token_and_pyjwt_does_not_warn(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    for bearer in (token(), token(key=OTHER_SECRET), token(exp=1)):
        answered = present(bearer, tmp_path)
        for part in bearer.split(".")[1:]:
            assert part not in answered.body + answered.printed
        assert sha256(bearer.encode()).hexdigest() not in answered.printed
    assert not [warning for warning in recwarn if "jwt" in str(warning.category)]
