"""The fields of a multipart/form-data body, and its file as a stream. Source: the OSS page "PostObject"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import (
    NEED_DATA,
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
)

from ..errors import OssError

_BUFFER = 4 << 20  # bytes held at a time
_MAX_FIELD_BYTES = 128 << 10  # of all fields together
_MAX_FIELDS = 200


class PostedForm(NamedTuple):
    """`fields` are those before the file, lower-case names; OSS ignores what follows the file.

    `content` must be read to its end: only then is it known that the form is complete.
    """

    fields: Mapping[str, str]
    file_name: str
    file_type: str
    content: Iterator[bytes]


def read_form(blocks: Iterable[bytes], boundary: str) -> PostedForm:
    """Reads up to the file. Raises `OssError` for a malformed form, a missing file, and a duplicate field."""
    events = _events(blocks, boundary)
    fields: dict[str, str] = {}
    size = 0
    for event in events:
        if not isinstance(event, (Field, File)):
            continue
        name = (event.name or "").lower()
        if name == "file":
            file_name = event.filename if isinstance(event, File) else ""
            return PostedForm(
                fields, file_name, event.headers.get("content-type", ""), _content(events)
            )
        if isinstance(event, File):
            raise _no_file()
        value = b""
        for data in _data(events):
            size += len(data)
            if size > _MAX_FIELD_BYTES:
                raise OssError(
                    400, "FieldItemTooLong", "Your form fields exceed the maximum allowed size."
                )
            value += data
        if name in fields:
            raise OssError(400, "InvalidArgument", f"Duplicate form field {name}: send it once.")
        try:
            fields[name] = value.decode()
        except UnicodeDecodeError:
            raise _malformed() from None
    raise _no_file()


def _events(blocks: Iterable[bytes], boundary: str) -> Iterator[Event]:
    decoder = MultipartDecoder(boundary.encode(), _BUFFER, max_parts=_MAX_FIELDS)
    try:
        for block in blocks:
            decoder.receive_data(block)
            while (event := decoder.next_event()) is not NEED_DATA:
                yield event
        decoder.receive_data(None)
        while not isinstance(event := decoder.next_event(), Epilogue):
            yield event
    except (ValueError, RequestEntityTooLarge):
        raise _malformed() from None


def _data(events: Iterator[Event]) -> Iterator[bytes]:
    """The bytes of one field or of the file."""
    for event in events:
        if isinstance(event, Data):
            yield event.data
            if not event.more_data:
                return


def _content(events: Iterator[Event]) -> Iterator[bytes]:
    """The file's bytes; reads the rest of the form too, to notice an incomplete one."""
    yield from _data(events)
    for _ in events:
        pass


def _no_file() -> OssError:
    return OssError(
        400,
        "InvalidArgument",
        'POST requires exactly one file upload per request, in the field "file".',
    )


def _malformed() -> OssError:
    message = "The body of your POST request is not well-formed multipart/form-data."
    return OssError(400, "MalformedPOSTRequest", message)
