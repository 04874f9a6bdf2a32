"""Requests for a bucket, or for the service."""

from __future__ import annotations

import base64
import hashlib
from xml.etree import ElementTree

from werkzeug.wrappers import Response

from . import cors
from .answers import Node, answer, document, encoded, iso_date
from .errors import OssError, invalid_argument, malformed_xml
from .incoming import Incoming
from .service import Service
from .storage import BucketExists, BucketNotEmpty, Uploads

_BODY = 2 << 20  # bytes, of an XML document
_MOST_DELETED = 1000
_OWNER: Node = ("Owner", [("ID", "0000000000000000"), ("DisplayName", "0000000000000000")])


# --- the bucket itself --------------------------------------------------------------------------------------------


def list_buckets(service: Service, incoming: Incoming) -> Response:
    """ListBuckets."""
    prefix = incoming.parameters.get("prefix", "")
    buckets: list[Node] = [
        ("Bucket", _about(service, bucket.name, bucket.settings()["created"]))
        for bucket in service.buckets.all()
        if bucket.name.startswith(prefix)
    ]
    result: list[Node] = [_OWNER, ("Buckets", buckets)]
    return document("ListAllMyBucketsResult", result)


def create(service: Service, incoming: Incoming) -> Response:
    """PutBucket; its XML (storage class, redundancy) means nothing on a laptop."""
    incoming.body.whole(_BODY)
    try:
        service.buckets.create(incoming.bucket, service.now())
    except ValueError:
        raise OssError(
            400,
            "InvalidBucketName",
            "The specified bucket is not valid.",
            details=(("BucketName", incoming.bucket),),
        ) from None
    except BucketExists:
        pass  # one's own bucket: OSS takes it as a change of nothing
    return answer(200, headers={"Location": f"/{incoming.bucket}"})


def delete(service: Service, incoming: Incoming) -> Response:
    """DeleteBucket."""
    bucket = service.bucket(incoming.bucket)
    try:
        service.buckets.delete(bucket)
    except BucketNotEmpty:
        raise OssError(
            409,
            "BucketNotEmpty",
            "The bucket has objects. Please delete them first.",
            details=(("BucketName", bucket.name),),
        ) from None
    return answer(204)


def info(service: Service, incoming: Incoming) -> Response:
    """GetBucketInfo: `GET ?bucketInfo`."""
    bucket = service.bucket(incoming.bucket)
    settings = bucket.settings()
    about = [
        *_about(service, bucket.name, settings["created"]),
        _OWNER,
        ("DataRedundancyType", "LRS"),
        ("AccessControlList", [("Grant", "private")]),
        *([("Versioning", settings["versioning"])] if settings["versioning"] else []),
    ]
    return document("BucketInfo", [("Bucket", about)])


def location(service: Service, incoming: Incoming) -> Response:
    """GetBucketLocation: `GET ?location`."""
    service.bucket(incoming.bucket)
    return document("LocationConstraint", f"oss-{service.region}")


def get_versioning(service: Service, incoming: Incoming) -> Response:
    """GetBucketVersioning: `GET ?versioning`."""
    versioning = service.bucket(incoming.bucket).versioning
    status: list[Node] = [("Status", versioning)] if versioning else []
    return document("VersioningConfiguration", status)


def put_versioning(service: Service, incoming: Incoming) -> Response:
    """PutBucketVersioning: `PUT ?versioning`."""
    bucket = service.bucket(incoming.bucket)
    try:
        status = ElementTree.fromstring(incoming.body.whole(_BODY)).findtext("{*}Status", "")
    except ElementTree.ParseError:
        raise malformed_xml() from None
    if status not in ("Enabled", "Suspended"):
        raise malformed_xml()
    bucket.change(versioning=status)
    return answer(200)


def get_cors(service: Service, incoming: Incoming) -> Response:
    """GetBucketCors: `GET ?cors`."""
    rules = cors.rules_of(service.bucket(incoming.bucket).settings()["cors"])
    if not rules:
        raise OssError(404, "NoSuchCORSConfiguration", "The CORS configuration does not exist.")
    return document("CORSConfiguration", cors.nodes(rules))


def put_cors(service: Service, incoming: Incoming) -> Response:
    """PutBucketCors: `PUT ?cors`."""
    bucket = service.bucket(incoming.bucket)
    bucket.change(cors=cors.stored(cors.parse(incoming.body.whole(_BODY))))
    return answer(200)


