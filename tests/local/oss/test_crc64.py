"""The checksum that clients compare."""

from __future__ import annotations

import tempfile
from pathlib import Path

import crcmod
from hypothesis import given, settings
from hypothesis import strategies as st

from local.oss.storage import Draft

REFERENCE = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)
BLOCK = bytes((index * index + index // 7) % 251 for index in range(200_003))


def crc64(*blocks: bytes) -> int:
    """The checksum of a draft that these blocks are written to."""
    with tempfile.TemporaryDirectory() as folder, Draft(Path(folder)) as draft:
        draft.write(blocks)
        return draft.crc64


def test_the_check_value_is_that_of_the_catalogue() -> None:
    # CRC-64/XZ in the catalogue of parametrised CRC algorithms.
    assert crc64(b"123456789") == 0x995DC9BBDF1939FA
    assert crc64() == crc64(b"") == 0


@settings(deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 70_000), st.integers(0, 140_000))
def test_it_agrees_with_another_implementation_at_any_length(start: bytes, begin: int, length: int) -> None:
    more = BLOCK[begin : begin + length]
    assert crc64(start, more) == REFERENCE(start + more)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=500)), st.integers(0, 200_003))
def test_the_checksum_does_not_depend_on_how_the_bytes_are_split(blocks: list[bytes], length: int) -> None:
    assert crc64(*blocks, BLOCK[:length]) == REFERENCE(b"".join(blocks) + BLOCK[:length])
