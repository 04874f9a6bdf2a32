"""The keys of CDNs in the keys document: one that is invalid is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from handler.core.keys import parse
from signer import CdnKey
from tests.handler.core.keys.command import KeysCli
from tests.handler.keys_fixtures import document

KEY = "aliyuncdnexp1234"


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"type": "C", "key": KEY}, "type must be A, the only type of URL signing that is supported."),
        ({"type": ["A"], "key": KEY}, "type must be A, the only type of URL signing that is supported."),
        ({"type": "A"}, "Invalid key of a CDN: key must be 6 to 128 letters and digits."),
        ({"type": "A", "key": "short"}, "Invalid key of a CDN: key must be 6 to 128 letters and digits."),
        ({"type": "A", "key": KEY, "rand": "0"}, "unknown member (known: type, key, valid_for, parameter)."),
    ],
)
def test_an_invalid_entry_is_named_and_takes_nothing_else_with_it(
    in_file: KeysCli, tmp_path: Path, entry: dict[str, object], fault: str
) -> None:
    saved = tmp_path / "saved.json"
    entries = {"other": {"type": "A", "key": KEY}, "static": entry}
    saved.write_text(json.dumps({**document(), "cdn": entries}))
    keys = parse(saved.read_bytes())
    assert (keys.cdn, keys.cdn_faults) == ({"other": CdnKey(KEY)}, {"static": f"keys document: cdn static: {fault}"})
    assert keys.api == parse(json.dumps(document())).api
    assert KEY not in repr(keys)
    assert in_file.run("restore", str(saved), "--yes").status == 0
    shown = in_file.run("show").out
    assert f"  static: cannot be used (keys document: cdn static: {fault.rstrip('.')})\n" in shown
    assert "  other: links are valid for 1800 s after the time in them\n" in shown
