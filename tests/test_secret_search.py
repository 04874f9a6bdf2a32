"""A secret in the output of a run is found, and never repeated."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

import signer
from handler.commands import keys_edit
from signer.emulator.sts import temporary_credentials
from tests import conftest
from tests.deploy.project_copy import ROOT
from tools import secret_search
from tools.secret_search import Finding

KEYS = signer.Credentials(
    "STS.EXAMPLE", "secretEXAMPLEsecretEXAMPLE", "CAIS+token/EXAMPLE+EXAMPLE=="
)
LINK = signer.presign(
    "GET",
    "examplebucket",
    "a.txt",
    credentials=KEYS,
    endpoint=signer.Endpoint.public("cn-hangzhou"),
).url
SIGNATURE = "5f3b8a0c1d2e4f60718293a4b5c6d7e8f90112233445566778899aabbccddeef"
TOKEN = "Vq3xEXAMPLE_" * 5
ROBOT = "00000000-0000-4000-8000-000000000000"
# Each kind in the forms in which programs print it.
PLANTED = [
    ("a signature", f"GET /a.txt?x-oss-signature={SIGNATURE} HTTP/1.1"),
    (
        "a signature",
        f"https://wiki.example/?url=https%3A%2F%2Fa%2F%3Fx-oss-signature%3D{SIGNATURE}",
    ),
    (
        "a signature",
        "https://examplebucket.example/a?Expires=1&Signature=vjbyPxybdZaNmGa%2ByT272YEAiv4%3D",
    ),
    ("a signature", f"Authorization: OSS4-HMAC-SHA256 Credential=…, Signature={SIGNATURE}"),
    ("a signature", f'{{"x-oss-signature": "{SIGNATURE}"}}'),
    ("a signature", f"<SignatureProvided>{SIGNATURE}</SignatureProvided>"),
    ("a security token", "x-oss-security-token: AQICAHhEXAMPLEAQICAHhEXAMPLE"),
    ("a security token", "{'security_token': 'CAIS+token/EXAMPLE+EXAMPLE=='}"),
    ("a security token", '{\\"SecurityToken\\": \\"AQICAHhEXAMPLEAQICAHhEXAMPLE\\"}'),
    ("an access key secret", "export OSS_ACCESS_KEY_SECRET='secretEXAMPLEsecretEXAMPLE'"),
    ("an access key secret", '"AccessKeySecret":"secretEXAMPLEsecretEXAMPLE"'),
    ("a share", f"http://127.0.0.1:9000/-/s/a.txt?share={TOKEN[:22]}"),
    ("a share", f"<a href='/-/s/a.txt?format=json&amp;share={TOKEN[:22]}'>"),
    ("an API key", f"X-Api-Key fcp_{TOKEN}"),
    ("a sink's secret", "the secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw is shown once"),
    (
        "a sink's secret",
        "POST https://oapi.dingtalk.example/robot/send?access_token=0123456789abcdef0123",
    ),
    ("a sink's secret", f"https://open.feishu.example/open-apis/bot/v2/hook/{ROBOT}"),
    ("a sink's secret", "https://hooks.slack.com/services/T000/B000/EXAMPLE"),
    (
        "a sink's secret",
        "https://qyapi.weixin.example/cgi-bin/webhook/send?key=00000000-0000-4000-8000-0000",
    ),
    ("a JWT", "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJyZWFkZXIifQ.c2lnbmF0dXJlRVhBTVBMRQ"),
    ("a bearer token", "authorization: bearer 0123456789abcdefEXAMPLE"),
    ("a private key", "-----BEGIN PRIVATE KEY-----"),
]


def test_every_kind_is_planted() -> None:
    assert {kind for kind, _ in PLANTED} == set(secret_search.KINDS)


@pytest.mark.parametrize(("kind", "line"), PLANTED)
def test_a_planted_secret_is_found_on_its_line(kind: str, line: str) -> None:
    assert Finding(2, kind) in secret_search.search(f"before\n{line}\nafter\n")


def test_a_link_has_its_signature_and_its_token_on_one_line() -> None:
    assert secret_search.search(LINK) == [Finding(1, "a security token"), Finding(1, "a signature")]


@pytest.mark.parametrize(
    "line",
    [
        "403 SignatureDoesNotMatch, x-oss-signature-version=OSS4-HMAC-SHA256",
        "GET /-/s/a.txt?share=REDACTED&x-oss-security-token=REDACTED&x-oss-signature=REDACTED",
        "Set OSS_ACCESS_KEY_SECRET and OSS_SESSION_TOKEN; the bearer token must be a JWT, or an API key of fcp_…",
        "tests/signer/test_presign.py::test_a_signature_of_every_method PASSED",
        f"sha256 {SIGNATURE} of the package",
    ],
)
def test_what_is_not_secret_is_not_found(line: str) -> None:
    assert secret_search.search(line) == []


def test_the_program_names_line_and_kind_but_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = tmp_path / "known"
    output = tmp_path / "output"
    clean = tmp_path / "clean"
    known.write_text("unlikeAnyPatternEXAMPLE\n")
    output.write_text(f"passed\nfcp_{TOKEN}\nmade unlikeAnyPatternEXAMPLE\n")
    clean.write_text("passed\n")
    assert secret_search.main([str(clean)]) == 0
    assert secret_search.main(["--known", str(known), str(clean), str(output)]) == 1
    assert capsys.readouterr().err == (
        f"{output}:2: contains an API key\n{output}:3: contains a secret of this run\n"
    )


def test_a_file_without_secrets_is_refused_since_nothing_would_be_searched_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = tmp_path / "known"
    known.write_text("\n")
    with pytest.raises(SystemExit) as ended:
        secret_search.main(["--known", str(known), str(known)])
    assert ended.value.code == 2
    assert "has no secrets: set SECRETS_USED" in capsys.readouterr().err


def test_the_secrets_that_a_run_makes_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "token_urlsafe", secrets.token_urlsafe)
    secret_search.record(tmp_path / "made")
    credentials = temporary_credentials()
    _, api_key = keys_edit.add_api_key(keys_edit.new(), "ci", ["/"], ["GET"], None)
    assert secrets.token_urlsafe(18)
    made = (tmp_path / "made").read_text().split()
    assert credentials.access_key_secret in made
    assert api_key.removeprefix("fcp_") in made
    assert len(made) == 3


def test_a_secret_in_a_parameter_is_not_part_of_the_name_of_a_test() -> None:
    assert conftest.pytest_make_parametrize_id(f"fcp_{TOKEN}", "key") == "key"
    assert conftest.pytest_make_parametrize_id("/exampledir/", "path") is None
    assert conftest.pytest_make_parametrize_id(7, "number") is None


def test_ci_searches_all_that_the_tests_print_also_those_that_pass() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    options = 'PYTHON="$python" ARGS="--junitxml=build/tests.xml -o junit_logging=all"'
    assert f"SECRETS_USED=$secrets make test-ci {options}" in script
    assert 'python -m tools.secret_search --known "$secrets" "$report" build/tests.xml' in script
