"""`python -m handler.keys`: every command, against a file and against OSS."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from keys_world import PLACE, READER, SECRET, LocalOss, base64url, document, hash_of, issuer, local_oss
from visitor import KEYS, LINKS, mount

from handler import startup
from handler.keys import parse
from handler.keys_command import main
from handler.keys_editing import rotate_share
from handler.links import rfc3339
from handler.policy import Location

ENVIRONMENT = {
    "LINK_REGION": "cn-hangzhou",
    "OSS_ACCESS_KEY_ID": KEYS.access_key_id,
    "OSS_ACCESS_KEY_SECRET": KEYS.access_key_secret,
    "OSS_SESSION_TOKEN": KEYS.security_token or "",
}
ADD = ("add-api-key", "ci", "--path", "/reports/", "--method", "GET")


class Ran(NamedTuple):
    status: int
    out: str
    err: str


class Desk(NamedTuple):
    """Where an operator works: a place for keys and a terminal."""

    place: str
    oss: LocalOss | None
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str, keys: str | None = None) -> Ran:
        """Runs a command on the place; no lock is waited for."""
        self.capsys.readouterr()
        try:
            status = main(["--keys", keys or self.place, *arguments], patience=0)
        except SystemExit as ended:
            status = int(str(ended.code))
        return Ran(status, *self.capsys.readouterr())

    def _file(self, suffix: str) -> Path:
        return Path(self.place.removeprefix("file:") + suffix)

    def read(self, suffix: str = "") -> bytes | None:
        """What is stored, None for nothing."""
        if self.oss is None:
            return self._file(suffix).read_bytes() if self._file(suffix).exists() else None
        reply = self.oss.store.get(PLACE._replace(key=PLACE.key + suffix))
        return reply.body if reply.ok else None

    def write(self, text: bytes, suffix: str = "") -> None:
        if self.oss is None:
            self._file(suffix).write_bytes(text)
        else:
            self.oss.put(text, PLACE._replace(key=PLACE.key + suffix))

    @property
    def document(self) -> Any:
        return json.loads(self.read() or b"")


def at(oss: LocalOss) -> Any:
    """The environment of an operator of this OSS."""
    return patch.dict(os.environ, {**ENVIRONMENT, "LINK_OSS_ENDPOINT": oss.url}, clear=True)


@pytest.fixture(params=["file", "oss"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    if request.param == "file":
        with patch.dict(os.environ, {}, clear=True):
            yield Desk(f"file:{tmp_path / 'keys.json'}", None, capsys)
        return
    with local_oss(tmp_path / "oss") as oss, at(oss):
        yield Desk(str(PLACE), oss, capsys)


@pytest.fixture
def made(desk: Desk) -> Desk:
    desk.write(json.dumps(document()).encode())
    return desk


def held_since(seconds: float) -> bytes:
    """A lock that another writer took so many seconds ago."""
    moment = rfc3339(time.time() - seconds)
    return json.dumps({"owner": "bob@laptop, process 7", "at": moment, "nonce": "n"}).encode()


def test_init_makes_a_good_document_with_one_share_key(desk: Desk) -> None:
    ran = desk.run("init")
    assert (ran.status, ran.err) == (0, "")
    keys = parse(desk.read() or b"")
    assert (len(keys.share), keys.api, keys.jwt, keys.sinks) == (1, (), (), {})
    assert len(keys.share[0].secret) == 32
    assert keys.share[0].id in ran.out
    assert desk.document["share"][0]["secret"] not in ran.out
    assert desk.read(".lock") is None


def test_two_documents_have_nothing_in_common(desk: Desk, tmp_path: Path) -> None:
    assert desk.run("init").status == 0
    assert desk.run("init", keys=f"file:{tmp_path / 'another.json'}").status == 0
    one, two = desk.document["share"][0], json.loads((tmp_path / "another.json").read_bytes())["share"][0]
    assert one["secret"] != two["secret"]
    assert one["id"] != two["id"]


@pytest.mark.parametrize("there", [json.dumps(document()).encode(), b"", b"{"])
def test_init_overwrites_nothing(there: bytes, desk: Desk) -> None:
    desk.write(there)
    ran = desk.run("init")
    assert (ran.status, ran.out) == (1, "")
    assert "left as it is" in ran.err
    assert desk.read() == there
    assert desk.read(".lock") is None


def test_add_api_key_prints_the_key_alone_and_keeps_its_hash(made: Desk) -> None:
    ran = made.run(*ADD, "--path", "/plans/q3.pdf", "--method", "SHARE")
    assert ran.status == 0
    key = ran.out.removesuffix("\n")
    assert key.startswith("fcp_")
    assert len(key) == 47
    assert key.isprintable()
    assert " " not in key
    entry = made.document["api"][-1]
    assert entry == {
        "id": "ci",
        "sha256": sha256(key.encode()).hexdigest(),
        "paths": ["/reports/", "/plans/q3.pdf"],
        "methods": ["GET", "SHARE"],
        "expires_at": None,
    }
    assert key.encode() not in (made.read() or b"")
    assert key not in ran.err
    assert key not in made.run("show").out


def test_an_api_key_may_end(made: Desk) -> None:
    with patch("handler.keys_command.time", SimpleNamespace(time=lambda: 1_772_347_271.9)):
        assert made.run(*ADD, "--expires", "90d").status == 0
    assert made.document["api"][-1]["expires_at"] == "2026-05-30T06:41:11Z"


def test_a_path_or_method_that_is_said_twice_is_kept_once(made: Desk) -> None:
    assert made.run(*ADD, "--path", "/reports/", "--method", "GET").status == 0
    assert (made.document["api"][-1]["paths"], made.document["api"][-1]["methods"]) == (["/reports/"], ["GET"])


def test_a_name_is_given_once(made: Desk) -> None:
    assert made.run(*ADD).status == 0
    before = made.read()
    ran = made.run(*ADD)
    assert (ran.status, ran.out) == (1, "")
    assert "choose another name" in ran.err
    assert made.read() == before


def test_revoke_api_key_removes_that_key_alone(made: Desk) -> None:
    ran = made.run("revoke-api-key", "reader")
    assert ran.status == 0
    assert [entry["id"] for entry in made.document["api"]] == ["sharer", "ended"]
    again = made.run("revoke-api-key", "reader")
    assert again.status == 1
    assert "sharer" in again.err


def test_rotate_share_adds_a_key_that_signs_and_keeps_the_others(made: Desk) -> None:
    before = made.document["share"]
    ran = made.run("rotate-share")
    assert ran.status == 0
    after = made.document["share"]
    assert after[:-1] == before
    assert after[-1]["id"] in ran.out
    assert after[-1]["secret"] not in ran.out
    assert len(parse(made.read() or b"").share[-1].secret) == 32


def test_retire_removes_an_old_share_key(made: Desk) -> None:
    ran = made.run("rotate-share", "--retire", "old")
    assert ran.status == 0
    assert [key["id"] for key in made.document["share"]] == ["new"]
    assert "old" in ran.out


def test_retiring_the_key_that_signs_puts_a_new_one_in_its_place(made: Desk) -> None:
    assert made.run("rotate-share", "--retire", "new").status == 0
    ids = [key["id"] for key in made.document["share"]]
    assert ids[0] == "old"
    assert len(ids) == 2
    assert "new" not in ids


def test_retiring_the_only_key_leaves_one_that_signs(desk: Desk) -> None:
    desk.run("init")
    only = desk.document["share"][0]["id"]
    assert desk.run("rotate-share", "--retire", only).status == 0
    assert [key["id"] for key in desk.document["share"]] not in ([], [only])


def test_retiring_an_unknown_key_names_those_that_are_there(made: Desk) -> None:
    before = made.read()
    ran = made.run("rotate-share", "--retire", "gone")
    assert (ran.status, ran.out) == (1, "")
    assert "old, new" in ran.err
    assert made.read() == before


def test_show_tells_everything_but_secrets(made: Desk) -> None:
    entry = issuer(iss="https://other.example.com", paths=None, methods=None)
    made.write(json.dumps(document(jwt=[issuer(), entry])).encode())
    ran = made.run("show")
    assert (ran.status, ran.err) == (0, "")
    for fact in ("old", "new", "reader: GET on /reports/; never ends", "ended: GET", "2026-03-01T06:51:11Z"):
        assert fact in ran.out
    for fact in ("https://id.example.com: HS256 for links", "what its tokens say", "team: webhook", made.place):
        assert fact in ran.out
    for secret in (base64url(b"o" * 32), base64url(b"n" * 32), base64url(SECRET), hash_of(READER), "hooks.example"):
        assert secret not in ran.out


def test_every_change_leaves_the_rest_as_it_was(made: Desk) -> None:
    sinks = {"team": {"kind": "dingtalk", "secret": "SECEXAMPLE", "extra": {"deep": [1, None, "ü"]}}}
    made.write(json.dumps(document(sinks=sinks, jwt=[issuer(leeway=5)])).encode())
    for arguments in (ADD, ("rotate-share",), ("rotate-share", "--retire", "old"), ("revoke-api-key", "ended")):
        assert made.run(*arguments).status == 0
    assert made.document["sinks"] == sinks
    assert made.document["jwt"] == [issuer(leeway=5)]
    assert made.document["api"][0] == document()["api"][0]


@pytest.mark.parametrize("command", [ADD, ("revoke-api-key", "ci"), ("rotate-share",), ("show",)])
def test_without_a_document_the_sentence_says_how_to_make_one(command: tuple[str, ...], desk: Desk) -> None:
    ran = desk.run(*command)
    assert (ran.status, ran.out) == (1, "")
    assert "python -m handler.keys init" in ran.err
    assert desk.read() is None
    assert desk.read(".lock") is None


@pytest.mark.parametrize("command", [ADD, ("revoke-api-key", "reader"), ("rotate-share",), ("show",)])
def test_a_broken_document_is_told_and_left_as_it_is(command: tuple[str, ...], desk: Desk) -> None:
    broken = json.dumps(document(share=[{"id": "a", "secret": "c2hvcnQ"}])).encode()
    desk.write(broken)
    ran = desk.run(*command)
    assert (ran.status, ran.out) == (1, "")
    assert "share 1" in ran.err
    assert "c2hvcnQ" not in ran.err
    assert desk.read() == broken


# --- the lock --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("init",), ADD, ("revoke-api-key", "reader"), ("rotate-share",)])
def test_while_another_writes_nothing_is_written(command: tuple[str, ...], made: Desk) -> None:
    before, lock = made.read(), held_since(10)
    made.write(lock, ".lock")
    ran = made.run(*command)
    assert (ran.status, ran.out) == (1, "")
    assert "bob@laptop, process 7" in ran.err
    assert "--break-lock" in ran.err
    assert (made.read(), made.read(".lock")) == (before, lock)


def test_show_asks_for_no_lock(made: Desk) -> None:
    made.write(held_since(10), ".lock")
    assert made.run("show").status == 0


@pytest.mark.parametrize("age", [0, 240])
def test_a_young_lock_is_not_broken(age: float, made: Desk) -> None:
    lock = held_since(age)
    made.write(lock, ".lock")
    ran = made.run(*ADD, "--break-lock")
    assert (ran.status, ran.out) == (1, "")
    assert "5 minutes" in ran.err
    assert made.read(".lock") == lock


@pytest.mark.parametrize("lock", [held_since(301), held_since(86_400), b"", b"{", b"[]", b'{"owner": 1, "at": "x"}'])
def test_an_old_lock_and_one_that_names_nobody_are_broken_on_demand(lock: bytes, made: Desk) -> None:
    made.write(lock, ".lock")
    assert made.run(*ADD).status == 1
    assert made.run(*ADD, "--break-lock").status == 0
    assert made.document["api"][-1]["id"] == "ci"
    assert made.read(".lock") is None


def test_break_lock_breaks_nothing_where_nothing_is_locked(made: Desk) -> None:
    assert made.run("--break-lock", *ADD).status == 0


def test_a_writer_whose_lock_was_broken_writes_nothing_and_leaves_the_next_ones_lock(made: Desk) -> None:
    before, other = made.read(), held_since(0)

    def break_in(document: Any, retired: str | None = None) -> Any:
        made.write(other, ".lock")
        return rotate_share(document, retired)

    with patch("handler.keys_editing.rotate_share", break_in):
        ran = made.run("rotate-share")
    assert (ran.status, ran.out) == (1, "")
    assert "nothing was written" in ran.err
    assert (made.read(), made.read(".lock")) == (before, other)


def test_the_lock_names_its_owner_and_the_time(made: Desk) -> None:
    seen = []

    def look(document: Any, retired: str | None = None) -> Any:
        seen.append(json.loads(made.read(".lock") or b""))
        return rotate_share(document, retired)

    with patch("handler.keys_editing.rotate_share", look):
        assert made.run("rotate-share").status == 0
    assert f"process {os.getpid()}" in seen[0]["owner"]
    assert seen[0]["at"].endswith("Z")


# --- arguments -------------------------------------------------------------------------------------------------------

MISUSES = [
    (),
    ("list",),
    ("init", "now"),
    ("add-api-key",),
    ("add-api-key", "ci"),
    ("add-api-key", "ci", "--path", "/reports/"),
    ("add-api-key", "ci", "--method", "GET"),
    ("add-api-key", "a b", *ADD[2:]),
    ("add-api-key", "", *ADD[2:]),
    ("add-api-key", "-x", *ADD[2:]),
    ("add-api-key", "n" * 65, *ADD[2:]),
    ("add-api-key", "ci", "--path", "reports/", "--method", "GET"),
    ("add-api-key", "ci", "--path", "/reports/../", "--method", "GET"),
    ("add-api-key", "ci", "--path", "/-/shares", "--method", "GET"),
    ("add-api-key", "ci", "--path", "", "--method", "GET"),
    ("add-api-key", "ci", "--path", "/reports/", "--method", "get"),
    ("add-api-key", "ci", "--path", "/reports/", "--method", "DELETE"),
    (*ADD, "--expires", "0"),
    (*ADD, "--expires", "soon"),
    (*ADD, "--expires", "-1d"),
    (*ADD, "--expires", "999999999d"),
    ("revoke-api-key",),
    ("rotate-share", "old"),
    ("rotate-share", "--retire"),
]


@pytest.mark.parametrize("arguments", MISUSES)
def test_what_is_not_understood_is_a_2_and_changes_nothing(arguments: tuple[str, ...], made: Desk) -> None:
    before = made.read()
    ran = made.run(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err
    assert made.read() == before


@pytest.mark.parametrize("keys", ["keys.json", "file:", "https://example.com/keys.json", "s3://bucket/key", "oss:/a/b"])
def test_a_place_that_is_none_is_a_2(keys: str, desk: Desk) -> None:
    ran = desk.run("show", keys=keys)
    assert (ran.status, ran.out) == (2, "")
    assert "oss://bucket" in ran.err


@pytest.mark.parametrize("keys", ["oss://B/keys.json", "oss://examplebucket", "oss://examplebucket/.links/"])
def test_a_place_in_oss_that_holds_no_object_is_refused(keys: str, desk: Desk) -> None:
    ran = desk.run("show", keys=keys)
    assert (ran.status, ran.out) == (1, "")


def test_options_may_stand_before_the_command_or_after_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = f"file:{tmp_path / 'keys.json'}"
    assert main(["init", "--keys", place]) == 0
    assert main(["--keys", place, "show"]) == 0
    assert main(["show", "--keys", place]) == 0
    assert capsys.readouterr().err == ""


# --- which place -----------------------------------------------------------------------------------------------------


def test_without_keys_the_document_is_the_one_that_links_toml_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "links.toml").write_text('region = "cn-hangzhou"\nkeys = "file:own/keys.json"\n')
    (tmp_path / "own").mkdir()
    with patch.dict(os.environ, {"LINK_CONFIG": str(tmp_path / "links.toml")}, clear=True):
        assert main(["init"]) == 0
    assert parse((tmp_path / "own" / "keys.json").read_bytes()).share
    assert str(tmp_path / "own" / "keys.json") in capsys.readouterr().out


def test_links_toml_may_name_an_object(tmp_path: Path) -> None:
    (tmp_path / "links.toml").write_text(LINKS)
    with local_oss(tmp_path / "oss") as oss:
        environment = {**ENVIRONMENT, "LINK_CONFIG": str(tmp_path / "links.toml"), "LINK_OSS_ENDPOINT": oss.url}
        del environment["LINK_REGION"]
        with patch.dict(os.environ, environment, clear=True):
            assert main(["init"]) == 0
        assert oss.get()["version"] == 1


def test_a_links_toml_that_names_no_keys_is_a_2(capsys: pytest.CaptureFixture[str]) -> None:
    with patch.object(startup, "policy", mount):
        assert main(["show"]) == 2
    assert "give --keys" in capsys.readouterr().err


def test_a_links_toml_that_is_broken_is_a_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "links.toml").write_text("region = 1\n")
    with patch.dict(os.environ, {"LINK_CONFIG": str(tmp_path / "links.toml")}, clear=True):
        assert main(["show"]) == 2
    assert "region" in capsys.readouterr().err


def test_a_relative_file_is_relative_to_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--keys", "file:keys.json", "init"]) == 0
    assert (tmp_path / "keys.json").exists()


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_is_for_its_owner_alone_whatever_it_was(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    before = os.umask(0)
    try:
        for arguments in (["init"], list(ADD), ["rotate-share"]):
            assert main(["--keys", f"file:{path}", *arguments]) == 0
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            path.chmod(0o644)
    finally:
        os.umask(before)
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "keys.json").symlink_to(tmp_path / "real" / "keys.json")
    place = f"file:{tmp_path / 'keys.json'}"
    assert main(["--keys", place, "init"]) == 0
    assert main(["--keys", place, "rotate-share"]) == 0
    assert (tmp_path / "keys.json").is_symlink()
    assert len(parse((tmp_path / "real" / "keys.json").read_bytes()).share) == 2


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.json"
    assert main(["--keys", f"file:{path}", "init"]) == 0
    before = path.read_bytes()
    with patch("handler.keys_place.os.replace", side_effect=OSError(28, "No space left on device")):
        assert main(["--keys", f"file:{path}", *ADD]) == 1
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    ran = capsys.readouterr()
    assert "No space left on device" in ran.err
    assert "fcp_" not in ran.out + ran.err


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--keys", f"file:{tmp_path / 'no' / 'keys.json'}", "init"]) == 1
    assert "check the path" in capsys.readouterr().err


# --- OSS -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def oss(tmp_path: Path) -> Iterator[LocalOss]:
    with local_oss(tmp_path / "oss") as started, at(started):
        yield started


def test_a_bucket_with_versions_is_refused_since_its_lock_would_hold_nobody_off(
    oss: LocalOss, capsys: pytest.CaptureFixture[str]
) -> None:
    oss.put(document())
    oss.keep_versions()
    assert main(["--keys", str(PLACE), *ADD]) == 1
    assert "never had versioning" in capsys.readouterr().err
    assert oss.get() == document()
    assert oss.store.get(PLACE._replace(key=PLACE.key + ".lock")).status == 404


def test_a_bucket_that_is_not_there_is_told(oss: LocalOss, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--keys", "oss://another-bucket/keys.json", "init"]) == 1
    assert "NoSuchBucket" in capsys.readouterr().err


def test_wrong_credentials_are_told_and_not_shown(oss: LocalOss, capsys: pytest.CaptureFixture[str]) -> None:
    with patch.dict(os.environ, {"OSS_ACCESS_KEY_SECRET": "wrongsecretEXAMPLE"}):
        assert main(["--keys", str(PLACE), "init"]) == 1
    ran = capsys.readouterr()
    assert "oss:GetObject" in ran.err
    for secret in ("wrongsecretEXAMPLE", KEYS.access_key_id, KEYS.security_token or "", "x-oss-signature"):
        assert secret not in ran.err


def test_no_credentials_are_told(oss: LocalOss, capsys: pytest.CaptureFixture[str]) -> None:
    with patch.dict(os.environ, {"OSS_ACCESS_KEY_ID": "", "OSS_ACCESS_KEY_SECRET": ""}):
        assert main(["--keys", str(PLACE), "show"]) == 1
    assert "OSS_ACCESS_KEY_ID" in capsys.readouterr().err


def test_an_oss_that_does_not_answer_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with local_oss(tmp_path / "oss") as gone:
        pass
    with patch.dict(os.environ, {**ENVIRONMENT, "LINK_OSS_ENDPOINT": gone.url}, clear=True):
        assert main(["--keys", str(PLACE), "show"]) == 1
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "host"),
    [
        ((), "examplebucket.oss-cn-hangzhou.aliyuncs.com"),
        (("--endpoint", "internal"), "examplebucket.oss-cn-hangzhou-internal.aliyuncs.com"),
        (("--endpoint", "https://keys.example.com"), "keys.example.com"),
    ],
)
def test_oss_is_asked_at_its_public_endpoint_unless_another_is_named(option: tuple[str, ...], host: str) -> None:
    with (
        patch.dict(os.environ, ENVIRONMENT, clear=True),
        patch("handler.keys_command._show") as show,
    ):
        assert main(["--keys", str(PLACE), "show", *option]) == 0
    place = show.call_args[0][0]
    assert place.location == Location("examplebucket", ".links/keys.json")
    assert place.store.endpoint.host("examplebucket") == host


def test_an_endpoint_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with patch.dict(os.environ, ENVIRONMENT, clear=True):
        assert main(["--keys", str(PLACE), "show", "--endpoint", "https://a/b"]) == 1
    assert "no endpoint" in capsys.readouterr().err


def test_link_oss_endpoint_is_for_a_loopback_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with patch.dict(os.environ, {**ENVIRONMENT, "LINK_OSS_ENDPOINT": "https://evil.example.com"}, clear=True):
        assert main(["--keys", str(PLACE), "show"]) == 2
    assert "loopback" in capsys.readouterr().err
