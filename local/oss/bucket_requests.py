"""Requests for a bucket, or for the service."""

from __future__ import annotations

import base64
import hashlib
from xml.etree import ElementTree

from werkzeug.wrappers import Response

from . import cors
from .errors import OssError, invalid_digest, malformed_xml
from .incoming import OssRequest
from .objects import check_version_id
from .responses import OWNER, Node, encode_key, encoding_type, iso_date, respond, respond_xml
from .service import Service
from .storage import BucketExists, BucketNotEmpty, Uploads

_MAX_XML = 2 << 20  # bytes
_MAX_DELETIONS = 1000


# --- the bucket itself --------------------------------------------------------------------------------------------


def list_buckets(service: Service, request: OssRequest) -> Response:
    """ListBuckets."""
    prefix = request.params.get("prefix", "")
    buckets: list[Node] = [
        ("Bucket", _describe(service, bucket.name, bucket.settings()["created"]))
        for bucket in service.buckets.all()
        if bucket.name.startswith(prefix)
    ]
    return respond_xml("ListAllMyBucketsResult", [OWNER, ("Buckets", buckets)])


def create(service: Service, request: OssRequest) -> Response:
    """PutBucket; its XML (storage class, redundancy) has no effect here."""
    request.body.read(_MAX_XML)
    try:
        service.buckets.create(request.bucket, service.now())
    except ValueError:
        raise OssError(
            400,
            "InvalidBucketName",
            "The specified bucket is not valid.",
            details=(("BucketName", request.bucket),),
        ) from None
    except BucketExists:
        pass  # for the owner of the bucket, OSS takes it as a change of nothing
    return respond(200, headers={"Location": f"/{request.bucket}"})


def delete(service: Service, request: OssRequest) -> Response:
    """DeleteBucket."""
    bucket = service.bucket(request.bucket)
    try:
        service.buckets.delete(bucket)
    except BucketNotEmpty:
        raise OssError(
            409,
            "BucketNotEmpty",
            "The bucket has objects. Please delete them first.",
            details=(("BucketName", bucket.name),),
        ) from None
    return respond(204)


def info(service: Service, request: OssRequest) -> Response:
    """GetBucketInfo: `GET ?bucketInfo`."""
    bucket = service.bucket(request.bucket)
    settings = bucket.settings()
    description = [
        *_describe(service, bucket.name, settings["created"]),
        OWNER,
        ("DataRedundancyType", "LRS"),
        ("AccessControlList", [("Grant", "private")]),
        *([("Versioning", settings["versioning"])] if settings["versioning"] else []),
    ]
    return respond_xml("BucketInfo", [("Bucket", description)])


def location(service: Service, request: OssRequest) -> Response:
    """GetBucketLocation: `GET ?location`."""
    service.bucket(request.bucket)
    return respond_xml("LocationConstraint", f"oss-{service.region}")


def get_versioning(service: Service, request: OssRequest) -> Response:
    """GetBucketVersioning: `GET ?versioning`."""
    versioning = service.bucket(request.bucket).versioning
    return respond_xml("VersioningConfiguration", [("Status", versioning)] if versioning else [])


def put_versioning(service: Service, request: OssRequest) -> Response:
    """PutBucketVersioning: `PUT ?versioning`."""
    bucket = service.bucket(request.bucket)
    status = _parse_xml(request.body.read(_MAX_XML)).findtext("{*}Status", "")
    if status not in ("Enabled", "Suspended"):
        raise malformed_xml()
    bucket.change(versioning=status)
    return respond(200)


def get_cors(service: Service, request: OssRequest) -> Response:
    """GetBucketCors: `GET ?cors`."""
    rules = cors.from_settings(service.bucket(request.bucket).settings()["cors"])
    if not rules:
        raise OssError(404, "NoSuchCORSConfiguration", "The CORS configuration does not exist.")
    return respond_xml("CORSConfiguration", cors.to_xml(rules))


def put_cors(service: Service, request: OssRequest) -> Response:
    """PutBucketCors: `PUT ?cors`."""
    bucket = service.bucket(request.bucket)
    bucket.change(cors=cors.to_settings(cors.parse(request.body.read(_MAX_XML))))
    return respond(200)


