"""The examples of docs/library.md work; that of Django runs in tests/emulator/test_strangers.py."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import signer
from deploy.command import output_of

# In a clone, the library is called signer.
PAGE = (
    (Path(__file__).parents[2] / "docs" / "library.md")
    .read_text(encoding="utf-8")
    .replace("fc_presign", "signer")
)
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
CALLS = re.findall(r"`(link\([^`]+\))`", PAGE)


@pytest.mark.parametrize("call", CALLS)
def test_every_call_on_the_page_returns_a_link(
    call: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    namespace = namespace_of(monkeypatch)
    assert "x-oss-expires=600&" in capsys.readouterr().out
    assert "x-oss-signature=" in eval(call, namespace).url  # noqa: S307


def namespace_of(monkeypatch: pytest.MonkeyPatch, *beginnings: str) -> dict[str, Any]:
    """What the page's first example and those that begin so define."""
    monkeypatch.setenv("OSS_ACCESS_KEY_ID", "LTAI5tEXAMPLE")
    monkeypatch.setenv("OSS_ACCESS_KEY_SECRET", "secretEXAMPLE")
    namespace: dict[str, Any] = {"__name__": __name__}
    for example in EXAMPLES:
        if example.startswith(("import signer", *beginnings)):
            exec(example, namespace)  # noqa: S102
    return namespace


def test_the_view_of_flask_redirects_to_a_link_and_knows_no_object_that_cannot_be_signed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    namespace = namespace_of(monkeypatch, "import flask")
    capsys.readouterr()  # a link, which no log of tests may have
    client = namespace["app"].test_client()
    redirect = client.get("/files/a/%E6%8A%A5%E5%91%8A.txt")
    assert redirect.status_code == 302
    verified = signer.verify("GET", redirect.location, credentials=namespace["credentials"])
    assert verified.ok
    assert redirect.location.startswith(
        "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/public/a/%E6%8A%A5%E5%91%8A.txt?"
    )
    for path in ("/files/a//b", "/files/a/../b", "/files/a%0Ab"):
        assert client.get(path).status_code == 404


def test_the_link_of_a_cdn_ends_when_the_page_says() -> None:
    example = next(example for example in EXAMPLES if "presign_cdn" in example)
    namespace: dict[str, Any] = {"signer": signer}
    exec(example, namespace)  # noqa: S102
    now, key = 1_772_347_271, "k" * 32
    link = namespace["cdn_link"](key, expires_in=600, now=now)
    assert int(link.expires_at.timestamp()) == now + 600
    written = link.url.partition("=")[2].partition("-")[0]
    assert now - int(written) == 1200


def test_the_page_has_a_call_for_most_rows() -> None:
    assert len(CALLS) >= 9


def test_names_that_are_imported_late_are_listed() -> None:
    code = "import signer; assert set(signer.__all__) <= set(dir(signer))"
    done = output_of([sys.executable, "-c", code], 60, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
