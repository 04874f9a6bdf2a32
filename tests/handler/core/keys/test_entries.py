"""`python -m handler.commands keys` adds and removes entries of each kind, and keeps their secrets out of sight."""

from __future__ import annotations

import io
import json
import re
import stat
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from handler.core.context import Clock
from handler.core.keys import parse
from handler.notices.sinks import KINDS, read_sink
from tests.handler.core.keys.command import ADD, HS256, URL, WEBHOOK, KeysCli, Result, Terminal
from tests.handler.keys_fixtures import SECRET, base64url, document

KEY = "aliyuncdnexp1234"
CDN = ("add-cdn", "static")
SINK = ("add-sink", "ops", "--kind")
ISS = "https://new.example.com"
JWKS = {
    "RS256": {"keys": [{"kty": "RSA", "kid": "1", "n": base64url(b"\xff" * 256), "e": "AQAB"}]},
    "ES256": {
        "keys": [
            {
                "kty": "EC",
                "kid": "1",
                "crv": "P-256",
                "x": base64url(b"x" * 32),
                "y": base64url(b"y" * 32),
            }
        ]
    },
}
# A new secret: what a command makes, and where an entry has it.
NEW = {
    "add-api-key": r"fcp_[\w-]{43}",
    "add-sink": "whsec_[A-Za-z0-9+/]{43}=",
    "add-issuer": r"[\w-]{43}",
    "add-cdn": r"\w{32}",
}
SAVED = "a new secret"


def run_with(cli: KeysCli, content: str, *arguments: str) -> Result:
    """Runs a command with this on its standard input, at a fixed time."""
    with patch.object(sys, "stdin", io.StringIO(content)):
        return cli.run(*arguments, clock=Clock(now=lambda: 1_772_347_271.9))


# The arguments, standard input, the entry that is added, and what `show` says of it.
API_KEYS: list[tuple[str, dict[str, Any], str]] = [
    (
        "--path /q3.pdf --path /reports/",
        {"paths": ["/reports/", "/q3.pdf"]},
        "GET on /reports/ /q3.pdf; never",
    ),
    (
        "--method GET --method put",
        {"methods": ["GET", "PUT"]},
        "GET PUT on /reports/; never expires",
    ),
    (
        "--expires 90d",
        {"expires_at": "2026-05-30T06:41:11Z"},
        "GET on /reports/; expires 2026-05-30T06:41:11Z",
    ),
    (
        "--method SHARE --max-share 30d",
        {"methods": ["GET", "SHARE"], "max_share": "30d"},
        "GET SHARE on /reports/; never expires; shares of at most 30 days",
    ),
]
LOCAL = "http://127.0.0.1:9100/"
SINKS: list[tuple[str, str, dict[str, Any]]] = [
    (f"webhook --url {URL}", "", {"url": URL, "secret": SAVED}),
    ("slack --url -", URL, {"url": URL}),
    (
        "dingtalk --url - --secret - --retry-for 12h",
        f"{URL}\r\n  SECEXAMPLE\n",
        {"url": URL, "secret": "SECEXAMPLE", "retry_for": "12h"},
    ),
    (
        f"webhook --url {LOCAL} --allow-loopback",
        "",
        {"url": LOCAL, "secret": SAVED, "allow_loopback": True},
    ),
]
ISSUERS: list[tuple[str, str, dict[str, Any]]] = [
    (
        "HS256 --path /reports/ --method GET --method GET --max-share 30d --method SHARE",
        "",
        {"secret": SAVED, "paths": ["/reports/"], "methods": ["GET", "SHARE"], "max_share": "30d"},
    ),
    (
        "HS256 --secret - --leeway 30",
        base64url(SECRET),
        {"secret": base64url(SECRET), "leeway": 30},
    ),
    *(
        (f"{alg} --jwks -", json.dumps(jwks, indent=2), {"jwks": jwks})
        for alg, jwks in JWKS.items()
    ),
]
CDNS: list[tuple[str, str, dict[str, Any], int]] = [
    ("", "", {"key": SAVED}, 1800),
    (
        "--key - --valid-for 600 --parameter k",
        f"{KEY}\n",
        {"key": KEY, "valid_for": 600, "parameter": "k"},
        600,
    ),
]
API_KEY: dict[str, Any] = {
    "id": "ci",
    "sha256": SAVED,
    "paths": ["/reports/"],
    "methods": ["GET"],
    "expires_at": None,
}
ISSUER: dict[str, Any] = {"iss": ISS, "aud": "links"}
ADDED: list[tuple[tuple[str, ...], str, str, str, dict[str, Any], str]] = [
    *(
        (ADD, more, "", "api", {**API_KEY, **changes}, f"ci: {shown}")
        for more, changes, shown in API_KEYS
    ),
    *(
        (SINK, more, given, "sinks", {"kind": more.split()[0], **entry}, f"ops: {more.split()[0]}")
        for more, given, entry in SINKS
    ),
    *(
        (
            HS256[:-1],
            more,
            given,
            "jwt",
            {**ISSUER, "alg": more[:5], **entry},
            f"{ISS}: {more[:5]}, audience links",
        )
        for more, given, entry in ISSUERS
    ),
    *(
        (
            CDN,
            more,
            given,
            "cdn",
            {"type": "A", **entry},
            f"static: links are valid for {seconds} s after",
        )
        for more, given, entry, seconds in CDNS
    ),
]


