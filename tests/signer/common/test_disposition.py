"""Content-Disposition values and the file names that are refused."""

from __future__ import annotations

import pytest

from signer import InvalidQuery
from signer.common.disposition import attachment


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("q3.pdf", "attachment; filename=\"q3.pdf\"; filename*=UTF-8''q3.pdf"),
        (
            "résumé.txt",
            "attachment; filename=\"r_sum_.txt\"; filename*=UTF-8''r%C3%A9sum%C3%A9.txt",
        ),
        (
            "it's (1)*;c=,",
            "attachment; filename=\"it's (1)*;c=,\"; filename*=UTF-8''it%27s%20%281%29%2A%3Bc%3D%2C",
        ),
        (
            'a "b" 100%',
            "attachment; filename=\"a _b_ 100_\"; filename*=UTF-8''a%20%22b%22%20100%25",
        ),
    ],
)
def test_a_file_name_is_sent_as_ascii_and_as_utf_8(name: str, value: str) -> None:
    assert attachment(name) == value


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 256,
        "报" * 86,
        "a/b",
        "a\\b",
        "a\x00",
        "a\r\nb",
        "a\x7f",
        "a\x80",
        "a\x85b",
        "a\x9f",
        "a\ud800",
    ],
    ids=ascii,
)
def test_an_invalid_file_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidQuery, match="no slash, backslash or control character") as caught:
        attachment(name)
    assert caught.value.name == "response-content-disposition"