def delete_cors(service: Service, incoming: Incoming) -> Response:
    """DeleteBucketCors: `DELETE ?cors`; the laptop's default does not come back."""
    service.bucket(incoming.bucket).change(cors=[])
    return answer(204)


# --- what is in it ------------------------------------------------------------------------------------------------


def list_uploads(service: Service, incoming: Incoming) -> Response:
    """ListMultipartUploads: `GET ?uploads`."""
    bucket = service.bucket(incoming.bucket)
    asked = incoming.parameters
    encoding, prefix = asked.get("encoding-type", ""), asked.get("prefix", "")
    key_marker, id_marker = asked.get("key-marker", ""), asked.get("upload-id-marker", "")
    text = asked.get("max-uploads", "1000")
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1000):
        raise invalid_argument("max-uploads", text, "Argument max-uploads must be an integer between 1 and 1000.")
    behind = (key_marker.encode(), id_marker if id_marker else "~")  # without an id, all uploads of the key are past
    uploads = [
        upload
        for upload in Uploads(bucket).all()
        if upload.key.startswith(prefix) and (upload.key.encode(), upload.id) > behind
    ]
    page = uploads[: int(text)]
    truncated = len(uploads) > len(page)
    result: list[Node] = [
        *([("EncodingType", encoding)] if encoding else []),
        ("Bucket", bucket.name),
        ("Prefix", encoded(prefix, encoding)),
        ("KeyMarker", encoded(key_marker, encoding)),
        ("UploadIdMarker", id_marker),
        ("NextKeyMarker", encoded(page[-1].key, encoding) if truncated else ""),
        ("NextUploadIdMarker", page[-1].id if truncated else ""),
        ("MaxUploads", text),
        ("IsTruncated", "true" if truncated else "false"),
    ]
    result += [
        (
            "Upload",
            [
                ("Key", encoded(upload.key, encoding)),
                ("UploadId", upload.id),
                ("StorageClass", upload.storage_class),
                ("Initiated", iso_date(upload.initiated)),
            ],
        )
        for upload in page
    ]
    return document("ListMultipartUploadsResult", result)


def delete_objects(service: Service, incoming: Incoming) -> Response:
    """DeleteMultipleObjects: `POST ?delete`."""
    bucket = service.bucket(incoming.bucket)
    body = incoming.body.whole(_BODY)
    digest = incoming.headers.get("content-md5")
    if digest is not None and digest != base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode():
        raise OssError(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
    quiet, named = _deletions(body)
    encoding = incoming.parameters.get("encoding-type", "")
    result: list[Node] = [("EncodingType", encoding)] if encoding else []
    for key, version_id in named:
        about: list[Node] = [("Key", encoded(key, encoding))]
        if version_id:
            try:
                deletion = bucket.delete_version(key, version_id)
            except ValueError:
                raise invalid_argument("VersionId", version_id, "Invalid version id specified.") from None
            about.append(("VersionId", version_id))
        else:
            deletion = bucket.delete(key, service.now())
        if deletion.is_marker and deletion.version_id:
            about += [("DeleteMarker", "true"), ("DeleteMarkerVersionId", deletion.version_id)]
        result.append(("Deleted", about))
    return document("DeleteResult", result if not quiet else [])


def _deletions(body: bytes) -> tuple[bool, list[tuple[str, str]]]:
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        raise malformed_xml() from None
    named = [(entry.findtext("{*}Key", ""), entry.findtext("{*}VersionId", "")) for entry in root.findall("{*}Object")]
    if not 1 <= len(named) <= _MOST_DELETED or not all(key for key, _ in named):
        raise malformed_xml()
    return root.findtext("{*}Quiet", "").lower() == "true", named


def _about(service: Service, name: str, created: float) -> list[Node]:
    return [
        ("Name", name),
        ("Location", f"oss-{service.region}"),
        ("Region", service.region),
        ("CreationDate", iso_date(created)),
        ("StorageClass", "Standard"),
        ("ExtranetEndpoint", f"oss-{service.region}.aliyuncs.com"),
        ("IntranetEndpoint", f"oss-{service.region}-internal.aliyuncs.com"),
    ]
