"""The command line: its output, its exit status, and the secrets that it does not print."""

from __future__ import annotations

import json
import re
import shlex
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

import signer
from signer.cli import commands
from signer.times import rfc3339
from tests.signer.cli.command import BARE, ENVIRONMENT, KEYS, run, run_process
from tests.signer.signing import sign


def a_link(method: str = "GET", *, now: int | None = None, **arguments: Any) -> str:
    return sign(method, key="a b.txt", credentials=KEYS, now=now, **arguments).url


# --- sign ----------------------------------------------------------------------------------------------------------


def test_sign_prints_only_the_url_on_standard_output() -> None:
    done = run("sign", "oss://examplebucket/报告 3.pdf", "--expires", "10m")
    assert done.returncode == 0
    (url,) = done.stdout.splitlines()
    assert signer.verify("GET", url, credentials=KEYS).ok
    assert "x-oss-expires=600&" in url
    assert re.fullmatch(
        r"GET, expires at the latest [0-9-]{10} [0-9:]{8} UTC, in 10 minutes; earlier if the security token does\.\n",
        done.stderr,
    )


def test_sign_has_an_option_for_everything_that_a_link_can_have() -> None:
    done = run(
        "sign",
        "oss://examplebucket/a.txt",
        "--method",
        "get",
        "--expires",
        "12h",
        "--json",
        "--header",
        "Content-Type: text/plain",
        "--header",
        "X-Color:green",
        "--sign-header",
        "x-color",
        "--query",
        "x-oss-traffic-limit=819200",
        "--version-id",
        "v1",
        "--download",
        "résumé.txt",
        "--endpoint",
        "https://static.example.com",
    )
    output = json.loads(done.stdout)
    assert output["headers"] == {"Content-Type": "text/plain", "X-Color": "green"}
    assert (output["method"], output["expires_in"], output["clamped"]) == ("GET", 43200, False)
    assert output["url"].startswith("https://static.example.com/a.txt?")
    assert signer.explain(output["url"], bucket="examplebucket").ok
    assert "versionId=v1" in output["url"]
    assert "filename%2A%3DUTF-8%27%27r%25C3%25A9sum%25C3%25A9.txt" in output["url"]
    verification = signer.verify(
        "GET",
        output["url"],
        credentials=KEYS,
        headers=output["headers"],
        endpoint=None,
        bucket="examplebucket",
    )
    assert verification.ok