@pytest.mark.parametrize(
    ("command", "more", "content", "member", "entry", "shown"), ADDED, ids=range(len(ADDED))
)
def test_an_entry_is_added_and_a_new_secret_is_shown_once(
    command: tuple[str, ...],
    more: str,
    content: str,
    member: str,
    entry: dict[str, Any],
    shown: str,
    in_file: KeysCli,
) -> None:
    result = run_with(in_file, content, *command, *more.split())
    assert result.status == 0, result.err
    new = result.out.removesuffix("\n")
    if SAVED in entry.values():
        assert re.fullmatch(NEW[command[0]], new)
        assert re.search("Save this (key|secret) now", result.err)
    else:
        assert re.fullmatch(rf"Added the (sink|issuer|CDN) \S+ in {in_file.place}\.", new)
    saved = sha256(new.encode()).hexdigest() if member == "api" else new
    stored, before = in_file.document, document(cdn={})[member]
    (added,) = (
        stored[member][len(before) :]
        if isinstance(before, list)
        else [stored[member].get(command[1])]
    )
    assert member != "jwt" or len(added.pop("id")) == 16
    assert member != "api" or len(added.pop("owner")) == 22
    assert added == {name: saved if value == SAVED else value for name, value in entry.items()}
    (last,) = stored[member][-1:] if isinstance(before, list) else [stored[member][command[1]]]
    assert stored == document(
        **{member: [*before, last] if isinstance(before, list) else {**before, command[1]: last}}
    )
    printed = run_with(in_file, "", "show").out
    assert f"  {shown}" in printed
    for secret in (
        new if SAVED in entry.values() else URL,
        URL,
        "SECEXAMPLE",
        base64url(SECRET),
        KEY,
    ):
        assert secret not in result.err + printed


def test_a_new_webhook_may_be_tried_for_three_days(in_file: KeysCli) -> None:
    assert in_file.run(*WEBHOOK).status == 0
    assert read_sink("ops", in_file.document["sinks"]["ops"], KINDS).retry_for == 3 * 86_400


def test_the_prompt_for_an_address_on_a_terminal_does_not_show_it(in_file: KeysCli) -> None:
    with (
        patch.object(sys, "stdin", Terminal()),
        patch("getpass.getpass", return_value=URL) as prompt,
    ):
        assert in_file.run("add-sink", "chat", "--kind", "slack", "--url", "-").status == 0
    prompt.assert_called_once_with("--url: ")
    assert in_file.document["sinks"]["chat"]["url"] == URL


def test_the_public_keys_of_an_issuer_may_come_from_a_file(
    in_file: KeysCli, tmp_path: Path
) -> None:
    (tmp_path / "jwks.json").write_text(json.dumps(JWKS["ES256"]))
    assert in_file.run(*HS256[:-1], "ES256", "--jwks", str(tmp_path / "jwks.json")).status == 0
    assert in_file.document["jwt"][-1]["jwks"] == JWKS["ES256"]


@pytest.mark.parametrize(
    ("options", "content", "changed"),
    [
        (("--url", "-"), "https://b.example.com/", {"url": "https://b.example.com/"}),
        (("--secret", "-"), "whsec_" + "QUJD" * 8, {"secret": "whsec_" + "QUJD" * 8}),
        (("--retry-for", "1d", "--url", URL), "", {"retry_for": "1d", "url": URL}),
    ],
)
def test_what_is_changed_of_a_sink_leaves_the_rest(
    options: tuple[str, ...], content: str, changed: dict[str, str], in_file: KeysCli
) -> None:
    assert in_file.run(*WEBHOOK, "--retry-for", "12h").status == 0
    before = in_file.document["sinks"]
    result = run_with(in_file, content, "set-sink", "ops", *options)
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(
        f"Changed {' and '.join(sorted(changed, reverse=True))} of the sink"
    )
    assert f" ops in {in_file.place}." in result.out
    assert not any(secret in result.out for secret in changed.values() if len(secret) > 3)
    assert in_file.document["sinks"] == {**before, "ops": {**before["ops"], **changed}}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("ops",), "set-sink requires what to change"),
        (("ops", "--url", "http://b.example.com/"), "Nothing was changed."),
        (("ops", "--retry-for", "1m"), "Nothing was changed."),
        (("pos", "--retry-for", "1d"), "There is no sink pos (existing: team, ops)."),
    ],
)
def test_a_sink_stays_as_it_was_where_a_change_is_refused(
    options: tuple[str, ...], sentence: str, in_file: KeysCli
) -> None:
    assert in_file.run(*WEBHOOK).status == 0
    before = in_file.read()
    result = in_file.run("set-sink", *options)
    assert (result.status in (1, 2), result.out, in_file.read()) == (True, "", before)
    assert sentence in result.err


