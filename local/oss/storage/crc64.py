"""CRC-64/XZ (ECMA-182 reflected), the checksum of `x-oss-hash-crc64ecma`, at a speed fit for large bodies.

CRC is linear, so a block is cut into lanes of equal length that run side by side: each step feeds one byte to
every lane at once, with whole-buffer table look-ups (`bytes.translate`) and exclusive-ors of long integers. That
is several times faster than a loop over bytes.
"""

from __future__ import annotations

POLYNOMIAL = 0xC96C5795D7870F42
_ONES = 0xFFFFFFFFFFFFFFFF
_LANE = 1024  # bytes
_FEWEST_LANES = 64


def update(crc: int, data: bytes) -> int:
    """The CRC of what `crc` covers followed by `data`; that of nothing is 0."""
    state = crc ^ _ONES
    count = len(data) // _LANE
    if count >= _FEWEST_LANES:
        state = _lanes(state, data[: count * _LANE], count)
        data = data[count * _LANE :]
    return _bytes(state, data) ^ _ONES


def combine(first: int, second: int, second_length: int) -> int:
    """The CRC of two runs of bytes, one behind the other, from their own; lengths are in bytes."""
    return _multiply(first, _power(second_length * 8)) ^ second


def _bytes(state: int, data: bytes) -> int:
    whole = len(data) & ~7
    t0, t1, t2, t3, t4, t5, t6, t7 = _SLICES
    for at in range(0, whole, 8):
        word = state ^ int.from_bytes(data[at : at + 8], "little")
        state = (
            t7[word & 255]
            ^ t6[word >> 8 & 255]
            ^ t5[word >> 16 & 255]
            ^ t4[word >> 24 & 255]
            ^ t3[word >> 32 & 255]
            ^ t2[word >> 40 & 255]
            ^ t1[word >> 48 & 255]
            ^ t0[word >> 56]
        )
    for byte in data[whole:]:
        state = t0[(state ^ byte) & 255] ^ state >> 8
    return state


def _lanes(state: int, data: bytes, count: int) -> int:
    """The state after `data`, which is `count` lanes of `_LANE` bytes."""
    integer = int.from_bytes
    planes = [0] * 8  # plane n holds byte n of every lane's state
    for step in range(_LANE):
        index = (planes[0] ^ integer(data[step::_LANE], "little")).to_bytes(count, "little")
        fed = [integer(index.translate(table), "little") for table in _PLANE_TABLES]
        planes = [before ^ after for before, after in zip([*planes[1:], 0], fed, strict=True)]
    columns = [plane.to_bytes(count, "little") for plane in planes]
    for lane in zip(*columns, strict=True):
        state = _past_a_lane(state) ^ integer(bytes(lane), "little")
    return state


def _past_a_lane(state: int) -> int:
    """The state after a lane of zero bytes."""
    result = 0
    for table in _LANE_TABLES:
        result ^= table[state & 255]
        state >>= 8
    return result


def _multiply(one: int, other: int) -> int:
    """The product of two polynomials, bits reflected, modulo the CRC's."""
    product = 0
    for bit in range(63, -1, -1):
        if one >> bit & 1:
            product ^= other
        other = other >> 1 ^ (POLYNOMIAL if other & 1 else 0)
    return product


def _power(exponent: int) -> int:
    """x to this power, modulo the CRC's polynomial."""
    result, square = 1 << 63, 1 << 62
    while exponent:
        if exponent & 1:
            result = _multiply(result, square)
        square = _multiply(square, square)
        exponent >>= 1
    return result


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


def _slices(table: list[int]) -> list[list[int]]:
    slices = [table]
    for _ in range(7):
        slices.append([table[value & 255] ^ value >> 8 for value in slices[-1]])
    return slices


_SLICES = _slices(_table())
_PLANE_TABLES = [bytes(value >> 8 * plane & 255 for value in _SLICES[0]) for plane in range(8)]
_LANE_POWER = _power(_LANE * 8)
_LANE_TABLES = [[_multiply(value << 8 * plane, _LANE_POWER) for value in range(256)] for plane in range(8)]
