"""A valid links.toml, parsed, in which tests change one entry at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from handler.core.config import InvalidConfig
from handler.core.config.load import read

A_MOUNT: Mapping[str, Any] = {
    "path": "/exampledir/",
    "target": "oss://examplebucket/exampledir/",
    "access": "anonymous",
}
UPLOADS: Mapping[str, Any] = {"methods": ["GET", "PUT"], "max_size": "10MB"}


def document(*mounts: Mapping[str, Any], **top: Any) -> dict[str, Any]:
    return {
        "region": "cn-hangzhou",
        **top,
        "mount": [dict(table) for table in mounts or (A_MOUNT,)],
    }


def refusal(table: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> str:
    """The message of the error that a document raises."""
    with pytest.raises(InvalidConfig) as raised:
        read(table, environ or {})
    sentence = raised.value.sentence
    assert str(raised.value) == sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence
