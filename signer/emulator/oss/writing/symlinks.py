"""PutSymlink and GetSymlink. Sources: the OSS pages of both, and those of EC 0043-00000001 and 0043-00000101."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..errors import OssError, invalid_argument
from ..incoming import OssRequest, check_key
from ..metadata import SYMLINK_TARGET, metadata_of
from ..objects import open_object, symlink_target
from ..responses import http_date, respond, version_header
from ..service import Service
from .put import publish


def put_symlink(service: Service, request: OssRequest) -> Response:
    """PutSymlink: `PUT ?symlink`. Whether the target exists is asked when the link is read."""
    bucket = service.bucket(request.bucket)
    target = request.headers.get(SYMLINK_TARGET, "")
    if not target:
        message = f"{SYMLINK_TARGET} is required."
        raise invalid_argument(SYMLINK_TARGET, "", message, ec="0043-00000001")
    metadata, storage_class = metadata_of(request.headers, frozenset({SYMLINK_TARGET}))
    metadata[SYMLINK_TARGET] = target
    check_key(symlink_target(metadata))
    with bucket.draft() as draft:
        record = publish(service, bucket, draft, request, metadata, storage_class)
    service.created(bucket, record, "PutSymlink")
    headers = version_header(record.version_id, bucket.versioning)
    return respond(200, headers={"ETag": f'"{record.etag}"', **headers})


def get_symlink(service: Service, request: OssRequest) -> Response:
    """GetSymlink: `GET ?symlink`. The target is answered as it was sent, percent-encoded."""
    bucket = service.bucket(request.bucket)
    opened = open_object(bucket, request)
    opened.close()
    record = opened.record
    if record.kind != "Symlink":
        raise OssError(400, "NotSymlink", "The object is not a symlink.", ec="0043-00000101")
    headers = {
        "ETag": f'"{record.etag}"',
        "Last-Modified": http_date(record.modified),
        SYMLINK_TARGET: record.headers[SYMLINK_TARGET],
        **version_header(record.version_id, bucket.versioning),
    }
    return respond(200, headers=headers)
