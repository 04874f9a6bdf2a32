"""Requests for a bucket: the bucket itself and its settings."""

from __future__ import annotations

from xml.etree import ElementTree

from werkzeug.wrappers import Response

from . import cors
from .errors import XML_DECLARATION, OssError, malformed_xml, not_implemented
from .incoming import OssRequest, parse_xml
from .metadata import check_bucket_headers
from .responses import respond, respond_xml
from .service import Service
from .storage import BucketExists, BucketNotEmpty

_MAX_XML = 2 << 20  # bytes


def create(service: Service, request: OssRequest) -> Response:
    """PutBucket, of a private bucket of the class Standard with local redundancy: others are not implemented."""
    check_bucket_headers(request.headers)
    if body := request.body.read(_MAX_XML):
        configuration = parse_xml(body)
        for name, default in (("StorageClass", "Standard"), ("DataRedundancyType", "LRS")):
            value = configuration.findtext(f"{{*}}{name}", "") or default
            if value != default:
                raise not_implemented(f"{name} {value}")
    try:
        service.buckets.create(request.bucket, service.now())
    except ValueError:
        message = "The specified bucket is not valid."
        raise OssError(400, "InvalidBucketName", message, BucketName=request.bucket) from None
    except BucketExists:
        pass  # for the owner of the bucket, OSS takes it as a change of nothing
    return respond(200, headers={"Location": f"/{request.bucket}"})


def delete(service: Service, request: OssRequest) -> Response:
    bucket = service.bucket(request.bucket)
    try:
        service.buckets.delete(bucket)
    except BucketNotEmpty:
        message = "The bucket has objects. Please delete them first."
        raise OssError(409, "BucketNotEmpty", message, BucketName=bucket.name) from None
    return respond(204)


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
    status = parse_xml(request.body.read(_MAX_XML)).findtext("{*}Status", "")
    if status not in ("Enabled", "Suspended"):
        raise malformed_xml()
    bucket.change(versioning=status)
    return respond(200)


def get_cors(service: Service, request: OssRequest) -> Response:
    """GetBucketCors: `GET ?cors`."""
    configuration = cors.from_settings(service.bucket(request.bucket).settings())
    if not configuration.rules:
        raise OssError(404, "NoSuchCORSConfiguration", "The CORS configuration does not exist.")
    return respond_xml("CORSConfiguration", cors.to_xml(configuration))


def put_cors(service: Service, request: OssRequest) -> Response:
    """PutBucketCors: `PUT ?cors`."""
    bucket = service.bucket(request.bucket)
    bucket.change(**cors.to_settings(cors.parse(request.body.read(_MAX_XML))))
    return respond(200)


def delete_cors(service: Service, request: OssRequest) -> Response:
    """DeleteBucketCors: `DELETE ?cors`; the default rules do not come back."""
    service.bucket(request.bucket).change(**cors.to_settings(cors.CorsConfiguration(())))
    return respond(204)


def get_lifecycle(service: Service, request: OssRequest) -> Response:
    """GetBucketLifecycle: `GET ?lifecycle`."""
    rules = service.bucket(request.bucket).settings().get("lifecycle")
    if rules is None:
        raise OssError(404, "NoSuchLifecycle", "No Row found in Lifecycle Table.")
    return respond(200, (XML_DECLARATION + rules).encode(), {"Content-Type": "application/xml"})


def put_lifecycle(service: Service, request: OssRequest) -> Response:
    """PutBucketLifecycle: `PUT ?lifecycle`. The rules are kept and shown, but nothing is ever deleted by them."""
    bucket = service.bucket(request.bucket)
    configuration = parse_xml(request.body.read(_MAX_XML))
    if configuration.find("{*}Rule") is None:
        raise malformed_xml()
    bucket.change(lifecycle=ElementTree.tostring(configuration, "unicode"))
    return respond(200)
