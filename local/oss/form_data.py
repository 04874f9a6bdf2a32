"""The fields of a multipart/form-data body, and its file as a stream. Source: the OSS page "PostObject"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import NEED_DATA, Data, Epilogue, Event, Field, File, MultipartDecoder

from .errors import OssError

_BUFFER = 4 << 20  # bytes held at a time
_FIELDS = 128 << 10  # bytes of all fields together
_MOST_FIELDS = 200


@dataclass(frozen=True)
class Form:
    """`fields` are those before the file, lower-case names; what follows the file is ignored, as in OSS.

    `content` must be read to its end: only then is it known that the form is whole.
    """

    fields: Mapping[str, str]
    file_name: str
    file_type: str
    content: Iterator[bytes]


def read_form(blocks: Iterable[bytes], boundary: str) -> Form:
    """Reads up to the file. Raises `OssError` for what is no form, or has no file, or names a field twice."""
    events = _events(blocks, boundary)
    fields: dict[str, str] = {}
    size = 0
    for event in events:
        if not isinstance(event, (Field, File)):
            continue
        name = (event.name or "").lower()
        if name == "file":
            file_name = event.filename if isinstance(event, File) else ""
            return Form(fields, file_name, event.headers.get("content-type", ""), _content(events))
        if isinstance(event, File):
            raise _no_file()
        value = b""
        for data in _data(events):
            size += len(data)
            if size > _FIELDS:
                raise OssError(400, "FieldItemTooLong", "Your form fields exceed the maximum allowed size.")
            value += data
        if name in fields:
            raise OssError(400, "InvalidArgument", f"The form field {name} is there twice.")
        try:
            fields[name] = value.decode()
        except UnicodeDecodeError:
            raise _malformed() from None
    raise _no_file()


def _events(blocks: Iterable[bytes], boundary: str) -> Iterator[Event]:
    decoder = MultipartDecoder(boundary.encode(), _BUFFER, max_parts=_MOST_FIELDS)
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
    """One part's bytes."""
    for event in events:
        if isinstance(event, Data):
            yield event.data
            if not event.more_data:
                return


def _content(events: Iterator[Event]) -> Iterator[bytes]:
    """The file's bytes; at their end the rest of the form is read, so that a torn one is noticed."""
    yield from _data(events)
    for _ in events:
        pass


def _no_file() -> OssError:
    return OssError(400, "InvalidArgument", "POST requires exactly one file upload per request, in the field file.")


def _malformed() -> OssError:
    return OssError(
        400, "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data."
    )
