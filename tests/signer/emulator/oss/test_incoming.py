"""A request's body: how long it may be, and what ends it."""

from __future__ import annotations

import io

import pytest

from signer.emulator.oss.errors import OssError
from signer.emulator.oss.incoming import RequestBody
from signer.sizes import MAX_PUT
from tests.local_oss import LocalOss
from tests.signer.emulator.oss.test_signed_requests import raw


@pytest.mark.parametrize(
    ("length", "chunked", "max_bytes", "code"),
    [
        (4, False, 4, ""),
        (4, False, 3, "EntityTooLarge"),
        (5, False, 9, "IncompleteBody"),
        (None, False, 3, ""),  # neither a length nor chunks: there is no body
        (None, True, 4, ""),
        (None, True, 3, "EntityTooLarge"),
    ],
)
def test_a_body_has_at_most_so_many_bytes(
    length: int | None, chunked: bool, max_bytes: int, code: str
) -> None:
    body = RequestBody(io.BytesIO(b"body"), length, chunked=chunked)
    if not code:
        assert body.read(max_bytes) == (b"body" if length or chunked else b"")
        return
    with pytest.raises(OssError) as raised:
        body.read(max_bytes)
    assert raised.value.code == code


def test_a_length_that_is_too_large_is_refused_before_the_body_is_read() -> None:
    stream = io.BytesIO(b"body")
    with pytest.raises(OssError, match="maximum"):
        next(RequestBody(stream, MAX_PUT + 1, chunked=False).blocks())
    assert stream.tell() == 0


@pytest.mark.parametrize("length", ["five", "-5", "5.0", "9" * 19])
def test_a_length_that_is_not_a_number_of_bytes_is_refused(cloud: LocalOss, length: str) -> None:
    head = f"PUT {cloud.link('PUT', 'object')} HTTP/1.1\r\nHost: {cloud.host}\r\n"
    answer = raw(cloud, f"{head}Content-Length: {length}\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"<Code>InvalidArgument</Code>" in answer
    assert cloud.keys() == []
