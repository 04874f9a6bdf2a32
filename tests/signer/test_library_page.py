"""The examples of docs/library.md work."""

import re
from pathlib import Path
from typing import Any

import pytest

import signer

# In a clone, the library is called signer.
PAGE = (
    (Path(__file__).parents[2] / "docs" / "library.md")
    .read_text(encoding="utf-8")
    .replace("fc_presign", "signer")
)
CALLS = re.findall(r"`(link\([^`]+\))`", PAGE)


@pytest.mark.parametrize("call", CALLS)
def test_every_call_on_the_page_returns_a_link(
    call: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", "LTAI5tEXAMPLE")
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "an example's secret".replace(" ", "-"))
    match = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert match
    namespace: dict[str, Any] = {}
    exec(match[1], namespace)  # noqa: S102
    assert "x-oss-expires=600&" in capsys.readouterr().out
    assert "x-oss-signature=" in eval(call, namespace).url  # noqa: S307


def test_the_link_of_a_cdn_ends_when_the_page_says() -> None:
    example = next(
        block
        for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        if "presign_cdn" in block
    )
    namespace: dict[str, Any] = {"signer": signer}
    exec(example, namespace)  # noqa: S102
    now, key = 1_772_347_271, "k" * 32
    link = namespace["cdn_link"](key, expires_in=600, now=now)
    assert int(link.expires_at.timestamp()) == now + 600
    written = link.url.partition("=")[2].partition("-")[0]
    assert now - int(written) == 1200


def test_the_page_has_a_call_for_most_rows() -> None:
    assert len(CALLS) >= 9
