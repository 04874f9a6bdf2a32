"""`--assume-role`: links that open their objects, signed by sessions that can do nothing else."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import click
import flask
import pytest
import requests

import signer
from local import oss, ram, sts
from local.server import listen, serve
from signer.cli.assume_role import Objects, link_actions, open_session, session_policy
from signer.cli.credentials import CONFIG
from tests.signer.cli.command import BARE, ENVIRONMENT, KEYS, run, run_process

ROLE = f"acs:ram::{ram.ACCOUNT}:role/links-signer"
REGION = "cn-hangzhou"
TOKEN = KEYS.security_token or ""


class Cloud:
    """A local STS and OSS; a test may move the clock of STS and answer in its place."""

    def __init__(self) -> None:
        self.calls: list[dict[str, str]] = []
        self.clock: Callable[[], float] = time.time
        self.error: sts.StsError | None = None
        self.oss_url = self.sts_url = ""

    def before(self, action: str) -> None:
        query = parse_qs(urlsplit(flask.request.environ["RAW_URI"]).query)
        self.calls.append({name: value for name, (value,) in query.items()})
        if self.error:
            raise self.error

    @property
    def options(self) -> tuple[str, ...]:
        return ("--endpoint", self.oss_url, "--assume-role", ROLE, "--sts-endpoint", self.sts_url)

    def endpoint(self) -> signer.Endpoint:
        return signer.Endpoint.path_style(self.oss_url, REGION)

    def put(self, key: str, body: str) -> None:
        link = signer.presign("PUT", "examplebucket", key, credentials=KEYS, endpoint=self.endpoint())
        assert requests.put(link.url, body, timeout=10).status_code == 200


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = Cloud()
    principals = ram.Principals()
    principals.add(ram.Principal.of(KEYS, f"acs:ram::{ram.ACCOUNT}:user/operator"))
    everything = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:*", "Resource": "*"}]}
    role = sts.Role(ROLE, frozenset({f"acs:ram::{ram.ACCOUNT}:user/operator"}), 14_400, (everything,))
    oss_app = oss.create_app(
        tmp_path_factory.mktemp("oss"), region=REGION, credentials=principals, buckets=["examplebucket"]
    )
    sts_app = sts.create_app(principals, lambda: {ROLE: role}, now=lambda: cloud.clock(), before=cloud.before)
    servers = [serve(oss_app, listen(0)), serve(sts_app, listen(0))]
    cloud.oss_url, cloud.sts_url = (server.url for server in servers)
    for key in ("2026/a.txt", "2026/b.txt", "2025/c.txt", "报告 3~.pdf"):
        cloud.put(key, key)
    yield cloud
    for server in servers:
        server.close()


@pytest.fixture
def cloud(served: Cloud) -> Cloud:
    served.calls.clear()
    served.clock, served.error = time.time, None
    return served


def statement(cloud: Cloud) -> dict[str, object]:
    """The only statement of the last session's policy."""
    (only,) = json.loads(cloud.calls[-1]["Policy"])["Statement"]
    return dict(only)


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["2026/a.txt", "报告 3~.pdf"])
def test_a_link_opens_its_object_with_a_session_for_nothing_else(cloud: Cloud, key: str) -> None:
    done = run("sign", f"oss://examplebucket/{key}", *cloud.options)

    assert done.returncode == 0
    assert requests.get(done.stdout.strip(), timeout=10).content.decode() == key
    assert re.fullmatch(r"GET, expires [0-9-]{10} [0-9:]{8} UTC, in 15 minutes\.\n", done.stderr)
    assert cloud.calls[-1]["RoleSessionName"] == "fc-presign-cli"
    assert statement(cloud) == {
        "Effect": "Allow",
        "Action": ["oss:GetObject"],
        "Resource": [f"acs:oss:*:*:examplebucket/{key}"],
    }


