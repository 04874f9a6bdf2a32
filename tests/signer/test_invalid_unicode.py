"""Half a surrogate pair, which stands for a byte of an argument that was not UTF-8, is refused or explained."""

from __future__ import annotations

import json

import pytest

import signer
from tests.signer.signing import NOW, sign

KEYS = signer.Credentials("STS.EXAMPLE", "secretEXAMPLE", "CAIS+token/EXAMPLE==")
HALF = "\udcb5"
LINK = sign(credentials=KEYS).url


@pytest.mark.parametrize("credentials", [None, KEYS])
@pytest.mark.parametrize(
    "arguments",
    [
        {"url": LINK.replace("?", f"{HALF}?")},
        {"url": LINK + f"&{HALF}=1"},
        {"url": f"http://{HALF}"},
        {"method": f"GET{HALF}"},
        {"headers": {f"x-oss-meta-{HALF}": HALF}},
        {"bucket": f"b{HALF}"},
        {"error_xml": f"<Error><Code>AccessDenied</Code><Message>{HALF}</Message></Error>"},
    ],
)
def test_an_explanation_can_be_printed(
    arguments: dict[str, object], credentials: signer.Credentials | None
) -> None:
    explanation = signer.explain(**{"url": LINK, **arguments}, credentials=credentials, now=NOW)  # type: ignore[arg-type]
    assert f"{explanation}{json.dumps(explanation.to_json(), ensure_ascii=False)}".encode()


def test_a_link_is_refused_and_a_header_is_not_the_one_that_was_signed() -> None:
    for url in (LINK.replace("?", f"{HALF}?"), f"{LINK}&{HALF}=1"):
        with pytest.raises(signer.InvalidLink):
            signer.verify("GET", url, credentials=KEYS, now=NOW)
    link = sign("PUT", credentials=KEYS, headers={"Content-Type": "text/plain"})
    assert not signer.verify(
        "PUT", link.url, headers={"Content-Type": HALF}, credentials=KEYS, now=NOW
    ).ok
