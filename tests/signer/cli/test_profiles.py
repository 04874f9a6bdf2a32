"""Credentials of profiles, of a credentials URI and of an ECS instance, with the official package."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from werkzeug import Request, Response

import signer
from signer.cli.credentials import reason_of
from signer.emulator.server import listen, serve
from signer.times import rfc3339
from tests.signer.cli.command import BARE, ENVIRONMENT, KEYS, run, run_process
from tests.signer.signing import sign

SIGN = ("sign", "oss://examplebucket/a")
SECRET = "profilesecretEXAMPLE"
TOKEN = "profiletokenEXAMPLE"
PACKAGE = ("alibabacloud_credentials.provider", "alibabacloud_credentials")
AK = {"mode": "AK", "access_key_id": "LTAI5tEXAMPLE", "access_key_secret": SECRET}
STS = {
    "mode": "StsToken",
    "access_key_id": "STS.EXAMPLE",
    "access_key_secret": SECRET,
    "sts_token": TOKEN,
}
ROLE = {
    "ram_role_arn": "acs:ram::1234567890123456:role/example",
    "ram_session_name": "s",
    "expired_seconds": 900,
}
INI_KEY = {"access_key_id": "LTAIiniEXAMPLE", "access_key_secret": SECRET}
SSO = {
    "mode": "CloudSSO",
    "cloud_sso_sign_in_url": "http://127.0.0.1:9/start",
    "cloud_sso_account_id": "1",
    "cloud_sso_access_config": "ac-1",
    "access_token": TOKEN,
    "cloud_sso_access_token_expire": 4_000_000_000,
}
OAUTH = {
    "mode": "OAuth",
    "oauth_site_type": "CN",
    "oauth_access_token": TOKEN,
    "oauth_access_token_expire": 4_000_000_000,
    "oauth_refresh_token": SECRET,
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "a b"
    for name in (".aliyun", ".alibabacloud"):
        (home / name).mkdir(parents=True)
    return home


def environment(home: Path, **more: str) -> dict[str, str]:
    # What a provider sends to the internet goes to a closed port of this machine.
    return {
        **BARE,
        "HOME": str(home),
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        **more,
    }


def write_profiles(home: Path, current: str = "default", **profiles: Mapping[str, object]) -> None:
    entries = [{"name": name, **profile} for name, profile in profiles.items()]
    (home / ".aliyun" / "config.json").write_text(
        json.dumps({"current": current, "profiles": entries})
    )


def write_ini(home: Path, **sections: Mapping[str, str]) -> None:
    lines = [
        line
        for name, pairs in sections.items()
        for line in (f"[{name}]", *(f"{k} = {v}" for k, v in pairs.items()))
    ]
    (home / ".alibabacloud" / "credentials.ini").write_text("\n".join(lines))


def is_signed_with(url: str, key_id: str, token: str | None = None) -> bool:
    return signer.verify(
        "GET", url.strip(), credentials=signer.Credentials(key_id, SECRET, token)
    ).ok


def test_the_current_profile_is_used_without_an_option(home: Path) -> None:
    write_profiles(home, current="work", default={**AK, "access_key_secret": "other"}, work=AK)
    done = run(*SIGN, env=environment(home))
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert is_signed_with(done.stdout, "LTAI5tEXAMPLE")
    explained = run("explain", done.stdout.strip(), "--profile", "work", env=environment(home))
    assert (explained.returncode, "signature  matches" in explained.stdout) == (0, True)


def test_a_profile_is_chosen_by_the_option_then_by_the_variable(home: Path) -> None:
    write_profiles(home, default={**AK, "access_key_secret": "other"}, a=AK, b=STS)
    by_variable = environment(home, ALIBABA_CLOUD_PROFILE="a")
    assert is_signed_with(run(*SIGN, env=by_variable).stdout, "LTAI5tEXAMPLE")
    assert is_signed_with(
        run(*SIGN, "--profile", "b", env=by_variable).stdout, "STS.EXAMPLE", TOKEN
    )
    arguments = ("--profile", "a", "--config", str(home / ".aliyun" / "config.json"))
    assert is_signed_with(
        run(*SIGN, *arguments, env=environment(Path("/nonexistent"))).stdout, "LTAI5tEXAMPLE"
    )


def test_a_profile_has_a_region_that_the_endpoint_wins_over(home: Path) -> None:
    write_profiles(home, default={**AK, "region_id": "us-west-1"}, nowhere=AK)
    env = {name: value for name, value in environment(home).items() if name != "OSS_REGION"}
    assert "//examplebucket.oss-us-west-1.aliyuncs.com/" in run(*SIGN, env=env).stdout
    elsewhere = run(*SIGN, "--endpoint", "oss-eu-west-1.aliyuncs.com", env=env)
    assert "//examplebucket.oss-eu-west-1.aliyuncs.com/" in elsewhere.stdout
    nowhere = run(*SIGN, "--profile", "nowhere", env=env)
    assert (nowhere.returncode, "--region" in nowhere.stderr) == (2, True)


def test_half_a_pair_in_the_environment_is_refused_also_with_a_profile_beside_it(
    home: Path,
) -> None:
    write_profiles(home, default=AK)
    half = environment(home, OSS_ACCESS_KEY_ID="LTAI5tEXAMPLE")
    done = run(*SIGN, env=half)
    assert (done.returncode, "OSS_ACCESS_KEY_SECRET is not" in done.stderr) == (2, True)
    explained = run(
        "explain",
        "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a?x-oss-signature=1&amp;a",
        env=half,
    )
    assert (explained.returncode, "[html_escaped, certain]" in explained.stdout) == (1, True)
    assert (
        "OSS_ACCESS_KEY_SECRET is not: set both, or neither. Going on without the secret."
        in explained.stderr
    )


def test_the_environment_comes_before_profiles_which_need_a_package(home: Path) -> None:
    write_profiles(home, default=AK)
    done = run(*SIGN, env={**ENVIRONMENT, "HOME": str(home)}, missing=PACKAGE)
    assert signer.verify("GET", done.stdout.strip(), credentials=KEYS).ok
    done = run(*SIGN, env=environment(home), missing=PACKAGE)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "pip install alibabacloud-credentials" in done.stderr


def test_the_token_of_a_profile_may_expire_before_the_link(home: Path) -> None:
    expiry = int(time.time()) + 3600
    write_profiles(home, unknown=STS, known={**STS, "sts_expiration": expiry})
    unknown = run(*SIGN, "--profile", "unknown", "--expires", "7d", env=environment(home))
    assert "expires at the latest" in unknown.stderr
    known = run(*SIGN, "--profile", "known", "--expires", "7d", "--json", env=environment(home))
    assert json.loads(known.stdout)["expires_at"] == rfc3339(expiry)


@pytest.mark.parametrize("expires_in", [None, -86_400, 7200])
def test_a_profile_runs_its_command_once_whatever_expiry_it_gives(
    expires_in: int | None, home: Path
) -> None:
    expiration = None if expires_in is None else rfc3339(int(time.time()) + expires_in)
    answer = {**STS, "expiration": expiration}
    command = home / "command"
    command.write_text(
        f"#!/bin/sh\necho run >> '{home}/runs'\ncat <<'END'\n{json.dumps(answer)}\nEND\n"
    )
    command.chmod(0o700)
    write_profiles(home, default={"mode": "External", "process_command": f"'{command}'"})
    done = run(*SIGN, "--expires", "7d", "--json", env=environment(home))
    assert (home / "runs").read_text() == "run\n"
    if expires_in is not None and expires_in < 0:
        assert_one_sentence(done.returncode, done.stdout, done.stderr)
    else:
        output = json.loads(done.stdout)
        assert is_signed_with(output["url"], "STS.EXAMPLE", TOKEN)
        assert (output["expires_at"] == expiration, output["may_end_early"]) == (
            bool(expiration),
            not expiration,
        )
    written = json.loads((home / ".aliyun" / "config.json").read_text())["profiles"][0]
    assert (written["access_key_secret"], written["sts_token"]) == (SECRET, TOKEN)


def test_a_section_of_credentials_ini_is_used_after_the_profiles_of_the_cli(home: Path) -> None:
    ini = {"type": "access_key", **INI_KEY}
    write_ini(home, default=ini, team=ini)
    for arguments in ((), ("--profile", "team")):
        assert is_signed_with(
            run(*SIGN, *arguments, env=environment(home)).stdout, "LTAIiniEXAMPLE"
        )
    write_profiles(home, default=AK)
    assert is_signed_with(run(*SIGN, env=environment(home)).stdout, "LTAI5tEXAMPLE")
    (home / ".alibabacloud" / "credentials.ini").rename(home / "elsewhere")
    elsewhere = environment(home, ALIBABA_CLOUD_CREDENTIALS_FILE=str(home / "elsewhere"))
    assert is_signed_with(run(*SIGN, "--profile", "team", env=elsewhere).stdout, "LTAIiniEXAMPLE")


# --- a credentials URI ----------------------------------------------------------------------------------------------


@pytest.fixture
def uri() -> Iterator[str]:
    """The address of a server that gives credentials for one hour, to those who know its secret path."""
    keys = {"AccessKeyId": "STS.EXAMPLE", "AccessKeySecret": SECRET, "SecurityToken": TOKEN}
    answer = json.dumps({"Code": "Success", **keys, "Expiration": rfc3339(int(time.time()) + 3600)})
    app = Request.application(
        lambda request: Response(answer, 200 if request.path == "/keys" else 500)
    )
    server = serve(app, listen(0))
    yield server.url
    server.close()


def test_a_credentials_uri_gives_credentials_and_their_expiry_and_no_answer_is_repeated(
    home: Path, uri: str
) -> None:
    env = {**BARE, "HOME": str(home), "ALIBABA_CLOUD_CREDENTIALS_URI": uri + "/keys"}
    output = json.loads(run(*SIGN, "--expires", "7d", "--json", env=env).stdout)
    assert is_signed_with(output["url"], "STS.EXAMPLE", TOKEN)
    assert (output["clamped"], output["may_end_early"]) == (True, False)
    assert 3500 < output["expires_in"] <= 3600
    done = run(*SIGN, env={**env, "ALIBABA_CLOUD_CREDENTIALS_URI": uri + "/moved"})
    assert_one_sentence(done.returncode, done.stdout, done.stderr)
    assert "ALIBABA_CLOUD_CREDENTIALS_URI" in done.stderr
    assert "500" in done.stderr


# --- failures --------------------------------------------------------------------------------------------------------


BODY = json.dumps({"refresh_token": SECRET, "access_token": TOKEN, "id_token": TOKEN})


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (f"failed to refresh OAuth token, status code: 400, response: {BODY}", "status code: 400"),
        (
            f"failed to refresh OAuth token, status code: 400, response: {SECRET}",
            "status code: 400",
        ),
        (f"failed to refresh OAuth token: {BODY}", "failed to refresh"),
        (f"failed to refresh OAuth token: [{json.dumps(SECRET)}]", "failed to refresh"),
        (f"get session token failed, httpStatus: 400, result: {BODY}", "httpStatus: 400"),
        (BODY, "RuntimeError"),
        ("invalid credential response: access_key_id is empty", "access_key_id is empty"),
    ],
)
def test_a_reason_never_holds_the_body_of_a_response(message: str, reason: str) -> None:
    given = reason_of(RuntimeError(message))
    assert reason in given
    assert not any(
        hidden in given for hidden in (SECRET, TOKEN, "refresh_token", "access_token", "{")
    )


def assert_one_sentence(status: int, out: str, error: str) -> None:
    assert (status, out, error.count("\n"), error[:7]) == (2, "", 1, "Error: ")
    assert error.endswith(".\n")
    for hidden in (SECRET, TOKEN, "Traceback", "/keys"):
        assert hidden not in error


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ({**AK, **ROLE, "mode": "RamRoleArn"}, "Connection refused"),
        ({**ROLE, "mode": "ChainableRamRoleArn", "source_profile": "source"}, "Connection refused"),
        (
            {**ROLE, "mode": "OIDC", "oidc_provider_arn": "p", "oidc_token_file": __file__},
            "refused",
        ),
        ({"mode": "EcsRamRole", "ram_role_name": "example"}, "Connection refused"),
        (SSO, "Connection refused (127.0.0.1)"),
        (OAUTH, "Connection refused"),
        ({**SSO, "cloud_sso_access_token_expire": 1}, "re-login"),
        ({"mode": "External", "process_command": "false"}, "exit status 1"),
        ({"mode": "AK"}, "access"),
        ({"mode": "Telepathy"}, "Telepathy"),
        ({"access_key_id": "LTAI5tEXAMPLE"}, "not set"),
    ],
)
def test_a_profile_that_cannot_give_credentials_says_why_in_one_sentence(
    profile: dict[str, object], reason: str, home: Path
) -> None:
    write_profiles(home, default=profile, source=AK)
    done = run(*SIGN, env=environment(home))
    assert_one_sentence(done.returncode, done.stdout, done.stderr)
    assert "profile 'default'" in done.stderr
    assert reason in done.stderr


def test_a_section_that_cannot_give_credentials_says_why_in_one_sentence(home: Path) -> None:
    for section in (
        {"type": "ram_role_arn", **INI_KEY, "role_arn": "r", "role_session_name": "s"},
        {"type": "rsa_key_pair", "public_key_id": "k", "private_key_file": "/nonexistent"},
        {"type": "telepathy"},
    ):
        write_ini(home, default=section)
        done = run(*SIGN, env=environment(home))
        assert_one_sentence(done.returncode, done.stdout, done.stderr)
        assert f"(type {section['type']})" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (
            "ALIBABA_CLOUD_CREDENTIALS_URI",
            "http://user:profilesecretEXAMPLE@127.0.0.1:9/keys?a=profiletokenEXAMPLE",
        ),
        pytest.param("ALIBABA_CLOUD_CREDENTIALS_URI", "nonsense", marks=pytest.mark.long),
        ("ALIBABA_CLOUD_CREDENTIALS_URI", "http://[::1/keys"),
        ("ALIBABA_CLOUD_ECS_METADATA", "example"),
    ],
)
def test_a_source_in_the_environment_that_does_not_answer_is_named(
    variable: str, value: str, home: Path
) -> None:
    # One as a process: pytest takes what the package would log.
    start = run_process if "@" in value else run
    done = start(*SIGN, env=environment(home, **{variable: value}))
    assert_one_sentence(done.returncode, done.stdout, done.stderr)
    assert variable in done.stderr


def test_nothing_found_is_one_sentence_at_once_without_the_package(home: Path) -> None:
    done = run_process(
        *SIGN, env=environment(home), missing=("alibabacloud_credentials", "requests")
    )
    assert_one_sentence(done.returncode, done.stdout, done.stderr)
    names = (
        "OSS_ACCESS_KEY_ID",
        "ALIBABA_CLOUD_ACCESS_KEY_ID",
        "ALIBABA_CLOUD_CREDENTIALS_URI",
        "--profile",
    )
    for name in (*names, "~/.aliyun/config.json", "~/.alibabacloud/credentials.ini"):
        assert name in done.stderr


def test_a_profile_that_does_not_exist_is_refused_with_those_that_do(home: Path) -> None:
    write_profiles(home, default=AK)
    write_ini(home, team={"type": "access_key"})
    done = run(*SIGN, "--profile", "nobody", env=environment(home))
    assert_one_sentence(done.returncode, done.stdout, done.stderr)
    assert "'nobody' not found" in done.stderr
    assert "(available: default, team)" in done.stderr


@pytest.mark.parametrize(
    "content", [None, "{", "[]", '{"profiles": [{}]}', '{"profiles": [1]}', b"\xff"]
)
def test_a_configuration_file_that_cannot_be_read_is_refused(
    content: str | bytes | None, tmp_path: Path
) -> None:
    config = tmp_path / "config.json"
    if content is not None:
        config.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = run(*SIGN, "--profile", "x", "--config", str(config), env=environment(tmp_path))
    assert_one_sentence(done.returncode, done.stdout, done.stderr)
    assert str(config) in done.stderr


@pytest.mark.parametrize(
    "content", ["type = access_key\n", f"[default]\naccess_key_secret = %{SECRET}\n"]
)
def test_an_ini_file_that_cannot_be_read_is_refused(content: str, home: Path) -> None:
    (home / ".alibabacloud" / "credentials.ini").write_text(content)
    done = run(*SIGN, env=environment(home))
    assert_one_sentence(done.returncode, done.stdout, done.stderr)
    assert "~/.alibabacloud/credentials.ini" in done.stderr


def test_explain_reads_no_profile_unasked(home: Path) -> None:
    write_profiles(home, default={"mode": "EcsRamRole", "ram_role_name": "example"})
    done = run("explain", sign(now=None).url, env=environment(home), missing=PACKAGE)
    assert (done.returncode, done.stderr) == (0, "")
