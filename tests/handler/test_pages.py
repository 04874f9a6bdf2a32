"""The names on pages: nothing in them changes the direction in which they are read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from handler import pages, state
from handler.errors import Problem
from handler.response import Response
from tests.handler.share_fixtures import ShareService, share_service_with_oss

# Every character with which Unicode controls the direction of writing (UAX 9, table 1 and section 2).
CONTROLS = [
    character
    for character in map(chr, range(0x110000))
    if unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
] + ["\u061c", "\u200e", "\u200f"]


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ShareService]:
    monkeypatch.setattr(state, "_probed", {})
    with share_service_with_oss(tmp_path) as service:
        yield service


def share_page(name: str) -> Response:
    return pages.share_page(
        "en",
        name=name,
        size=1,
        media_type="text/plain",
        expires_at=1_772_347_271,
        uses_left=None,
        nonce="nonce-EXAMPLE-000000000",
        address="https://links.example.com/a",
        link_origin="https://examplebucket.oss-cn-hangzhou.aliyuncs.com",
    )


def upload_page(folder: str) -> Response:
    return pages.upload_page(
        "en",
        folder=folder,
        max_size=1,
        content_type=None,
        files_left=1,
        expires_at=1_772_347_271,
        link_origin="https://examplebucket.oss-cn-hangzhou.aliyuncs.com",
    )


def problem_page(sentence: str) -> Response:
    return pages.problem_page(Problem("bad_path", sentence), "req-EXAMPLE", "en")


@pytest.mark.parametrize("control", CONTROLS, ids=ascii)
@pytest.mark.parametrize("page", [share_page, upload_page, problem_page])
def test_a_control_of_direction_becomes_an_underscore(page: type, control: str) -> None:
    body = unescape(page(f"report{control}fdp.exe").body)
    assert control not in body
    assert "report_fdp.exe" in body
    assert not re.search(r"&#x?[0-9a-f]+;", page(f"report{control}fdp.exe").body, re.IGNORECASE)


@pytest.mark.parametrize(
    "name", ["报告 q3.pdf", "می\u200cروم.pdf", "דוח.pdf", "👩\u200d💻.png", "a & b <c>.txt", "Zoë_$1.txt"]
)
def test_every_other_name_is_shown_as_it_is(name: str) -> None:
    assert f"<h1>{name}</h1>" in unescape(share_page(name).body)


def test_so_it_is_on_the_page_of_a_share_by_its_path_and_by_its_chosen_name(service: ShareService) -> None:
    service.put("reports/q3\u202efdp.exe")
    shared = {"page": True, "path": "/reports/q3\u202efdp.exe"}
    for url in (service.create_share(**shared), service.create_share(**shared, download="q4\u2066fdp.exe")):
        page = service.open(url, headers={"Accept": "text/html"})
        assert page.status == 200
        assert re.search("<h1>q[34]_fdp.exe</h1>", page.body)
        assert re.search("<title>q[34]_fdp.exe</title>", page.body)
        assert not {"\u202e", "\u2066"} & set(unescape(page.body))
