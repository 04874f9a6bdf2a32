"""Sizes in bytes, as the command line and links.toml accept them and as pages and notices show them."""

from __future__ import annotations

import pytest

from signer.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("string", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("5B", 5),
        ("10k", 10 << 10),
        ("10KB", 10 << 10),
        ("10 MB", 10 << 20),
        ("5G", 5 << 30),
        ("5GiB", 5 << 30),
        ("1tb", 1 << 40),
        ("45000GB", 45000 << 30),
    ],
)
def test_a_size_is_in_bytes(string: str, size: int) -> None:
    assert parse_size(string) == size


# The last two are a full-width digit and the Kelvin sign, which equals k where case is ignored.
@pytest.mark.parametrize(
    "string", ["", "B", "-1", "1.5M", "5X", "5KM", " 5", "1" * 16, "\uff15", "5\u212a"]
)
def test_anything_else_is_not_a_size(string: str) -> None:
    assert parse_size(string) is None


@pytest.mark.parametrize(
    ("size", "string"),
    [
        (0, "0 B"),
        (14, "14 B"),
        (1023, "1023 B"),
        (1024, "1 KB"),
        (100 << 20, "100 MB"),
        (1_468_006, "1.4 MB"),
        (5 << 40, "5 TB"),
        (5 << 50, "5120 TB"),
    ],
)
def test_a_size_is_shown_in_its_largest_unit(size: int, string: str) -> None:
    assert format_size(size) == string
