"""CopyObject, and the source of a copy."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from urllib.parse import unquote

from werkzeug.wrappers import Response

from ..errors import Node, OssError, invalid_argument, not_implemented
from ..incoming import OssRequest
from ..metadata import CLIENT_ENCRYPTION, PER_OBJECT, SYMLINK_TARGET, TAGGING, metadata_of
from ..objects import check_readable, open_object
from ..preconditions import is_unmodified
from ..responses import iso_date, respond_xml, upload_headers
from ..service import Service
from ..storage import Bucket, OpenedObject
from .put import publish

COPY_HEADERS = frozenset(
    {
        "x-oss-copy-source",
        *(
            f"x-oss-copy-source-if-{name}"
            for name in ("match", "none-match", "modified-since", "unmodified-since")
        ),
    }
)
_DIRECTIVES = ("x-oss-metadata-directive", "x-oss-tagging-directive")


def copy(service: Service, request: OssRequest) -> Response:
    bucket = service.bucket(request.bucket)
    replaces, replaces_tags = map(partial(_replaces, request), _DIRECTIVES)
    metadata, storage_class = metadata_of(request.headers, COPY_HEADERS.union(_DIRECTIVES))
    source_bucket, opened = open_source(service, request)
    source = opened.record
    is_same = source_bucket.name == bucket.name and source.key == request.key
    if is_same and not bucket.versioning:  # then OSS ignores the directive
        replaces = True
    if replaces:  # what stays is in no page, but in the live tests of alibabacloud-oss-v2
        staying = ("content-type", CLIENT_ENCRYPTION)
        metadata = {
            name: value for name, value in source.headers.items() if name.startswith(staying)
        } | metadata
    else:
        own = {name: value for name, value in metadata.items() if name in PER_OBJECT}
        metadata = {
            name: value for name, value in source.headers.items() if name not in PER_OBJECT
        } | own
    if not replaces_tags:
        metadata[TAGGING] = source.headers.get(TAGGING, "")
    if source.kind == "Symlink":  # the link is copied, not what it points to
        metadata[SYMLINK_TARGET] = source.headers[SYMLINK_TARGET]
    with bucket.draft() as draft:
        draft.write(opened.blocks())
        record = publish(service, bucket, draft, request, metadata, storage_class)
    service.created(bucket, record, "CopyObject")
    headers = upload_headers(record, versioning=bucket.versioning)
    if source_bucket.versioning:
        headers["x-oss-copy-source-version-id"] = source.version_id
    result: list[Node] = [("ETag", f'"{record.etag}"'), ("LastModified", iso_date(record.modified))]
    return respond_xml("CopyObjectResult", result, headers=headers)


def _replaces(request: OssRequest, name: str) -> bool:
    directive = request.headers.get(name, "COPY").upper()
    if directive not in ("COPY", "REPLACE"):
        raise invalid_argument(name, directive, f"{name} must be COPY or REPLACE.")
    return directive == "REPLACE"


def copy_source(request: OssRequest) -> OssRequest:
    """The request that reads what x-oss-copy-source names. Raises `OssError` InvalidArgument."""
    source = request.headers["x-oss-copy-source"]
    path, _, query = source.partition("?")
    name, _, key = (
        unquote(path.encode("latin-1").decode("utf-8", "replace")).removeprefix("/").partition("/")
    )
    parameter, _, version_id = query.partition("=")
    if not name or not key or (query and (parameter != "versionId" or not version_id)):
        message = "x-oss-copy-source must have the form /bucket/key or /bucket/key?versionId=ID."
        ec = ""
        if query:
            ec = "0016-00000305" if parameter == "versionId" else "0016-00000304"
        raise invalid_argument("x-oss-copy-source", source, message, ec=ec)
    return replace(
        request, bucket=name, key=key, query=(("versionId", version_id),) if query else ()
    )


def open_source(service: Service, request: OssRequest) -> tuple[Bucket, OpenedObject]:
    """The readable object that x-oss-copy-source names, if it meets the conditions. Raises `OssError`."""
    source = copy_source(request)
    bucket = service.bucket(source.bucket)
    try:
        opened = open_object(bucket, source)
    except OssError as error:
        if error.code != "MethodNotAllowed":
            raise
        message = "The version that x-oss-copy-source names must not be a delete marker."
        value = request.headers["x-oss-copy-source"]
        raise invalid_argument("x-oss-copy-source", value, message, ec="0016-00000307") from None
    try:
        check_readable(opened.record)
        if opened.record.kind == "Appendable":
            raise not_implemented("an appendable source, as no page says what OSS answers")
        if is_unmodified(opened.record, request.headers, prefix="x-oss-copy-source-"):
            raise OssError(304, "NotModified", "The source was not modified.")
    except BaseException:
        opened.close()
        raise
    return bucket, opened
