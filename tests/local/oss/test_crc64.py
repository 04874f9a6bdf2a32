"""The checksum that clients compare."""

from __future__ import annotations

import crcmod
from hypothesis import given, settings
from hypothesis import strategies as st

from local.oss.storage import crc64

REFERENCE = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)
BLOCK = bytes((index * index + index // 7) % 251 for index in range(200_003))


def test_the_check_value_is_that_of_the_catalogue() -> None:
    # CRC-64/XZ in the catalogue of parametrised CRC algorithms.
    assert crc64.update(0, b"123456789") == 0x995DC9BBDF1939FA
    assert crc64.update(0, b"") == 0


@settings(deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 70_000), st.integers(0, 140_000))
def test_it_agrees_with_another_implementation_at_any_length(start: bytes, begin: int, length: int) -> None:
    more = BLOCK[begin : begin + length]
    assert crc64.update(crc64.update(0, start), more) == REFERENCE(start + more)


@settings(deadline=None)
@given(st.binary(max_size=500), st.integers(0, 200_003))
def test_two_checksums_combine_to_that_of_the_whole(first: bytes, length: int) -> None:
    second = BLOCK[:length]
    assert crc64.combine(REFERENCE(first), REFERENCE(second), length) == REFERENCE(first + second)
