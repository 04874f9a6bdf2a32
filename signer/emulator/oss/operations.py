"""The operations that the local OSS offers: one table, by sub-resource and method, with the parameters of each.

It is an allow-list: a request with any other query parameter is answered with 501, which names what was asked for. OSS
has more than a hundred sub-resources, and one that passed for another request could overwrite an object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from werkzeug.wrappers import Response

from ... import v1
from ...signed_request import REQUIRED
from . import bucket_requests, listing, multipart, objects
from .errors import method_not_allowed, naming, not_implemented
from .incoming import OssRequest
from .service import Service
from .writing import append, copy, put, symlinks

Handler = Callable[[Service, OssRequest], Response]


class Operation(NamedTuple):
    """OSS's name, a handler, the query parameters that it reads, and the action that RAM must allow.

    `copy` is the name and the handler of the request if it has x-oss-copy-source.
    """

    name: str
    handler: Handler
    parameters: frozenset[str]
    action: str
    copy: tuple[str, Handler] | None = None


_VERBS = ("Get", "Put", "Delete")
# The actions whose name is not that of the operation.
_ACTIONS = {
    **dict.fromkeys(
        (
            "AppendObject",
            "CompleteMultipartUpload",
            "InitiateMultipartUpload",
            "PutSymlink",
            "UploadPart",
        ),
        "PutObject",
    ),
    **dict.fromkeys(("GetObjectMeta", "GetSymlink", "HeadObject"), "GetObject"),
    **{f"{verb}BucketTags": f"{verb}BucketTagging" for verb in _VERBS},
    "DeleteMultipleObjects": "DeleteObject",
    "ListObjectsV2": "ListObjects",
}


def _operation(
    name: str, handler: Handler, *parameters: str, copy: tuple[str, Handler] | None = None
) -> Operation:
    return Operation(
        name=name,
        handler=handler,
        parameters=frozenset(parameters),
        action=f"oss:{_ACTIONS.get(name, name)}",
        copy=copy,
    )


SIGNATURE = frozenset(
    {*REQUIRED, *v1.REQUIRED, v1.TOKEN, "x-oss-additional-headers", "x-oss-security-token"}
)
_LIMITS = frozenset(
    {"x-oss-ac-forward-allow", "x-oss-ac-source-ip", "x-oss-ac-subnet-mask", "x-oss-ac-vpc-id"}
)
_UNSUPPORTED_HEADERS = frozenset({"x-oss-callback", "x-oss-callback-var"})
_LIST_BUCKETS = ("marker", "max-keys", "prefix", "tag-key", "tag-value")
_LIST = ("delimiter", "encoding-type", "max-keys", "prefix")
_LIST_V2 = (*_LIST, "continuation-token", "fetch-owner", "start-after")
_LIST_VERSIONS = (*_LIST, "key-marker", "version-id-marker")
_LIST_UPLOADS = (
    "delimiter",
    "encoding-type",
    "key-marker",
    "max-uploads",
    "prefix",
    "upload-id-marker",
)
_READ = ("versionId", "x-oss-traffic-limit", *objects.OVERRIDES)

Operations = Mapping[str, Mapping[str, Operation]]

# The first of these sub-resources that is in the query decides ("" for none), then the method.
SERVICE: Operations = {
    "": {"GET": _operation("ListBuckets", bucket_requests.list_buckets, *_LIST_BUCKETS)}
}
BUCKET: Operations = {
    "acl": {
        "GET": _operation("GetBucketAcl", bucket_requests.get_acl),
        "PUT": _operation("PutBucketAcl", bucket_requests.put_acl),
    },
    "stat": {"GET": _operation("GetBucketStat", bucket_requests.stat)},
    "versioning": {
        "GET": _operation("GetBucketVersioning", bucket_requests.get_versioning),
        "PUT": _operation("PutBucketVersioning", bucket_requests.put_versioning),
    },
    "cors": {
        "GET": _operation("GetBucketCors", bucket_requests.get_cors),
        "PUT": _operation("PutBucketCors", bucket_requests.put_cors),
        "DELETE": _operation("DeleteBucketCors", bucket_requests.delete_cors),
    },
    "lifecycle": {
        "GET": _operation("GetBucketLifecycle", bucket_requests.get_lifecycle),
        "PUT": _operation("PutBucketLifecycle", bucket_requests.put_lifecycle),
        "DELETE": _operation("DeleteBucketLifecycle", bucket_requests.delete_lifecycle),
    },
    "tagging": {
        verb.upper(): _operation(f"{verb}BucketTags", bucket_requests.tags) for verb in _VERBS
    },
    "bucketInfo": {"GET": _operation("GetBucketInfo", bucket_requests.info)},
    "delete": {
        "POST": _operation("DeleteMultipleObjects", objects.delete_multiple, "encoding-type")
    },
    "uploads": {"GET": _operation("ListMultipartUploads", multipart.list_uploads, *_LIST_UPLOADS)},
    "location": {"GET": _operation("GetBucketLocation", bucket_requests.location)},
    "versions": {"GET": _operation("ListObjectVersions", listing.list_versions, *_LIST_VERSIONS)},
    "list-type": {"GET": _operation("ListObjectsV2", listing.list_objects_v2, *_LIST_V2)},
    "": {
        "GET": _operation("ListObjects", listing.list_objects, *_LIST, "marker"),
        "PUT": _operation("PutBucket", bucket_requests.create),
        "DELETE": _operation("DeleteBucket", bucket_requests.delete),
    },
}
_COPY_PART = ("UploadPartCopy", multipart.upload_part_copy)
_COPY = ("CopyObject", copy.copy)
OBJECT: Operations = {
    "uploads": {"POST": _operation("InitiateMultipartUpload", multipart.initiate, "encoding-type")},
    "uploadId": {
        "PUT": _operation(
            "UploadPart",
            multipart.upload_part,
            "partNumber",
            "x-oss-traffic-limit",
            copy=_COPY_PART,
        ),
        "GET": _operation(
            "ListParts", multipart.list_parts, "encoding-type", "max-parts", "part-number-marker"
        ),
        "POST": _operation("CompleteMultipartUpload", multipart.complete, "encoding-type"),
        "DELETE": _operation("AbortMultipartUpload", multipart.abort),
    },
    "append": {
        "POST": _operation("AppendObject", append.append, "position", "x-oss-traffic-limit")
    },
    "symlink": {
        "GET": _operation("GetSymlink", symlinks.get_symlink, "versionId"),
        "PUT": _operation("PutSymlink", symlinks.put_symlink),
    },
    "acl": {
        "GET": _operation("GetObjectAcl", objects.get_acl, "versionId"),
        "PUT": _operation("PutObjectAcl", objects.put_acl, "versionId"),
    },
    "tagging": {
        verb.upper(): _operation(f"{verb}ObjectTagging", objects.tags, "versionId")
        for verb in _VERBS
    },
    "objectMeta": {"HEAD": _operation("GetObjectMeta", objects.object_meta, "versionId")},
    "": {
        "GET": _operation("GetObject", objects.get, *_READ),
        "HEAD": _operation("HeadObject", objects.get, *_READ),
        "PUT": _operation("PutObject", put.put, "x-oss-traffic-limit", copy=_COPY),
        "DELETE": _operation("DeleteObject", objects.delete, "versionId"),
    },
}
# What OSS has beside these. A line of the file has a name, and then what asks for it: the level, the method, the
# sub-resource, and comp where it has one.
_LINES = (Path(__file__).parent / "left_out.txt").read_text("utf-8").splitlines()
_LEFT_OUT = {request: name for name, request in (line.split(" ", 1) for line in _LINES)}


def operation_names() -> frozenset[str]:
    """Of every operation that is answered, as OSS calls it."""
    tables = (SERVICE, BUCKET, OBJECT)
    offered = [each for table in tables for methods in table.values() for each in methods.values()]
    copies = [each.copy[0] for each in offered if each.copy]
    return frozenset({each.name for each in offered}.union(copies, ["OptionObject", "PostObject"]))


def find_operation(request: OssRequest) -> Operation:
    """What a request asks for, a copy with the name and the handler of copies.

    Raises `OssError`: 501 for what the table does not offer, 405 for a wrong method.
    """
    operations = {"object": OBJECT, "bucket": BUCKET, "service": SERVICE}[_level(request)]
    subresource = next((name for name in operations if name and name in request.params), "")
    methods = operations[subresource]
    operation = methods.get(request.method)
    offered = [operation] if operation else methods.values()
    parameters = frozenset[str]().union({subresource}, *(each.parameters for each in offered))
    check_parameters(request, operation.name if operation else request.method, parameters)
    if operation is None:
        name = _left_out(request, subresource)
        raise not_implemented(name) if name else method_not_allowed(request.method)
    with naming(operation.name):
        for name in request.headers:
            if name in _UNSUPPORTED_HEADERS:
                raise not_implemented(name)
        if "x-oss-copy-source" not in request.headers:
            return operation
        if operation.copy is None:
            raise not_implemented("x-oss-copy-source")
    name, handler = operation.copy
    return operation._replace(name=name, handler=handler)


def check_parameters(
    request: OssRequest, operation: str, offered: frozenset[str] = frozenset()
) -> None:
    """Raises `OssError` 501 for a query parameter that is neither offered nor one of the signature."""
    unknown = [
        name for name in request.params if not name or name not in offered | SIGNATURE | _LIMITS
    ]
    if unknown:
        named = filter(None, (_left_out(request, name) for name in unknown))
        raise not_implemented(next(named, f'{operation} with the parameter "{unknown[0]}"'))


def _level(request: OssRequest) -> str:
    if request.key:
        return "object"
    return "bucket" if request.bucket else "service"


def _left_out(request: OssRequest, name: str) -> str | None:
    """The operation of OSS that a parameter of the query asks for."""
    asked = f"{_level(request)} {request.method} {name}"
    return _LEFT_OUT.get(f"{asked} {request.params.get('comp')}") or _LEFT_OUT.get(asked)
