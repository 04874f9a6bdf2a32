"""PutObject, and what every operation that writes an object ends with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from werkzeug.wrappers import Response

from ..errors import file_already_exists
from ..incoming import OssRequest, check_digest, check_length
from ..metadata import SYMLINK_TARGET, metadata_of, refuse_conditions
from ..objects import check_traffic_limit
from ..responses import content_md5_header, respond, upload_headers
from ..service import Service
from ..storage import AlreadyExists, Bucket, Draft, ObjectRecord


def put(service: Service, request: OssRequest) -> Response:
    bucket = service.bucket(request.bucket)
    refuse_conditions(request.headers)
    check_traffic_limit(request)
    metadata, storage_class = metadata_of(request.headers)
    check_length(request)
    with bucket.draft() as draft:
        draft.write(request.body.blocks())
        check_digest(request.headers.get("content-md5"), draft.md5)
        record = publish(service, bucket, draft, request, metadata, storage_class)
    service.created(bucket, record, "PutObject")
    headers = {**upload_headers(record, versioning=bucket.versioning), **content_md5_header(record)}
    return respond(200, headers=headers)


def publish(
    service: Service,
    bucket: Bucket,
    draft: Draft,
    request: OssRequest,
    metadata: Mapping[str, str],
    storage_class: str,
) -> ObjectRecord:
    """Makes a draft the object that a request names, a symbolic link if the metadata has its target.

    Raises `OssError` FileAlreadyExists.
    """
    target = metadata.get(SYMLINK_TARGET)
    md5 = (
        draft.md5
        if target is None
        else hashlib.md5(target.encode(), usedforsecurity=False).digest()
    )
    record = ObjectRecord(
        key=request.key,
        size=draft.size,
        etag=md5.hex().upper(),
        crc64=draft.crc64,
        modified=service.now(),
        headers=metadata,
        storage_class=storage_class or bucket.storage_class,
        kind="Normal" if target is None else "Symlink",
    )
    try:
        return bucket.publish(draft, record, forbid_overwrite=forbids_overwrite(request.headers))
    except AlreadyExists:
        raise file_already_exists(request.key) from None


def forbids_overwrite(headers: Mapping[str, str]) -> bool:
    return headers.get("x-oss-forbid-overwrite", "").lower() == "true"