@pytest.mark.parametrize(
    ("arguments", "host"),
    [
        (("--endpoint", "internal"), "examplebucket.oss-cn-hangzhou-internal.aliyuncs.com"),
        (("--endpoint", "accelerate"), "examplebucket.oss-accelerate.aliyuncs.com"),
        (
            ("--endpoint", "accelerate-overseas"),
            "examplebucket.oss-accelerate-overseas.aliyuncs.com",
        ),
        (
            ("--endpoint", "dual-stack", "--region", "us-west-1"),
            "examplebucket.us-west-1.oss.aliyuncs.com",
        ),
        (("--endpoint", "http://127.0.0.1:9001"), "127.0.0.1:9001/examplebucket"),
        (
            ("--endpoint", "https://oss.example.com", "--path-style"),
            "oss.example.com/examplebucket",
        ),
    ],
)
def test_endpoints(arguments: tuple[str, ...], host: str) -> None:
    url = run("sign", "oss://examplebucket/a.txt", *arguments).stdout
    assert url.partition("://")[2].startswith(host + "/a.txt?")


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            ("sign", url)
            for url in ("examplebucket/a.txt", "oss://examplebucket", "oss://examplebucket/a//b")
        ),
        *(
            ("sign", "oss://examplebucket/a", "--endpoint", endpoint)
            for endpoint in ("moon", "https://[foo")
        ),
        ("sign", "oss://examplebucket/a", "--header", "Content-Type"),
        ("sign", "oss://examplebucket/a", "--query", "x=1", "--query", "x=2"),
        ("sign", "oss://examplebucket/a", "--header", "x-oss-a: 1", "--header", "x-oss-a: 2"),
        *(
            ("sign", "oss://a-bucket/a", "--credentials-expire-at", at)
            for at in ("2026-01-01", "2020-01-01T00:00:00Z")
        ),
        ("receive", "--max-size", "big"),
        *(
            ("share", "a.txt", *option)
            for option in (("--expires", "soon"), ("--max-uses", "0"), ("--max-uses", "21"))
        ),
        *(("receive", "--max-files", number) for number in ("0", "101")),
        ("extend", "z0dbH3m320oM"),
        *(("extend", "z0dbH3m320oM", "--max-uses", number) for number in ("1", "21", "x")),
        ("explain", "hello"),
        ("explain", "-", "--error-xml", "-"),
        (
            "explain",
            "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a",
            "--error-xml",
            "/nonexistent.xml",
        ),
        ("bulk", "/nonexistent.txt", "--bucket", "examplebucket"),
        ("bulk", "oss://Bad_Bucket/"),
        ("nothing",),
    ],
)
def test_a_failure_is_status_2_and_a_message(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip().endswith((".", "'.", "?"))
    assert "Traceback" not in done.stderr


# --- credentials -----------------------------------------------------------------------------------------------------


def test_no_option_takes_a_secret() -> None:
    names = {
        name
        for command in commands.commands.values()
        for option in command.params
        for name in option.opts
    }
    assert not {name for name in names if "secret" in name and name != "--no-secret"}
    assert not {name for name in names if "token" in name or "access-key" in name}


# --- explain -------------------------------------------------------------------------------------------------------


def test_explain_with_the_secret_says_whether_a_link_is_valid() -> None:
    valid = run("explain", a_link())
    assert valid.returncode == 0
    assert "signature  matches with the given secret\n\nNothing wrong was found.\n" in valid.stdout
    put = a_link("PUT", headers={"Content-Type": "image/png"})
    assert (
        run("explain", put, "--method", "PUT", "--header", "Content-Type: image/png").returncode
        == 0
    )
    for arguments, code in (
        ((a_link(now=1_732_494_588),), "expired"),
        ((a_link().replace("a%20b", "a%20c"),), "wrong_secret"),
        ((a_link(), "--method", "HEAD"), "wrong_method"),
        ((put, "--method", "PUT"), "missing_header"),
    ):
        done = run("explain", "--json", *arguments)
        assert (done.returncode, json.loads(done.stdout)["findings"][0]["code"]) == (1, code)


@pytest.mark.parametrize("key_id", ["", "STS.ANOTHEREXAMPLE"])
def test_explain_does_not_say_that_a_link_is_valid_without_its_secret(key_id: str) -> None:
    env = {**ENVIRONMENT, "OSS_ACCESS_KEY_ID": key_id} if key_id else BARE
    done = run("explain", a_link(), env=env)
    assert (done.returncode, "signature  matches" in done.stdout) == (0, False)
    assert ("The signature was not checked: " in done.stdout) == bool(key_id)
    assert json.loads(run("explain", a_link(), "--json", env=env).stdout)["signature"] is None


@pytest.mark.parametrize("expires", ["8d", "1h30m"])
@pytest.mark.parametrize(
    "command", [("sign", "oss://examplebucket/a"), ("bulk", "oss://examplebucket/")]
)
def test_an_expiry_is_refused_in_the_words_of_the_command(
    command: tuple[str, ...], expires: str
) -> None:
    done = run(*command, "--expires", expires)
    assert done.returncode == 2
    assert (
        "Invalid value for '--expires': expected a duration of at most 7d, of one unit, such as 90"
        in done.stderr
    )
    assert ("For longer, share the file: " in done.stderr) == (expires == "8d")


def test_a_link_without_quotes_is_refused_with_what_to_do_and_nothing_of_it_is_shown() -> None:
    done = run("explain", *a_link().replace("%2F", " ").split(" "))
    assert done.returncode == 2
    assert "Quote the link, or use explain -" in done.stderr
    assert "Signature" not in done.stderr


@pytest.mark.parametrize("command", ["sign", "curl", "explain", "bulk"])
def test_ctrl_c_is_status_130_for_every_command(command: str) -> None:
    arguments = {"explain": (a_link(),), "bulk": ("oss://examplebucket/",)}.get(
        command, ("oss://examplebucket/a",)
    )
    with patch("signer.credentials.Credentials.from_environment", side_effect=KeyboardInterrupt):
        done = run(command, *arguments)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.strip() == "Interrupted."


def test_explain_reads_the_link_from_standard_input_and_has_three_statuses() -> None:
    good = run("explain", "-", stdin=a_link() + "\n")
    assert (good.returncode, "Nothing wrong was found." in good.stdout) == (0, True)
    bad = run("explain", "--json", stdin=a_link().replace("&", "&amp;"), env=BARE)
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["findings"][0]["code"] == "html_escaped"
    assert run("explain", "-", stdin="\n").returncode == 2


def test_explain_uses_the_secret_unless_no_secret_is_passed() -> None:
    url = a_link() + "&utm_source=mail"
    assert "added_parameters, proved" in run("explain", url).stdout
    assert "added_parameters, certain" in run("explain", url, "--no-secret").stdout


XML = "<?xml version='1.0'?><Error><Code>InvalidObjectState</Code><Message>Not restored</Message></Error>"


def test_explain_reads_the_response_of_oss_from_a_file_or_after_the_link(tmp_path: Path) -> None:
    (tmp_path / "answer.xml").write_text(XML)
    results = [
        run("explain", a_link(), "--error-xml", str(tmp_path / "answer.xml")),
        run("explain", a_link(), "--error-xml", "-", stdin=XML),
        run("explain", "-", stdin=f"{a_link()}\n{XML}\n"),
    ]
    for done in results:
        assert done.returncode == 1
        assert "[archived, certain]" in done.stdout


def test_only_sign_and_curl_print_secrets() -> None:
    url = a_link()
    signature = url.rpartition("=")[2]
    output = ""
    for link in (url, url[:-4], url.replace("&", "&amp;"), url + "x"):
        done = run("explain", link)
        output += done.stdout + done.stderr
    output += run("sign", url).stderr + run("bulk", url).stderr
    for secret in (KEYS.access_key_secret, KEYS.security_token or "", "CAIStoken", signature[:12]):
        assert secret not in output


# --- curl, help ----------------------------------------------------------------------------------------------------


def test_the_curl_command_is_for_the_method_and_quoted_for_a_shell() -> None:
    get = shlex.split(run("curl", "oss://examplebucket/dir/it's a $file.txt").stdout)
    assert get[:4] == ["curl", "-fgsS", "-o", "./it's a $file.txt"]
    assert signer.verify("GET", get[4], credentials=KEYS).ok
    put = shlex.split(
        run(
            "curl",
            "oss://examplebucket/a",
            "--method",
            "PUT",
            "--header",
            "Content-Type: a/b",
            "--file",
            "f",
        ).stdout
    )
    assert put[2:6] == ["-T", "f", "-H", "Content-Type: a/b"]
    output = json.loads(run("curl", "oss://examplebucket/a", "--method", "HEAD", "--json").stdout)
    assert output["command"].startswith("curl -fgsS -I ")
    assert output["url"] in output["command"]


@pytest.mark.parametrize(
    "command", [(), ("sign",), ("explain",), ("curl",), ("bulk",), ("share",), ("receive",)]
)
def test_help_has_examples(command: tuple[str, ...]) -> None:
    done = run(*command, "--help", env=BARE)
    assert done.returncode == 0
    assert "Examples:" in done.stdout
    assert "\b" not in done.stdout
    assert f"Usage: python -m signer {' '.join(command)}" in done.stdout
    assert f"  python -m signer {' '.join(command) or 'sign'} " in done.stdout
    assert "fc-presign explain" not in done.stdout


def test_completion_offers_what_matches(tmp_path: Path) -> None:
    script = run(env={**BARE, "_FC_PRESIGN_COMPLETE": "bash_source"})
    assert script.returncode == 0
    assert "_FC_PRESIGN_COMPLETE" in script.stdout
    config = tmp_path / "a b.json"
    config.write_text(
        json.dumps({"profiles": [{"name": name} for name in ("default", "job", "role")]})
    )
    for words, number, expected in (
        ("", 1, "sign curl explain bulk share receive shares revoke extend ls oss"),
        ("sign oss://b/k --endpoint acc", 4, "accelerate accelerate-overseas"),
        ("bulk --format ", 3, "csv jsonl html"),
        (f"sign --config '{config}' --profile ", 5, "default job role"),
    ):
        typed = {"COMP_WORDS": f"fc-presign {words}", "COMP_CWORD": str(number)}
        offered = run(
            env={**BARE, "_FC_PRESIGN_COMPLETE": "bash_complete", **typed}
        ).stdout.splitlines()
        assert {line.partition(",")[2] for line in offered} == {*expected.split()}


def test_the_version_is_printed() -> None:
    assert run("--version", env=BARE).stdout == f"fc-presign {signer.__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("sign",), ("share",), ("nothing",)])
def test_the_usage_is_printed_once(arguments: tuple[str, ...]) -> None:
    done = run(*arguments, env=BARE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("Usage:") == 1


# --- regions and endpoints -----------------------------------------------------------------------------------------


NO_REGION = {name: value for name, value in ENVIRONMENT.items() if name != "OSS_REGION"}


@pytest.mark.parametrize("scheme", ["", "https://", "http://"])
def test_an_endpoint_of_oss_is_that_of_its_region_with_the_bucket_before_it(scheme: str) -> None:
    domain = "oss-us-west-1-internal.aliyuncs.com"
    url = run(
        "sign", "oss://examplebucket/a", "--endpoint", f"{scheme}{domain}/", env=NO_REGION
    ).stdout.strip()
    assert url.startswith(f"{scheme or 'https://'}examplebucket.{domain}/a?")
    assert signer.explain(url, credentials=KEYS, inside=True).ok


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("--endpoint", "https://oss-us-west-1.aliyuncs.com"),
            ("cn-hangzhou", "oss-us-west-1.aliyuncs.com"),
        ),
        (
            ("--endpoint", "oss-us-west-1.aliyuncs.com", "--region", "us-east-1"),
            ("us-east-1", "us-west-1"),
        ),
        (("--endpoint", "us-west-1.oss.aliyuncs.com"), ("cn-hangzhou", "us-west-1")),
        (("--endpoint", "oss-cn-hangzhou.aliyuncs.com", "--path-style"), ("bucket in the path",)),
        (("--region", "cn hangzhou"), ("Invalid region",)),
    ],
)
def test_a_region_that_does_not_fit_the_endpoint_or_is_none_is_refused(
    arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = run("sign", "oss://examplebucket/a", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert all(word in done.stderr for word in words)


@pytest.mark.parametrize(
    ("arguments", "domain", "meant"),
    [
        (("--region", "moon-base-9"), "//examplebucket.oss-moon-base-9.aliyuncs.com/", ""),
        (
            ("--region", "ap-southeast-9"),
            "//examplebucket.oss-ap-southeast-9.aliyuncs.com/",
            "ap-southeast-8",
        ),
        (
            ("--endpoint", "oss-cn-hangzuo.aliyuncs.com"),
            ".oss-cn-hangzuo.aliyuncs.com/",
            "cn-hangzhou",
        ),
        (
            ("--region", "us-west-l", "--endpoint", "accelerate"),
            ".oss-accelerate.aliyuncs.com/",
            "us-west-1",
        ),
        (
            ("--region", "cn-bejing", "--endpoint", "https://a.example.com"),
            "//a.example.com/",
            "cn-beijing",
        ),
    ],
)
def test_an_unknown_region_is_signed_with_one_warning(
    arguments: tuple[str, ...], domain: str, meant: str
) -> None:
    region = arguments[1].removeprefix("oss-").removesuffix(".aliyuncs.com")
    question = f" (did you mean {meant}?)" if meant else ""
    for command in (("sign", "oss://examplebucket/a"), ("bulk", "--bucket", "examplebucket")):
        done = run(*command, *arguments, stdin="a\n", env=NO_REGION)
        assert (done.returncode, domain in done.stdout) == (0, True)
        assert done.stderr.startswith(
            f"Warning: unknown region {region!r}{question}: OSS refuses the link unless"
        )
        assert done.stderr.count("unknown region") == 1


def test_the_warning_of_a_misspelt_region_is_one_line_without_its_place_in_the_code() -> None:
    done = run_process("sign", "oss://examplebucket/a", "--region", "cn-hangzou")
    warning, expiry = done.stderr.splitlines()
    assert warning.startswith("Warning: unknown region 'cn-hangzou' (did you mean cn-hangzhou?): ")
    assert expiry.startswith("GET, expires ")


@pytest.mark.parametrize("command", ["sign", "curl"])
def test_a_temporary_key_without_its_token_signs_nothing(command: str) -> None:
    for env in (
        {name: value for name, value in ENVIRONMENT.items() if name != "OSS_SESSION_TOKEN"},
        {**ENVIRONMENT, "OSS_SESSION_TOKEN": ""},
    ):
        done = run(command, "oss://examplebucket/a", env=env)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("Error: Invalid credentials: an access key that begins with")
        assert "set OSS_SESSION_TOKEN or ALIBABA_CLOUD_SECURITY_TOKEN." in done.stderr
        assert done.stderr.count("\n") == 1
        assert KEYS.access_key_secret not in done.stderr


def test_the_region_comes_from_the_option_then_the_variables_then_the_endpoint() -> None:
    for region, arguments, variables in (
        ("us-east-1", (), {"ALIBABA_CLOUD_REGION_ID": "us-east-1"}),
        ("us-west-1", (), {"ALIBABA_CLOUD_REGION_ID": "us-east-1", "OSS_REGION": "us-west-1"}),
        ("eu-west-1", ("--region", "eu-west-1"), {"OSS_REGION": "us-west-1"}),
    ):
        url = run(
            "sign", "oss://examplebucket/a", *arguments, env={**NO_REGION, **variables}
        ).stdout
        assert url.startswith(f"https://examplebucket.oss-{region}.aliyuncs.com/")


# --- what is promised of temporary credentials ---------------------------------------------------------------------


PERMANENT = {**BARE, "OSS_ACCESS_KEY_ID": "LTAI5tEXAMPLE", "OSS_ACCESS_KEY_SECRET": "sEXAMPLE"}
COMMANDS = [("sign", "oss://examplebucket/a"), ("curl", "oss://examplebucket/a")]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_link_with_a_token_expires_at_the_latest_at_its_expiry_or_after_the_longest_session(
    command: tuple[str, ...],
) -> None:
    temporary = run(*command, "--expires", "12h")
    assert "expires at the latest" in temporary.stderr
    assert temporary.stderr.endswith("in 12 hours; earlier if the security token does.\n")
    limited = run(*command, "--expires", "7d")
    assert limited.stderr.endswith(
        "in 12 hours; earlier if the security token does (12 hours is the longest session of STS: "
        "pass --credentials-expire-at if the token lives longer).\n"
    )
    output = json.loads(run(*command, "--expires", "7d", "--json").stdout)
    assert (output["expires_in"], output["clamped"], output["may_end_early"]) == (
        43_200,
        True,
        True,
    )
    permanent = run(*command, "--expires", "7d", env=PERMANENT)
    assert permanent.stderr.endswith("in 7 days.\n")
    assert "at the latest" not in permanent.stderr
    assert json.loads(run(*command, "--json", env=PERMANENT).stdout)["may_end_early"] is False


@pytest.mark.parametrize("command", COMMANDS)
def test_no_link_outlives_the_expiry_of_the_credentials_that_is_passed(
    command: tuple[str, ...],
) -> None:
    expiry = rfc3339(int(time.time()) + 129_600)
    arguments = (*command, "--expires", "7d", "--credentials-expire-at", expiry)
    output = json.loads(run(*arguments, "--json").stdout)
    assert (output["expires_at"], output["clamped"], output["may_end_early"]) == (
        expiry,
        True,
        False,
    )
    done = run(*arguments)
    assert "at the latest" not in done.stderr
    assert "when the credentials expire" in done.stderr