@pytest.mark.parametrize(
    ("command", "kind", "undo", "done"),
    [
        (ADD, "API key", "revoke-api-key", "Revoked"),
        (WEBHOOK, "sink", "remove-sink", "Removed"),
        (HS256, "issuer", "remove-issuer", "Removed"),
        (CDN, "CDN", "remove-cdn", "Removed"),
    ],
)
def test_a_name_is_added_once_and_only_what_is_named_is_removed(
    command: tuple[str, ...], kind: str, undo: str, done: str, existing: KeysCli
) -> None:
    name, first = command[1], existing.run(*command)
    assert first.status == 0
    with_it, again = existing.read(), existing.run(*command)
    assert (again.status, again.out, existing.read()) == (1, "", with_it)
    assert f"{kind} {name} already exists." in again.err.replace("Sink", "sink").replace(
        "Issuer", "issuer"
    )
    removed, again = (existing.run(undo, name) for _ in range(2))
    assert (removed.status, removed.err, again.status) == (0, "", 1)
    assert f"{done} the {kind} {name} in {existing.place}." in removed.out
    assert {**existing.document, "cdn": {}} == document(cdn={})
    names = {
        "API key": "reader, sharer, ended",
        "sink": "team",
        "issuer": "https://id.example.com",
        "CDN": "none",
    }
    assert f"There is no {kind} {name} (existing: {names[kind]})." in again.err
    assert existing.run(*command).out != first.out  # each new secret is another one


def test_an_issuer_that_is_added_again_does_not_own_its_old_shares(in_file: KeysCli) -> None:
    owners = []
    for _ in range(2):
        assert run_with(in_file, base64url(SECRET), *HS256, "--secret", "-").status == 0
        owners.append(parse(in_file.read() or b"").jwt[-1].owner)
        assert in_file.run("remove-issuer", ISS).status == 0
    assert owners[0] != owners[1]


