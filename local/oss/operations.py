"""The operations that the local OSS offers: one table, by sub-resource and method, with the parameters of each.

It is an allow-list: a request with any other query parameter is answered with 501. OSS has more than a hundred
sub-resources, and one that passed for another request could overwrite an object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from werkzeug.wrappers import Response

from signer import v1
from signer.signed_request import REQUIRED

from . import bucket_requests, listing, multipart, objects
from .errors import method_not_allowed, not_implemented
from .incoming import OssRequest
from .service import Service

Handler = Callable[[Service, OssRequest], Response]


class Operation(NamedTuple):
    """The action that RAM must allow, a handler, and the query parameters that it reads.

    `copy` handles the request if it has x-oss-copy-source.
    """

    action: str
    handler: Handler
    parameters: frozenset[str]
    copy: Handler | None = None


def _operation(action: str, handler: Handler, *parameters: str, copy: Handler | None = None) -> Operation:
    return Operation(action, handler, frozenset(parameters), copy)


SIGNATURE = frozenset({*REQUIRED, *v1.REQUIRED, v1.TOKEN, "x-oss-additional-headers", "x-oss-security-token"})
_LIMITS = frozenset({"x-oss-ac-forward-allow", "x-oss-ac-source-ip", "x-oss-ac-subnet-mask", "x-oss-ac-vpc-id"})
_UNSUPPORTED_HEADERS = frozenset({"x-oss-callback", "x-oss-callback-var", "x-oss-tagging", "x-oss-symlink-target"})
_LIST = ("delimiter", "encoding-type", "max-keys", "prefix")
_LIST_UPLOADS = ("delimiter", "encoding-type", "key-marker", "max-uploads", "prefix", "upload-id-marker")
_GET = _operation("oss:GetObject", objects.get, "versionId", "x-oss-traffic-limit", *objects.OVERRIDES)

Operations = Mapping[str, Mapping[str, Operation]]

# The first of these sub-resources that is in the query decides ("" for none), then the method.
SERVICE: Operations = {"regions": {}}
BUCKET: Operations = {
    "versioning": {
        "GET": _operation("oss:GetBucketVersioning", bucket_requests.get_versioning),
        "PUT": _operation("oss:PutBucketVersioning", bucket_requests.put_versioning),
    },
    "cors": {
        "GET": _operation("oss:GetBucketCors", bucket_requests.get_cors),
        "PUT": _operation("oss:PutBucketCors", bucket_requests.put_cors),
        "DELETE": _operation("oss:DeleteBucketCors", bucket_requests.delete_cors),
    },
    "lifecycle": {
        "GET": _operation("oss:GetBucketLifecycle", bucket_requests.get_lifecycle),
        "PUT": _operation("oss:PutBucketLifecycle", bucket_requests.put_lifecycle),
    },
    "bucketInfo": {"GET": _operation("oss:GetBucketInfo", bucket_requests.info)},
    "delete": {"POST": _operation("oss:DeleteObject", objects.delete_multiple, "encoding-type")},
    "uploads": {"GET": _operation("oss:ListMultipartUploads", multipart.list_uploads, *_LIST_UPLOADS)},
    "location": {"GET": _operation("oss:GetBucketLocation", bucket_requests.location)},
    "versions": {},
    "list-type": {
        "GET": _operation(
            "oss:ListObjects", listing.list_objects_v2, *_LIST, "continuation-token", "fetch-owner", "start-after"
        )
    },
    "": {
        "GET": _operation("oss:ListObjects", listing.list_objects, *_LIST, "marker"),
        "PUT": _operation("oss:PutBucket", bucket_requests.create),
        "DELETE": _operation("oss:DeleteBucket", bucket_requests.delete),
    },
}
OBJECT: Operations = {
    "uploads": {"POST": _operation("oss:PutObject", multipart.initiate, "encoding-type")},
    "uploadId": {
        "PUT": _operation("oss:PutObject", multipart.upload_part, "partNumber", "x-oss-traffic-limit"),
        "GET": _operation("oss:ListParts", multipart.list_parts, "encoding-type", "max-parts", "part-number-marker"),
        "POST": _operation("oss:PutObject", multipart.complete, "encoding-type"),
        "DELETE": _operation("oss:AbortMultipartUpload", multipart.abort),
    },
    "acl": {"GET": _operation("oss:GetObjectAcl", objects.get_acl)},
    "objectMeta": {"HEAD": _operation("oss:GetObject", objects.object_meta, "versionId")},
    "": {
        "GET": _GET,
        "HEAD": _GET,
        "PUT": _operation("oss:PutObject", objects.put, "x-oss-traffic-limit", copy=objects.copy),
        "DELETE": _operation("oss:DeleteObject", objects.delete, "versionId"),
    },
}
# What OSS has beside these, by sub-resource and method ("COPY": with x-oss-copy-source).
_LEFT_OUT = {
    ("", "GET"): "ListBuckets",
    ("acl", "PUT"): "PutObjectAcl",
    ("lifecycle", "DELETE"): "DeleteBucketLifecycle",
    ("regions", "GET"): "DescribeRegions",
    ("uploadId", "COPY"): "UploadPartCopy",
    ("versions", "GET"): "ListObjectVersions",
}


def find_operation(request: OssRequest) -> Operation:
    """What a request asks for, a copy with the handler of copies.

    Raises `OssError`: 501 for what the table does not offer, 405 for a wrong method.
    """
    operations = OBJECT if request.key else BUCKET if request.bucket else SERVICE
    subresource = next((name for name in operations if name and name in request.params), "")
    methods = operations.get(subresource, {})
    operation = methods.get(request.method)
    if operation is None and (name := _LEFT_OUT.get((subresource, request.method))):
        raise not_implemented(name)
    offered = [operation] if operation else methods.values()
    check_parameters(request, frozenset[str]().union({subresource}, *(each.parameters for each in offered)))
    if operation is None:
        raise method_not_allowed(request.method) if methods else not_implemented("this request")
    for name in request.headers:
        if name in _UNSUPPORTED_HEADERS:
            raise not_implemented(name)
    if "x-oss-copy-source" not in request.headers:
        return operation
    if operation.copy is None:
        raise not_implemented(_LEFT_OUT.get((subresource, "COPY"), "x-oss-copy-source"))
    return operation._replace(handler=operation.copy)


def check_parameters(request: OssRequest, offered: frozenset[str] = frozenset()) -> None:
    """Raises `OssError` 501 for a query parameter that is neither offered nor one of the signature."""
    for name in request.params:
        if not name or name not in offered | SIGNATURE | _LIMITS:
            raise not_implemented(f'the parameter "{name}"')