def test_a_session_for_a_prefix_gets_a_403_outside_of_it(cloud: Cloud) -> None:
    policy = session_policy(("oss:GetObject",), Objects.at("examplebucket", "2026/"))
    session = open_session(ROLE, policy, 900, credentials=KEYS, region=REGION, endpoint=cloud.sts_url)

    def get(key: str, method: str = "GET") -> requests.Response:
        link = signer.presign(method, "examplebucket", key, credentials=session.credentials, endpoint=cloud.endpoint())
        return requests.request(method, link.url, timeout=10)

    assert [get(key).status_code for key in ("2026/a.txt", "2026/b.txt")] == [200, 200]
    for refused in (get("2025/c.txt"), get("2026/a.txt", "PUT"), get("2026/a.txt", "DELETE")):
        assert (refused.status_code, "0003-00000301" in refused.text) == (403, True)


def test_policy_for_widens_the_session_to_a_prefix(cloud: Cloud) -> None:
    done = run(
        *("sign", "oss://examplebucket/2026/a.txt", *cloud.options, "--policy-for", "oss://examplebucket/2026/"),
        *("--method", "PUT", "--json"),
    )

    assert requests.put(json.loads(done.stdout)["url"], "a", timeout=10).status_code == 200
    assert (statement(cloud)["Action"], statement(cloud)["Resource"]) == (
        ["oss:PutObject"],
        ["acs:oss:*:*:examplebucket/2026/*"],
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_command_works(cloud: Cloud, tmp_path: Path) -> None:
    line = shlex.split(run("curl", "oss://examplebucket/2026/b.txt", *cloud.options).stdout)
    subprocess.run(line, cwd=tmp_path, check=True, timeout=30)

    assert (tmp_path / "b.txt").read_text() == "2026/b.txt"


def test_a_form_uploads_below_its_prefix(cloud: Cloud) -> None:
    done = run("form", "oss://examplebucket/in/", "--max-size", "1M", "--json", *cloud.options)
    form = json.loads(done.stdout)

    files = {"file": ("photo.png", b"x")}
    assert requests.post(form["url"], form["fields"], files=files, timeout=10).status_code == 200
    assert form["may_end_early"] is False
    assert statement(cloud) == {
        "Effect": "Allow",
        "Action": ["oss:PutObject"],
        "Resource": ["acs:oss:*:*:examplebucket/in/*"],
    }


def test_bulk_opens_one_session_for_all_links(cloud: Cloud) -> None:
    done = run_process("bulk", "oss://examplebucket/2026/", "--format", "jsonl", "--json", *cloud.options)
    urls = [json.loads(line)["url"] for line in done.stdout.splitlines()]

    assert [requests.get(url, timeout=10).status_code for url in urls] == [200, 200]
    assert (len(cloud.calls), statement(cloud)["Resource"]) == (1, ["acs:oss:*:*:examplebucket/2026/*"])
    assert json.loads(done.stderr)["may_end_early"] is False


def test_bulk_refuses_the_keys_that_its_session_cannot_open(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "keys.txt").write_text("2026/a.txt\n2025/c.txt\noss://otherbucket/2026/a.txt\n")
    bulk = ("bulk", str(tmp_path / "keys.txt"), "--bucket", "examplebucket", "--format", "jsonl", *cloud.options)
    done = run_process(*bulk, "--policy-for", "oss://examplebucket/2026/")

    (record,) = done.stdout.splitlines()
    assert requests.get(json.loads(record)["url"], timeout=10).status_code == 200
    assert done.returncode == 1
    assert done.stderr.startswith(
        "line 2: The object is outside of --policy-for oss://examplebucket/2026/.\nline 3: The object is outside"
    )
    missing = run_process(*bulk)
    assert (missing.returncode, "Missing --policy-for" in missing.stderr, len(cloud.calls)) == (2, True, 1)


# --- how long ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("expires", "seconds", "duration"), [("5m", 300, "900"), ("4h", 14_400, "14400")])
def test_a_link_lives_as_long_as_requested(cloud: Cloud, expires: str, seconds: int, duration: str) -> None:
    done = run("sign", "oss://examplebucket/2026/a.txt", "--expires", expires, "--json", *cloud.options)
    link = json.loads(done.stdout)

    assert (link["expires_in"], link["clamped"], link["may_end_early"]) == (seconds, False, False)
    assert cloud.calls[-1]["DurationSeconds"] == duration
    assert requests.get(link["url"], timeout=10).status_code == 200


def test_a_link_ends_with_its_session(cloud: Cloud) -> None:
    cloud.clock = lambda: time.time() - 600
    done = run("sign", "oss://examplebucket/2026/a.txt", *cloud.options)

    assert re.search(r"in (5 minutes|4 minutes 59 seconds), when the credentials expire\.", done.stderr)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--policy-for", "oss://examplebucket/2025/"), "--policy-for oss://examplebucket/2025/ must contain oss://"),
        (("--policy-for", "oss://otherbucket/"), "must contain oss://examplebucket/2026/a.txt."),
        # Without the / at the end it is one object.
        (("--policy-for", "oss://examplebucket/2026"), "must contain oss://examplebucket/2026/a.txt."),
        (("--policy-for", "oss://examplebucket/20*/"), "must contain"),
        (("--policy-for", "2026/"), "expected oss://bucket/key"),
        (("--expires", "13h"), "--expires exceeds 12 hours, the longest life of a session"),
        (("--credentials-expire-at", "2030-01-01T00:00:00Z"), "is not allowed with --assume-role"),
        (("--assume-role", "links-signer"), "Invalid --assume-role: expected the ARN of a role"),
        (("--sts-endpoint", "http://sts.cn-hangzhou.aliyuncs.com"), "Invalid --sts-endpoint: expected a host"),
        (("--sts-endpoint", "user:sEXAMPLE@[::1"), "Invalid --sts-endpoint: expected a host"),
        (("--header", "x-oss-tagging: a=b"), "x-oss-tagging requires rights that --assume-role does not give"),
        (("--query", "acl="), "acl requires rights that --assume-role does not give"),
    ],
)
def test_a_wrong_option_is_a_usage_error_without_a_call(
    cloud: Cloud, arguments: tuple[str, ...], sentence: str
) -> None:
    done = run("sign", "oss://examplebucket/2026/a.txt", *cloud.options, *arguments)

    assert (done.returncode, done.stdout, cloud.calls) == (2, "", [])
    assert sentence in done.stderr
    assert "sEXAMPLE" not in done.stderr