SECRETS = (URL, "0000EXAMPLE", "SECEXAMPLE", "c2hvcnQ", KEY, "with-hyphen")
REFUSALS = [
    ((), "", "COMMAND"),
    (("list",), "", "invalid choice"),
    (("add-api-key", "ci"), "", "--path"),
    (("add-api-key", "a b", *ADD[2:]), "", "invalid name"),
    (("add-api-key", "-x", *ADD[2:]), "", "NAME"),
    (("add-api-key", "n" * 65, *ADD[2:]), "", "invalid name"),
    (("add-api-key", "ci", "--path", "/reports/../", "--method", "GET"), "", "invalid path"),
    (("add-api-key", "ci", "--path", "/-/shares", "--method", "GET"), "", "invalid path"),
    (("add-api-key", "ci", "--path", "/reports/", "--method", "DELETE"), "", "invalid choice"),
    *(
        ((*ADD, "--expires", value), "", "--expires")
        for value in ("0", "soon", "-1d", "999999999d")
    ),
    ((*ADD, "--max-share", "30d"), "", "--max-share requires --method SHARE"),
    *(
        ((*ADD, "--method", "SHARE", "--max-share", value), "", "--max-share")
        for value in ("59s", "long", "99999d")
    ),
    (("add-cdn", "static", "--key", "-"), "with-hyphen", "key must be 6 to 128 letters and digits"),
    (("add-cdn", "static", "--key", KEY), "", "--key"),
    (("add-cdn", "static", "--valid-for", "0"), "", "valid_for"),
    (("add-cdn", "static", "--parameter", "auth key"), "", "parameter"),
    ((*SINK, "email", "--url", URL), "", "invalid choice"),
    ((*SINK, "webhook", "--url", "ftp://x/0000EXAMPLE"), "", "url must begin with https://"),
    ((*SINK, "webhook", "--url", "-"), "", "--url - requires a line on standard input"),
    (
        (*SINK, "webhook", "--url", "-", "--secret", "-"),
        URL,
        "--secret - requires a line on standard input",
    ),
    ((*WEBHOOK, "--secret", "SECEXAMPLE"), "", "whsec_"),
    ((*SINK, "dingtalk", "--url", URL), "", "secret is required"),
    ((*SINK, "wecom", "--url", URL, "--secret", "SECEXAMPLE"), "", "secret is not allowed"),
    ((*SINK, "wecom", "--url", URL, "--output", "new.key"), "", "--output"),
    ((*WEBHOOK, "--retry-for", "59m"), "", "retry_for"),
    (("add-issuer", "https://new.example.com"), "", "--aud"),
    (
        ("add-issuer", "https://new.example.com", "--aud", "links", "--alg", "none"),
        "",
        "invalid choice",
    ),
    ((*HS256, "--secret", "-"), "", "--secret - requires a line on standard input"),
    ((*HS256, "--secret", "-"), "c2hvcnQ", "secret has 5 bytes"),
    ((*HS256, "--jwks", "-"), "{}", "--jwks requires --alg RS256 or ES256"),
    ((*HS256[:-1], "RS256"), "", "--alg RS256 requires --jwks"),
    ((*HS256[:-1], "RS256", "--secret", "-", "--jwks", "-"), "", "--secret requires --alg HS256"),
    ((*HS256[:-1], "RS256", "--jwks", "-"), "{", "--jwks: standard input is not valid JSON"),
    ((*HS256[:-1], "RS256", "--jwks", "-"), "[]", "jwks must be an object"),
    ((*HS256[:-1], "RS256", "--jwks", "missing.json"), "", "--jwks: missing.json cannot be read"),
    (
        (*HS256[:-1], "ES256", "--jwks", "-"),
        '{"keys": [{"kty": "EC", "d": "c2hvcnQ"}]}',
        "is a private key",
    ),
    ((*HS256, "--method", "GET", "--max-share", "30d"), "", "--max-share requires --method SHARE"),
    ((*HS256, "--max-share", "59s"), "", "invalid duration"),
    ((*HS256, "--leeway", "61"), "", "leeway must be an integer from 0 to 60"),
    ((*WEBHOOK, "--secrte", "whsec_SECEXAMPLE"), "", "unrecognized arguments: --secrte\n"),
    (
        (*WEBHOOK, "--secrte=SECEXAMPLE", "-x", "-SECEXAMPLE"),
        "",
        "unrecognized arguments: --secrte -x\n",
    ),
    ((*SINK, "dingtalk", "--url", "-", URL), "", "unrecognized arguments\n"),
    (("add-sink", "--ulr", URL, *WEBHOOK[1:]), "", "argument NAME: invalid name (expected"),
    (("--secrte", "SECEXAMPLE", *WEBHOOK), "", "argument COMMAND: invalid choice (choose from"),
    ((*HS256[:-1], "SECEXAMPLE (a b)"), "", "argument --alg: invalid choice (choose from"),
    (
        (*WEBHOOK, "--allow-loopback=whsec_SECEXAMPLE0000"),
        "",
        "argument --allow-loopback: ignored explicit argument",
    ),
    ((*WEBHOOK, "--ke=SECEXAMPLE", "--k=SECEXAMPLE"), "", "ambiguous option: --k could match"),
    ((*HS256, "--leeway", "SECEXAMPLE"), "", "argument --leeway: invalid int value\n"),
]


@pytest.mark.parametrize(("arguments", "content", "sentence"), REFUSALS)
def test_what_is_invalid_exits_with_2_changes_nothing_and_shows_no_secret(
    arguments: tuple[str, ...], content: str, sentence: str, in_file: KeysCli
) -> None:
    before = in_file.read()
    result = run_with(in_file, content, *arguments)
    assert (result.status, result.out) == (2, "")
    assert sentence in result.err
    assert not any(secret in result.err for secret in SECRETS)
    assert in_file.read() == before
    assert in_file.locks() == []


@pytest.mark.parametrize("command", [ADD, WEBHOOK, HS256, CDN], ids=lambda command: str(command[0]))
def test_output_writes_what_would_be_printed_to_a_new_file_that_only_its_owner_can_read(
    command: tuple[str, ...], in_file: KeysCli, tmp_path: Path
) -> None:
    before, file = in_file.read(), tmp_path / "new.key"
    result = in_file.run(*command, "--output", str(file))
    assert (result.status, result.out, str(file) in result.err) == (0, "", True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = file.read_text()
    assert re.fullmatch(rf"{NEW[command[0]]}\n", secret)
    assert secret.strip() not in result.err
    in_file.write(before or b"")
    for other in (str(file), str(tmp_path / "missing/new.key")):
        result = in_file.run(*command, "--output", other)
        assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
        assert "new.key" in result.err
        assert "was not added" in result.err
        assert (in_file.read(), in_file.locks(), file.read_text()) == (before, [], secret)
