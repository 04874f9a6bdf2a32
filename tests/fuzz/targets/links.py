"""What people paste: links that fail, and what OSS answered."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from unittest.mock import patch
from urllib.parse import quote, unquote

import signer
from signer.cli import run as run_command
from signer.diagnosis.causes import CAUSES
from signer.emulator.oss.authorization import mismatch
from tests.fuzz.laws import Run, check_no_secret
from tests.signer.diagnosis.test_explain import BROKEN, CREDENTIALS
from tests.signer.signing import NOW, sign
from tools.explain_page import edited

LINK = sign(key="reports/a b.pdf", credentials=CREDENTIALS, expires_in=600).url
SIGNATURE = LINK.partition("x-oss-signature=")[2][:64]
TOKEN = CREDENTIALS.security_token or ""
SECRETS = (CREDENTIALS.access_key_secret, TOKEN, quote(TOKEN, safe=""), SIGNATURE)

_IN_ITS_PLACE = re.compile(
    f"(?:signature|security-token)=(?:{'|'.join(map(re.escape, SECRETS))})", re.IGNORECASE
)


def hidden(string: str) -> list[str]:
    """The secrets that nothing may show: those that only follow the names of their parameters, wherever these are."""
    decoded = (string, unquote(string), unquote(unquote(string)))
    rest = "\n".join(_IN_ITS_PLACE.sub("", each) for each in decoded)
    return [secret for secret in SECRETS if secret.lower() not in rest.lower()]


@contextmanager
def explanations() -> Iterator[Run]:
    """Every string has an explanation without a secret, or a sentence; with the secret or without it."""

    def run(data: bytes) -> None:
        string = data.decode("utf-8", "surrogateescape")
        secrets = hidden(string)
        start = max(string.find("<?xml"), string.find("<Error"))
        link, xml = (string[:start], string[start:]) if start >= 0 else (string, None)
        # The length decides the rest, so that each call is short.
        method = "PUT" if len(data) % 7 == 0 else "GET"
        headers = {"Content-Type": "text/plain"} if len(data) % 3 == 0 else None
        for credentials in (None, CREDENTIALS):
            try:
                explanation = signer.explain(
                    link,
                    error_xml=xml,
                    method=method,
                    headers=headers,
                    credentials=credentials,
                    now=NOW + 60,
                )
            except signer.InvalidLink as error:
                check_no_secret(str(error), secrets)
                continue
            printed = f"{explanation}\n{explanation!r}\n{json.dumps(explanation.to_json(), ensure_ascii=False)}"
            assert printed.encode(), "a terminal can print it"
            check_no_secret(printed, secrets)
            assert explanation.ok == (not explanation.findings)
        try:
            verification = signer.verify(method, link, credentials=CREDENTIALS, now=NOW + 60)
        except signer.SignerError as error:
            check_no_secret(str(error), secrets)
        else:
            check_no_secret(repr(verification), secrets)
            assert verification.ok == (not verification.faults)

    yield run


def explanation_seeds() -> Iterator[bytes]:
    """Every way in which a link breaks, without OSS's answer and with it."""
    sent = signer.verify("HEAD", LINK, credentials=CREDENTIALS, now=NOW)
    error = mismatch(
        sent.access_key_id, sent.provided_signature, sent.string_to_sign, sent.canonical_request
    )
    answer = error.xml(
        "65E01A2B3C4D5E6F70819203", "examplebucket.oss-cn-hangzhou.aliyuncs.com"
    ).decode()
    for cause in CAUSES.values():
        url = edited(LINK, json.loads(cause.example).get("edit", ()))
        yield from (url.encode(), f"{url}\n{answer}".encode())
    for urls in BROKEN.values():
        yield urls[0].encode()


@contextmanager
def command_lines() -> Iterator[Run]:
    """`explain` reads options from the first line, after its name, and standard input from the rest."""
    environ = {
        "OSS_ACCESS_KEY_ID": CREDENTIALS.access_key_id,
        "OSS_ACCESS_KEY_SECRET": CREDENTIALS.access_key_secret,
        "OSS_SESSION_TOKEN": CREDENTIALS.security_token or "",
        "HOME": "/nonexistent",
    }

    def run(data: bytes) -> None:
        first, _, pasted = data.partition(b"\n")
        _, *arguments = first.decode("utf-8", "surrogateescape").split("\t")
        # No file of this machine is opened, and nothing is asked for credentials.
        arguments = [
            each
            for each in arguments
            if not each.startswith(("--config", "--profile", "--error-xml"))
        ]
        helps = "--help" in arguments or "-h" in arguments
        out, err = io.StringIO(), io.StringIO()
        stdin = io.TextIOWrapper(io.BytesIO(pasted))
        with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "stdin", stdin):
            status = run_command(["explain", *arguments])
        printed = out.getvalue() + err.getvalue()
        assert status in (0, 1, 2), status
        assert printed
        assert out.getvalue().encode() is not None, "a terminal can print it"
        assert bool(out.getvalue()) == (status != 2) or helps
        assert "Traceback" not in printed
        check_no_secret(printed, hidden("\n".join([*arguments, pasted.decode("utf-8", "replace")])))
        if status != 2 and "--json" in arguments and not helps:
            assert isinstance(json.loads(out.getvalue()), dict)

    with patch.dict(os.environ, environ, clear=True):
        yield run
