"""A link that lost the start of its query holds its secrets in the host or the path, which are shown."""

from __future__ import annotations

import json

import pytest

import signer
from tests.signer.signing import NOW, TEMPORARY, TOKEN, sign

LINK = sign(credentials=TEMPORARY).url
SIGNATURE = LINK.partition("x-oss-signature=")[2][:64]


@pytest.mark.parametrize("sign", ["%3F", "%253F", "/", "", "&", ";", "\uff1f"])
@pytest.mark.parametrize("credentials", [None, TEMPORARY])
def test_neither_signature_nor_token_is_shown(sign: str, credentials: signer.Credentials | None) -> None:
    for url in (LINK.replace("?", sign), LINK.replace("/", sign).replace(f"{sign}{sign}", "//", 1)):
        try:
            explanation = signer.explain(url, credentials=credentials, now=NOW)
        except signer.InvalidLink:
            continue
        shown = f"{explanation}{explanation!r}{json.dumps(explanation.to_json())}"
        assert SIGNATURE not in shown
        assert TOKEN not in shown
