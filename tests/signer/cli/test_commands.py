"""The command line as a process: its output, its exit status, and the secrets that it does not print."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import signer
from local.oss.authorization import mismatch
from local.oss.errors import OssError
from signer.cli import commands

KEYS = signer.Credentials("STS.EXAMPLEEXAMPLEEXAMPLE", "secretEXAMPLEsecretEXAMPLE", "CAIStoken+/EXAMPLE==")
HANGZHOU = signer.Endpoint.public("cn-hangzhou")
BARE = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(Path(signer.__file__).parents[1]),
    "PYTHONIOENCODING": "utf-8",
    "OSS_REGION": "cn-hangzhou",
}
ENVIRONMENT = {
    **BARE,
    "OSS_ACCESS_KEY_ID": KEYS.access_key_id,
    "OSS_ACCESS_KEY_SECRET": KEYS.access_key_secret,
    "OSS_SESSION_TOKEN": KEYS.security_token or "",
}


def run(*arguments: str, stdin: str = "", env: dict[str, str] = ENVIRONMENT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "signer", *arguments],
        input=stdin,
        capture_output=True,
        env=env,
        timeout=60,
        check=False,
        encoding="utf-8",
    )


def a_link(method: str = "GET", *, now: int | None = None, **arguments: object) -> str:
    link = signer.presign(method, "examplebucket", "a b.txt", credentials=KEYS, endpoint=HANGZHOU, now=now, **arguments)  # type: ignore[arg-type]
    return link.url


# --- sign ----------------------------------------------------------------------------------------------------------


def test_sign_prints_only_the_url_on_standard_output() -> None:
    done = run("sign", "oss://examplebucket/报告 3.pdf", "--expires", "10m")
    assert done.returncode == 0
    (url,) = done.stdout.splitlines()
    assert signer.verify("GET", url, credentials=KEYS).ok
    assert "x-oss-expires=600&" in url
    assert re.fullmatch(r"GET, expires [0-9-]{10} [0-9:]{8} UTC, in 10 minutes\.\n", done.stderr)


def test_sign_has_an_option_for_everything_that_a_link_can_have() -> None:
    done = run(
        *("sign", "oss://examplebucket/a.txt", "--method", "get", "--expires", "7d", "--json"),
        *("--header", "Content-Type: text/plain", "--header", "X-Color:green", "--sign-header", "x-color"),
        *("--query", "x-oss-traffic-limit=819200", "--version-id", "v1", "--download", "résumé.txt"),
        *("--endpoint", "https://static.example.com"),
    )
    output = json.loads(done.stdout)
    assert output["headers"] == {"Content-Type": "text/plain", "X-Color": "green"}
    assert (output["method"], output["expires_in"], output["clamped"]) == ("GET", 604800, False)
    assert output["url"].startswith("https://static.example.com/a.txt?")
    assert signer.explain(output["url"], bucket="examplebucket").ok
    assert "versionId=v1" in output["url"]
    assert "filename%2A%3DUTF-8%27%27r%25C3%25A9sum%25C3%25A9.txt" in output["url"]
    verification = signer.verify(
        "GET", output["url"], credentials=KEYS, headers=output["headers"], endpoint=None, bucket="examplebucket"
    )
    assert verification.ok


@pytest.mark.parametrize(
    ("arguments", "host"),
    [
        ((), "examplebucket.oss-cn-hangzhou.aliyuncs.com"),
        (("--endpoint", "internal"), "examplebucket.oss-cn-hangzhou-internal.aliyuncs.com"),
        (("--endpoint", "accelerate"), "examplebucket.oss-accelerate.aliyuncs.com"),
        (("--endpoint", "accelerate-overseas"), "examplebucket.oss-accelerate-overseas.aliyuncs.com"),
        (("--endpoint", "dual-stack", "--region", "us-west-1"), "examplebucket.us-west-1.oss.aliyuncs.com"),
        (("--endpoint", "http://127.0.0.1:9001"), "127.0.0.1:9001/examplebucket"),
        (("--endpoint", "https://oss.example.com", "--path-style"), "oss.example.com/examplebucket"),
    ],
)
def test_endpoints(arguments: tuple[str, ...], host: str) -> None:
    url = run("sign", "oss://examplebucket/a.txt", *arguments).stdout
    assert url.partition("://")[2].startswith(host + "/a.txt?")


@pytest.mark.parametrize(
    "arguments",
    [
        ("sign", "examplebucket/a.txt"),
        ("sign", "oss://examplebucket"),
        ("sign", "oss://examplebucket/a//b"),
        ("sign", "oss://examplebucket/a", "--expires", "8d"),
        ("sign", "oss://examplebucket/a", "--expires", "soon"),
        ("sign", "oss://examplebucket/a", "--endpoint", "moon"),
        ("sign", "oss://examplebucket/a", "--header", "Content-Type"),
        ("sign", "oss://examplebucket/a", "--query", "x=1", "--query", "x=2"),
        ("sign", "oss://examplebucket/a", "--header", "x-oss-a: 1", "--header", "x-oss-a: 2"),
        ("sign", "oss://examplebucket/a", "--query", "x-oss-date=1"),
        ("sign", "oss://examplebucket/a", "--download", "a/b"),
        ("form", "oss://examplebucket/a"),
        ("form", "oss://examplebucket/a", "--max-size", "big"),
        ("verify", "hello"),
        ("explain", "hello"),
        ("explain", "-", "--error-xml", "-"),
        ("explain", "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a", "--error-xml", "/nonexistent.xml"),
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


def test_missing_credentials_are_reported_with_the_variables_to_set() -> None:
    for command in (("sign", "oss://examplebucket/a"), ("verify", a_link())):
        done = run(*command, env=BARE)
        assert done.returncode == 2
        assert "OSS_ACCESS_KEY_ID" in done.stderr


def test_the_variables_of_function_compute_are_read_too() -> None:
    env = {
        **BARE,
        "ALIBABA_CLOUD_ACCESS_KEY_ID": KEYS.access_key_id,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": KEYS.access_key_secret,
        "ALIBABA_CLOUD_SECURITY_TOKEN": KEYS.security_token or "",
    }
    url = run("sign", "oss://examplebucket/a", env=env).stdout.strip()
    assert signer.verify("GET", url, credentials=KEYS).ok


def a_config(folder: Path) -> Path:
    path = folder / "config.json"
    permanent = {"name": "default", "mode": "AK", "access_key_id": "LTAI5tEXAMPLE", "access_key_secret": "sEXAMPLE"}
    temporary = {
        "name": "job",
        "mode": "StsToken",
        "access_key_id": KEYS.access_key_id,
        "access_key_secret": KEYS.access_key_secret,
        "sts_token": KEYS.security_token,
        "region_id": "us-west-1",
    }
    role = {"name": "role", "mode": "EcsRamRole", "ram_role_name": "r"}
    path.write_text(json.dumps({"current": "default", "profiles": [permanent, temporary, role]}))
    return path


def test_a_profile_of_the_aliyun_cli_has_credentials_and_region(tmp_path: Path) -> None:
    config = a_config(tmp_path)
    env = {name: value for name, value in BARE.items() if name != "OSS_REGION"}
    done = run("sign", "oss://examplebucket/a", "--profile", "job", "--config", str(config), env=env)
    assert "oss-us-west-1.aliyuncs.com" in done.stdout
    assert signer.verify("GET", done.stdout.strip(), credentials=KEYS).ok
    region = run("sign", "oss://examplebucket/a", "--profile", "default", "--config", str(config), env=env)
    assert region.returncode == 2
    assert "--region" in region.stderr


@pytest.mark.parametrize("name", ["role", "nobody"])
def test_a_profile_without_a_key_is_refused(name: str, tmp_path: Path) -> None:
    done = run("sign", "oss://examplebucket/a", "--profile", name, "--config", str(a_config(tmp_path)))
    assert done.returncode == 2
    assert name in done.stderr
    assert KEYS.access_key_secret not in done.stderr


def test_a_configuration_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    for path in (tmp_path / "none.json", tmp_path / "bad.json"):
        assert run("sign", "oss://b-b/a", "--profile", "x", "--config", str(path)).returncode == 2


def test_no_option_takes_a_secret() -> None:
    names = {name for command in commands.commands.values() for option in command.params for name in option.opts}
    assert not {name for name in names if "secret" in name and name != "--no-secret"}
    assert not {name for name in names if "token" in name or "access-key" in name}


# --- explain and verify --------------------------------------------------------------------------------------------


def test_verify_has_three_statuses() -> None:
    valid = run("verify", a_link())
    assert valid.returncode == 0
    assert valid.stdout.startswith("The link is valid.\n")
    expired = run("verify", "-", "--json", stdin=a_link(now=1_732_494_588) + "\n")
    assert expired.returncode == 1
    assert json.loads(expired.stdout)["faults"] == [{"code": "expired", "parameter": "x-oss-expires"}]
    assert run("verify", a_link(), env=BARE).returncode == 2


def test_verify_has_options_for_the_method_and_the_headers() -> None:
    url = a_link("PUT", headers={"Content-Type": "image/png"})
    assert run("verify", url, "--method", "PUT", "--header", "Content-Type: image/png").returncode == 0
    assert run("verify", url, "--method", "PUT").returncode == 1


def test_explain_reads_the_link_from_standard_input_and_has_three_statuses() -> None:
    good = run("explain", "-", stdin=a_link() + "\n")
    assert (good.returncode, "Nothing wrong was found." in good.stdout) == (0, True)
    bad = run("explain", "-", "--json", stdin=a_link().replace("&", "&amp;"), env=BARE)
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["findings"][0]["code"] == "html_escaped"
    assert run("explain", "-", stdin="\n").returncode == 2


def test_explain_prints_what_the_library_says() -> None:
    url = a_link(now=1_732_494_588)
    done = run("explain", url, env=BARE)
    expected = str(signer.explain(url))
    # Ages differ, because the clock moves between the two.
    assert [line for line in done.stdout.splitlines() if "ago" not in line] == [
        line for line in expected.splitlines() if "ago" not in line
    ]


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


def test_explain_with_the_response_and_the_secret_never_says_that_nothing_is_wrong() -> None:
    url = a_link()
    for sent, title in ((url + "&sessionid=1", "Parameters were added"), (url, "OSS knows another secret")):
        checked = signer.verify("GET", sent, credentials=KEYS._replace(access_key_secret="otherEXAMPLE"))
        xml = refusal(checked).xml("R", "H").decode()
        done = run("explain", "-", stdin=f"{url}\n{xml}\n")
        assert done.returncode == 1
        assert f"1. {title}" in done.stdout
        assert "signature  matches with the given secret" in done.stdout


def refusal(checked: signer.Verification) -> OssError:
    return mismatch(
        checked.access_key_id, checked.provided_signature, checked.string_to_sign, checked.canonical_request
    )


def test_only_sign_curl_and_form_print_secrets() -> None:
    url = a_link()
    signature = url.rpartition("=")[2]
    output = ""
    for link in (url, url[:-4], url.replace("&", "&amp;"), url + "x"):
        for command in ("verify", "explain"):
            done = run(command, link)
            output += done.stdout + done.stderr
    output += run("sign", url).stderr + run("bulk", url).stderr
    for secret in (KEYS.access_key_secret, KEYS.security_token or "", "CAIStoken", signature[:12]):
        assert secret not in output


# --- curl, form, help ----------------------------------------------------------------------------------------------


def test_the_curl_command_is_for_the_method_and_quoted_for_a_shell() -> None:
    get = shlex.split(run("curl", "oss://examplebucket/dir/it's a $file.txt").stdout)
    assert get[:4] == ["curl", "-fgsS", "-o", "./it's a $file.txt"]
    assert signer.verify("GET", get[4], credentials=KEYS).ok
    put = shlex.split(
        run("curl", "oss://examplebucket/a", "--method", "PUT", "--header", "Content-Type: a/b", "--file", "f").stdout
    )
    assert put[2:6] == ["-T", "f", "-H", "Content-Type: a/b"]
    output = json.loads(run("curl", "oss://examplebucket/a", "--method", "HEAD", "--json").stdout)
    assert output["command"].startswith("curl -fgsS -I ")
    assert output["url"] in output["command"]


def test_the_form_is_that_of_post_form() -> None:
    arguments = ("oss://examplebucket/in/", "--max-size", "10MB", "--content-type", "image/", "--expires", "5m")
    output = json.loads(run("form", *arguments, "--json").stdout)
    assert output["url"] == "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/"
    assert output["fields"]["key"] == "in/${filename}"
    assert output["expires_in"] == 300
    line = shlex.split(run("form", *arguments, "--file", "photo.png").stdout)
    assert line[-3:] == ["-F", "file=@photo.png", output["url"]]
    assert "key=in/${filename}" in line


@pytest.mark.parametrize("command", [(), ("sign",), ("explain",), ("verify",), ("curl",), ("form",), ("bulk",)])
def test_help_has_examples(command: tuple[str, ...]) -> None:
    done = run(*command, "--help", env=BARE)
    assert done.returncode == 0
    assert "Examples:" in done.stdout
    assert "python -m signer " in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str) -> None:
    done = run(env={**BARE, "_FC_PRESIGN_COMPLETE": f"{shell}_source"})
    assert done.returncode == 0
    assert "_FC_PRESIGN_COMPLETE" in done.stdout
    assert "fc-presign" in done.stdout


@pytest.mark.parametrize(
    ("typed", "word", "expected"),
    [
        ("fc-presign ", "", {"sign", "curl", "form", "verify", "explain", "bulk"}),
        ("fc-presign sign oss://b/k --endpoint ", "acc", {"accelerate", "accelerate-overseas"}),
        ("fc-presign bulk --format ", "", {"csv", "jsonl", "html"}),
    ],
)
def test_completion_offers_what_matches(typed: str, word: str, expected: set[str]) -> None:
    words = typed + word
    number = str(len(typed.split()))
    done = run(env={**BARE, "_FC_PRESIGN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": number})
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == expected


def test_completion_offers_profiles(tmp_path: Path) -> None:
    words = f"fc-presign sign --config {a_config(tmp_path)} --profile "
    env = {**BARE, "_FC_PRESIGN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "5"}
    assert {line.partition(",")[2] for line in run(env=env).stdout.splitlines()} == {"default", "job", "role"}


def test_without_click_the_message_says_what_to_install() -> None:
    code = "import sys; sys.modules['click'] = None; from signer.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=BARE, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "fc-presign[cli]" in done.stderr