@pytest.mark.parametrize("option", [("--policy-for", "oss://examplebucket/"), ("--sts-endpoint", "sts.aliyuncs.com")])
def test_the_other_options_require_a_role(option: tuple[str, str]) -> None:
    done = run("sign", "oss://examplebucket/2026/a.txt", *option)

    assert (done.returncode, f"{option[0]} requires --assume-role." in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("2026/*.txt", "must not contain * or ? with --assume-role"),
        ("what?", "must not contain * or ? with --assume-role"),
        ('"' * 1000, "bytes and exceeds STS's limit of 2048"),
    ],
)
def test_a_key_that_a_policy_cannot_hold_is_refused(cloud: Cloud, key: str, sentence: str) -> None:
    done = run("sign", f"oss://examplebucket/{key}", *cloud.options)

    assert (done.returncode, sentence in done.stderr, cloud.calls) == (2, True, [])


def test_the_longest_keys_fit_into_a_policy() -> None:
    assert len(session_policy(("oss:GetObject", "oss:GetObjectVersion"), Objects("b" * 63, "报" * 341)).encode()) < 1300


@pytest.mark.parametrize(
    ("method", "query", "actions"),
    [
        ("GET", (), ["oss:GetObject"]),
        ("HEAD", ("versionId",), ["oss:GetObject", "oss:GetObjectVersion"]),
        ("PUT", ("versionId",), ["oss:PutObject"]),
        ("POST", ("uploads",), ["oss:PutObject"]),
        ("PUT", ("uploadId", "partNumber"), ["oss:PutObject"]),
        ("GET", ("uploadId",), ["oss:ListParts"]),
        ("DELETE", ("uploadId",), ["oss:AbortMultipartUpload"]),
        ("DELETE", ("versionId",), ["oss:DeleteObject", "oss:DeleteObjectVersion"]),
    ],
)
def test_a_session_may_do_what_the_method_requires(method: str, query: tuple[str, ...], actions: list[str]) -> None:
    assert list(link_actions(method, query)) == actions