def delete_cors(service: Service, request: OssRequest) -> Response:
    """DeleteBucketCors: `DELETE ?cors`; the default rules do not come back."""
    service.bucket(request.bucket).change(cors=[])
    return respond(204)


# --- its contents -------------------------------------------------------------------------------------------------


def list_uploads(service: Service, request: OssRequest) -> Response:
    """ListMultipartUploads: `GET ?uploads`."""
    bucket = service.bucket(request.bucket)
    params = request.params
    encoding, prefix = params.get("encoding-type", ""), params.get("prefix", "")
    key_marker, id_marker = params.get("key-marker", ""), params.get("upload-id-marker", "")
    max_uploads = request.integer("max-uploads", 1, 1000, 1000)
    after = (key_marker.encode(), id_marker or "~")  # without an id, the list starts after all uploads of the key
    uploads = [
        upload
        for upload in Uploads(bucket).all()
        if upload.key.startswith(prefix) and (upload.key.encode(), upload.id) > after
    ]
    page = uploads[:max_uploads]
    truncated = len(uploads) > len(page)
    result: list[Node] = [
        *encoding_type(encoding),
        ("Bucket", bucket.name),
        ("Prefix", encode_key(prefix, encoding)),
        ("KeyMarker", encode_key(key_marker, encoding)),
        ("UploadIdMarker", id_marker),
        ("NextKeyMarker", encode_key(page[-1].key, encoding) if truncated else ""),
        ("NextUploadIdMarker", page[-1].id if truncated else ""),
        ("MaxUploads", max_uploads),
        ("IsTruncated", truncated),
    ]
    result += [
        (
            "Upload",
            [
                ("Key", encode_key(upload.key, encoding)),
                ("UploadId", upload.id),
                ("StorageClass", upload.storage_class),
                ("Initiated", iso_date(upload.initiated)),
            ],
        )
        for upload in page
    ]
    return respond_xml("ListMultipartUploadsResult", result)


def delete_objects(service: Service, request: OssRequest) -> Response:
    """DeleteMultipleObjects: `POST ?delete`."""
    bucket = service.bucket(request.bucket)
    body = request.body.read(_MAX_XML)
    content_md5 = request.headers.get("content-md5")
    if content_md5 not in (None, base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()):
        raise invalid_digest()
    quiet, requested = _deletions(body)
    encoding = request.params.get("encoding-type", "")
    result = encoding_type(encoding)
    for key, version_id in requested:
        deleted: list[Node] = [("Key", encode_key(key, encoding))]
        if version_id:
            check_version_id("VersionId", version_id)
            deletion = bucket.delete_version(key, version_id)
            deleted.append(("VersionId", version_id))
        else:
            deletion = bucket.delete(key, service.now())
        if deletion.is_marker and deletion.version_id:
            deleted += [("DeleteMarker", True), ("DeleteMarkerVersionId", deletion.version_id)]
        result.append(("Deleted", deleted))
    return respond_xml("DeleteResult", result if not quiet else [])


def _deletions(body: bytes) -> tuple[bool, list[tuple[str, str]]]:
    """Whether the response must be empty, and the keys with their version ids ("" for none)."""
    root = _parse_xml(body)
    objects = [(node.findtext("{*}Key", ""), node.findtext("{*}VersionId", "")) for node in root.findall("{*}Object")]
    if not 1 <= len(objects) <= _MAX_DELETIONS or not all(key for key, _ in objects):
        raise malformed_xml()
    return root.findtext("{*}Quiet", "").lower() == "true", objects


def _parse_xml(body: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError:
        raise malformed_xml() from None


def _describe(service: Service, name: str, created: float) -> list[Node]:
    return [
        ("Name", name),
        ("Location", f"oss-{service.region}"),
        ("Region", service.region),
        ("CreationDate", iso_date(created)),
        ("StorageClass", "Standard"),
        ("ExtranetEndpoint", f"oss-{service.region}.aliyuncs.com"),
        ("IntranetEndpoint", f"oss-{service.region}-internal.aliyuncs.com"),
    ]
