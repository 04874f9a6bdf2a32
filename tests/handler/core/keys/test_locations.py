"""Which document `python -m handler.commands keys` uses, and what a file and an object require."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from unittest.mock import Mock, patch

import pytest

from handler.commands.keys import COMMANDS, main
from handler.commands.keys_arguments import Command
from handler.commands.keys_lock import locked
from handler.core.cloud.oss import OssClient, OssResponse
from handler.core.config import Location
from handler.core.context import Clock
from handler.core.keys import parse
from handler.core.keys.file_store import FileStore
from signer.emulator.oss.storage import Buckets
from tests.handler.client import KEYS, LINKS
from tests.handler.core.keys.command import ADD, ENVIRONMENT, environment_of
from tests.handler.keys_fixtures import document
from tests.local_oss import PLACE, LocalOss, local_oss


def test_links_toml_may_name_an_object(tmp_path: Path) -> None:
    (tmp_path / "links.toml").write_text(LINKS)
    with local_oss(tmp_path / "oss") as oss:
        environment = {
            **ENVIRONMENT,
            "LINK_CONFIG": str(tmp_path / "links.toml"),
            "LINK_OSS_ENDPOINT": oss.url,
        }
        del environment["LINK_REGION"]
        with patch.dict(os.environ, environment, clear=True):
            assert main(["init"]) == 0
        assert oss.keys_document()["version"] == 1


def test_an_account_that_is_new_to_oss_is_told_of_a_domain_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refusal = OssResponse(400, {"date": formatdate(usegmt=True)}, b"", "PublicEndpointForbidden")
    with (
        patch.dict(os.environ, ENVIRONMENT),
        patch.object(OssClient, "request", lambda *_, **__: refusal),
    ):
        assert main(["--keys", str(PLACE), "init"]) == 1
    advice = "Bind a domain to the bucket, and use --endpoint https://static.example.com.\n"
    assert capsys.readouterr().err.partition("2025-03-20. ")[2] == advice


@pytest.mark.parametrize(
    ("text", "says"), [('region = "cn-hangzhou"', "use --keys"), ("region = 1", "region")]
)
def test_a_links_toml_without_keys_or_an_invalid_one_exits_with_2(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "links.toml").write_text(text)
    with patch.dict(os.environ, {"LINK_CONFIG": str(tmp_path / "links.toml")}, clear=True):
        assert main(["show"]) == 2
    assert says in capsys.readouterr().err


def test_a_relative_path_is_relative_to_the_current_folder_and_a_missing_folder_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--keys", "file:keys.json", "init"]) == 0
    assert (tmp_path / "keys.json").exists()
    assert main(["--keys", "file:no/keys.json", "init"]) == 1
    assert (
        "lock: No such file or directory. Check the path and its permissions."
        in capsys.readouterr().err
    )


def test_only_the_owner_can_read_the_file_whatever_its_mode_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.json"
    before = os.umask(0)
    try:
        for arguments in (["init"], list(ADD), ["rotate-share"]):
            assert main(["--keys", f"file:{path}", *arguments]) == 0
            assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}
            path.chmod(0o644)
    finally:
        os.umask(before)
    # Read here, so that the output of the tests has no key.
    assert "fcp_" in capsys.readouterr().out


def test_a_link_is_kept_and_a_document_has_one_lock_whichever_leads_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "keys.json"
    (tmp_path / "keys.json").symlink_to(real)
    for command in ("init", "rotate-share"):
        assert main(["--keys", f"file:{tmp_path / 'keys.json'}", command]) == 0
    assert (tmp_path / "keys.json").is_symlink()
    assert len(parse(real.read_bytes()).share) == 2
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    before = real.read_bytes()
    paths = (real, tmp_path / "keys.json", tmp_path / "folder" / "keys.json")
    for path in paths:
        with locked(FileStore(str(path)), print, clock=Clock()):
            for other in paths:
                assert main(["--keys", f"file:{other}", "rotate-share"], lock_timeout=0) == 1
                assert "is locked by" in capsys.readouterr().err
    assert real.read_bytes() == before
    assert sorted(each.name for each in (tmp_path / "real").iterdir()) == [
        "keys.json",
        "keys.json.lock",
    ]


@pytest.fixture
def oss(tmp_path: Path) -> Iterator[LocalOss]:
    with local_oss(tmp_path / "oss") as started, environment_of(started):
        yield started


def test_a_bucket_with_versioning_is_refused_because_a_lock_has_no_effect_there(
    oss: LocalOss, capsys: pytest.CaptureFixture[str]
) -> None:
    oss.put_keys(document())
    oss.set_versioning()
    assert main(["--keys", str(PLACE), *ADD]) == 1
    assert "never had versioning" in capsys.readouterr().err
    assert oss.keys_document() == document()
    bucket = Buckets(oss.root).get(PLACE.bucket)
    assert bucket is not None
    assert [key for key in bucket.all_keys() if oss.client.get(PLACE._replace(key=key)).ok] == [
        PLACE.key
    ]


PLACED = ("--keys", str(PLACE))
FAILURES: list[tuple[dict[str, str], tuple[str, ...], int, str]] = [
    ({}, ("--keys", "oss://another-bucket/keys.json", "init"), 1, "NoSuchBucket"),
    ({"OSS_ACCESS_KEY_SECRET": "wrongsecretEXAMPLE"}, (*PLACED, "init"), 1, "oss:GetObject"),
    (
        {"OSS_ACCESS_KEY_ID": "", "OSS_ACCESS_KEY_SECRET": ""},
        (*PLACED, "show"),
        1,
        "OSS_ACCESS_KEY_ID",
    ),
    ({"LINK_OSS_ENDPOINT": "http://127.0.0.1:1"}, (*PLACED, "show"), 1, "cannot be reached"),
    ({"LINK_OSS_ENDPOINT": "https://evil.example.com"}, (*PLACED, "show"), 2, "loopback"),
    ({}, (*PLACED, "show", "--endpoint", "https://a/b"), 1, "Invalid endpoint 'https://a/b'"),
]


@pytest.mark.parametrize(
    ("environ", "arguments", "status", "says"), FAILURES, ids=range(len(FAILURES))
)
def test_what_is_missing_or_refused_is_reported_without_a_secret(
    environ: dict[str, str],
    arguments: tuple[str, ...],
    status: int,
    says: str,
    oss: LocalOss,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with patch.dict(os.environ, environ):
        assert main(arguments) == status
    result = capsys.readouterr()
    assert (result.out, says in result.err) == ("", True)
    for secret in (
        "wrongsecretEXAMPLE",
        KEYS.access_key_id,
        KEYS.security_token or "",
        "x-oss-signature",
    ):
        assert secret not in result.err


LOCAL = "http://127.0.0.1:9001"


@pytest.mark.parametrize(
    ("local", "option", "address"),
    [
        ("", (), "https://examplebucket.oss-cn-hangzhou.aliyuncs.com"),
        (LOCAL, (), f"{LOCAL}/examplebucket"),
        (LOCAL, ("--endpoint", "public"), "https://examplebucket.oss-cn-hangzhou.aliyuncs.com"),
        (
            LOCAL,
            ("--endpoint", "internal"),
            "https://examplebucket.oss-cn-hangzhou-internal.aliyuncs.com",
        ),
        (LOCAL, ("--endpoint", "https://keys.example.com"), "https://keys.example.com"),
        (LOCAL, ("--endpoint", "http://127.0.0.1:9002"), "http://127.0.0.1:9002/examplebucket"),
    ],
)
def test_the_endpoint_is_the_option_else_link_oss_endpoint_else_public(
    local: str, option: tuple[str, ...], address: str
) -> None:
    show = Mock()
    with (
        patch.dict(os.environ, {**ENVIRONMENT, "LINK_OSS_ENDPOINT": local}, clear=True),
        patch.dict(COMMANDS, {"show": Command(show, "")}),
    ):
        assert main(["--keys", str(PLACE), "show", *option]) == 0
    store = show.call_args[0][0].store
    assert store.prefix == Location("examplebucket", ".links/keys.json")
    assert store.client.endpoint.url("examplebucket", "") == f"{address}/"


@pytest.mark.parametrize("folder", ["here", "project"])
def test_links_toml_of_the_working_directory_or_else_of_the_project_is_used(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("here", "project"):
        (tmp_path / name).mkdir()
    (tmp_path / folder / "links.toml").write_text(
        'region = "cn-hangzhou"\nkeys = "file:own.json"\n'
    )
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("LINK_CONFIG", raising=False)
    monkeypatch.setattr("handler.startup.DEFAULT", str(tmp_path / "project/links.toml"))
    assert main(["init"]) == 0, capsys.readouterr().err
    assert parse((tmp_path / folder / "own.json").read_bytes()).share
    assert str(tmp_path / folder / "own.json") in capsys.readouterr().out


def test_where_there_is_no_links_toml_the_message_names_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LINK_CONFIG", raising=False)
    monkeypatch.setattr("handler.startup.DEFAULT", str(tmp_path / "installed" / "links.toml"))
    assert main(["show"]) == 2
    assert f"File {tmp_path / 'links.toml'} not found" in capsys.readouterr().err