def test_a_copy_requires_rights_on_another_object() -> None:
    with pytest.raises(click.UsageError, match="X-OSS-Copy-Source requires rights"):
        link_actions("PUT", (), ("X-OSS-Copy-Source",))


# --- errors of STS ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (sts.StsError("EntityNotExist.Role"), f"Role {ROLE} not found: correct --assume-role."),
        (sts.StsError("NoPermission"), f"Not allowed to assume {ROLE}: the RAM user or role that asks"),
        (sts.StsError("Throttling.User"), "STS has too many calls (Throttling.User): wait a few seconds"),
        (
            sts.StsError("InvalidAccessKeyId.NotFound"),
            "STS refuses the credentials (InvalidAccessKeyId.NotFound): get new ones",
        ),
        (sts.errors.signature_mismatch(TOKEN), "STS refuses the credentials (SignatureDoesNotMatch)"),
        (sts.StsError("InvalidSecurityToken.Expired"), "STS refuses the credentials (InvalidSecurityToken.Expired)"),
        (
            sts.StsError("InvalidTimeStamp.Expired"),
            "STS refuses the time of this machine (InvalidTimeStamp.Expired): set its",
        ),
        (sts.StsError("InternalError"), "STS has failed (InternalError): run the command again later."),
        (sts.errors.invalid_parameter("PolicyGrammar"), "STS refused the session (InvalidParameter.PolicyGrammar)"),
        (sts.StsError("\n", TOKEN, status=407), "does not answer as STS does (status_407): correct --sts-endpoint"),
    ],
)
def test_each_error_of_sts_is_one_sentence(cloud: Cloud, error: sts.StsError, sentence: str) -> None:
    cloud.error = error
    done = run("sign", "oss://examplebucket/2026/a.txt", *cloud.options)

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("Error: ")
    assert sentence in done.stderr
    assert not any(secret in done.stderr for secret in (KEYS.access_key_secret, TOKEN[:9]))


def test_a_session_longer_than_the_role_allows_is_refused(cloud: Cloud) -> None:
    done = run("sign", "oss://examplebucket/2026/a.txt", "--expires", "5h", *cloud.options)

    assert (done.returncode, done.stdout) == (2, "")
    assert "A session of 5 hours is not allowed: pass a shorter --expires, or raise the role's" in done.stderr


def test_an_sts_that_cannot_be_reached_is_reported_with_its_address(cloud: Cloud) -> None:
    with listen(0) as unused:
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    done = run("sign", "oss://examplebucket/a", *cloud.options, "--sts-endpoint", f"http://{address}")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Error: Cannot reach STS at {address}: Connection refused. Check the network, or pass another "
        "--sts-endpoint.\n"
    )


def test_a_netrc_file_does_not_replace_the_signature(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("default login someone password secretEXAMPLE\n")

    done = run("sign", "oss://examplebucket/2026/a.txt", *cloud.options, env={**ENVIRONMENT, "HOME": str(tmp_path)})
    assert done.returncode == 0


def test_a_profile_may_assume_the_role(cloud: Cloud, tmp_path: Path) -> None:
    profile = {
        "name": "laptop",
        "mode": "StsToken",
        "access_key_id": KEYS.access_key_id,
        "access_key_secret": KEYS.access_key_secret,
        "sts_token": TOKEN,
    }
    config = tmp_path / CONFIG.removeprefix("~").lstrip("/")
    config.parent.mkdir()
    config.write_text(json.dumps({"current": "laptop", "profiles": [profile]}))
    done = run(
        "sign",
        "oss://examplebucket/2026/a.txt",
        "--profile",
        "laptop",
        *cloud.options,
        env={**BARE, "HOME": str(tmp_path)},
    )

    assert requests.get(done.stdout.strip(), timeout=10).status_code == 200
