"""The reference pages list exactly what is in the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from handler.core import errors
from handler.core.config import load, table
from handler.core.config.reader import REQUIRED, Key, TableReader
from handler.core.errors import ErrorEntry
from handler.notices import sinks
from tests.handler.client import make_config
from tools import reference

ERRORS = {"bad_query": ErrorEntry(400, "Invalid query parameter.", "Use a or <name>.")}
COLOUR = Key(
    read=TableReader.string,
    default=REQUIRED,
    needs=("state", "GET in methods"),
    forbids=(("cdn", "is of no use"),),
    schema={"type": "string"},
    says="Of the mount.",
)


def test_the_pages_are_current() -> None:
    assert reference.main(["--check"]) == 0, "run python -m tools.reference"


def test_a_page_that_is_not_current_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in reference.PAGES:
        page = tmp_path / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text((reference.ROOT / name).read_text("utf-8"), "utf-8")
    monkeypatch.setattr(reference, "ROOT", tmp_path)

    def stale() -> list[str]:
        """The pages that are not current, which then are written."""
        code = reference.main(["--check"])
        lines = capsys.readouterr().err.splitlines()
        assert code == (1 if lines else 0)
        assert reference.main([]) == 0
        return [
            line.removesuffix(" is not current: run python -m tools.reference.") for line in lines
        ]

    assert stale() == []
    monkeypatch.setattr(errors, "ERRORS", ERRORS)
    assert stale() == ["docs/errors.md"]
    assert (
        "\n### 400\n\n- `bad_query`: Invalid query parameter. Use a or &lt;name>.\n"
        in reference.errors_page()
    )
    monkeypatch.setitem(table.MOUNT_KEYS, "colour", COLOUR)
    assert stale() == ["docs/configuration.md", "handler/web/openapi.json"]
    assert (
        "- `colour`: Required. Of the mount. It requires state and GET in methods.\n"
        in reference.configuration_page()
    )
    assert re.search(
        "\n- A mount with `cdn` has no .*, `colour`\\.\n", reference.configuration_page()
    )
    document = json.loads((tmp_path / "handler/web/openapi.json").read_text("utf-8"))
    mount = document["components"]["schemas"]["MyMount"]
    assert mount["properties"]["colour"] == {"type": "string"}
    assert mount["required"][-1] == "colour"
    monkeypatch.setitem(sinks.KINDS, "pager", sinks.KINDS["slack"])
    assert stale() == ["docs/events.md"]
    assert "\n| `pager` | rich text, " in (tmp_path / "docs/events.md").read_text("utf-8")
    assert stale() == []


def test_the_example_on_the_configuration_page_is_valid() -> None:
    config = make_config(
        reference.EXAMPLE, {"LINK_REGION": "cn-hangzhou", "LINK_BUCKET": "examplebucket"}
    )
    assert [mount.path for mount in config.mounts] == ["/reports/"]
    assert [notice.on for notice in config.notices] == ["created"]


def test_the_thumbnail_of_the_page_is_the_only_size_that_its_mount_allows(tmp_path: Path) -> None:
    file = tmp_path / "links.toml"
    file.write_text(f'region = "cn-hangzhou"\n{reference.THUMBNAIL}', "utf-8")
    config = load.load(str(file), {"LINK_BUCKET": "examplebucket"})
    assert [mount.process for mount in config.mounts] == [{"image/resize,w_320"}]
