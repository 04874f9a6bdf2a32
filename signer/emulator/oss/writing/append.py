"""AppendObject. Sources: its OSS page, and those of EC 0016-00000501, …502, 0026-00000016 and …17."""

from __future__ import annotations

import re
from collections.abc import Mapping

from werkzeug.wrappers import Response

from ....sizes import MAX_PUT
from ..errors import OssError, invalid_argument, not_implemented
from ..incoming import OssRequest, check_digest, check_length
from ..metadata import ENCRYPTION_KEY, metadata_of
from ..objects import check_traffic_limit
from ..responses import respond, upload_headers
from ..service import Service
from ..storage import Appending, NotAppendable, ObjectRecord, PositionNotLength

_NEXT_POSITION = "x-oss-next-append-position"
_POSITION = re.compile("[0-9]{1,18}")


def append(service: Service, request: OssRequest) -> Response:
    """AppendObject: `POST ?append&position=N`, where N is the object's length."""
    bucket = service.bucket(request.bucket)
    if bucket.versioning:
        raise not_implemented("versioning of the bucket")
    position = _position(request)
    check_traffic_limit(request)
    metadata, storage_class = metadata_of(request.headers)
    _check_first(request, metadata, storage_class or bucket.storage_class)
    check_length(request)
    try:
        with bucket.draft() as draft:
            appending = Appending(bucket, draft, request.key, position)
            if appending.current is not None:
                _check_later(appending.current, metadata, storage_class)
            draft.write(request.body.blocks(MAX_PUT - position))
            check_digest(request.headers.get("content-md5"), draft.md5)
            record = appending.commit(
                service.now(), metadata, storage_class or bucket.storage_class
            )
    except NotAppendable:
        message = "The object is not appendable"
        raise OssError(409, "ObjectNotAppendable", message, ec="0026-00000017") from None
    except PositionNotLength as error:
        message = "Position is not equal to file length"
        headers = {_NEXT_POSITION: str(error.length)}
        code = "PositionNotEqualToLength"
        raise OssError(409, code, message, ec="0026-00000016", headers=headers) from None
    service.created(bucket, record, "AppendObject")
    headers = {**upload_headers(record, versioning=""), _NEXT_POSITION: str(record.size)}
    return respond(200, headers=headers)


def _position(request: OssRequest) -> int:
    position = request.params.get("position")
    if position is None or not _POSITION.fullmatch(position):
        ec = "0016-00000501" if position is None else "0016-00000502"
        message = "The position must be an integer that is 0 or greater."
        raise invalid_argument("position", position or "", message, ec=ec)
    return int(position)


def _check_first(request: OssRequest, metadata: Mapping[str, str], storage_class: str) -> None:
    """Raises `OssError` 501 for what no page says of an appendable object."""
    if ENCRYPTION_KEY in request.headers:
        raise not_implemented(ENCRYPTION_KEY)
    if "x-oss-forbid-overwrite" in request.headers:
        raise not_implemented("x-oss-forbid-overwrite")
    if storage_class.endswith("Archive"):
        raise not_implemented(f"x-oss-storage-class: {storage_class}")


def _check_later(current: ObjectRecord, metadata: Mapping[str, str], storage_class: str) -> None:
    """Raises `OssError` 501 for what an object that exists already would not keep.

    The type that clients send with every request is no reason: OSS ignores it.
    """
    changed = {
        name
        for name, value in metadata.items()
        if name != "content-type" and value != current.headers.get(name, "")
    }
    if storage_class not in ("", current.storage_class):
        changed.add("x-oss-storage-class")
    if changed:
        raise not_implemented(f"another {min(changed)} than that of the first append")
