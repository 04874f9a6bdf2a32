"""Requests for a bucket: the bucket itself and its settings."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from xml.etree import ElementTree

from werkzeug.wrappers import Response

from . import cors
from .errors import (
    XML_DECLARATION,
    Node,
    OssError,
    invalid_argument,
    malformed_xml,
    not_implemented,
)
from .incoming import OssRequest, parse_xml
from .metadata import (
    BUCKET_ACL,
    TAG,
    check_acl,
    check_bucket_headers,
    check_storage_class,
    read_tags,
)
from .responses import OWNER, iso_date, respond, respond_tags, respond_xml
from .service import Service
from .storage import (
    Bucket,
    BucketExists,
    BucketNotEmpty,
    ObjectRecord,
    UploadGone,
    Uploads,
)

_MAX_XML = 2 << 20  # bytes
# The storage classes, by their names in GetBucketStat, and what an object that is not Standard is billed for at least.
_CLASSES = {
    "Standard": "Standard",
    "InfrequentAccess": "IA",
    **{name: name for name in ("Archive", "ColdArchive", "DeepColdArchive")},
}
_MIN_BILLED = 64 << 10  # bytes
_RESOURCE_GROUP = "rg-acfm00000000000"  # of every bucket
# Of lifecycle rules: what they do, when, in which order ("" is the end), and to which tags.
_ACTIONS = ("Transition", "Expiration", "AbortMultipartUpload")
_DAYS = "[1-9][0-9]{0,8}"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T00:00:00(\.000)?Z"
# Those that delete: other actions of overlapping prefixes add up.
_SAME_ACTIONS = ("Expiration", "AbortMultipartUpload")
_DELETE_MARKER = "ExpiredObjectDeleteMarker"
_TIMES = {
    "Days": _DAYS,
    "NoncurrentDays": _DAYS,
    "Date": _DATE,
    "CreatedBeforeDate": _DATE,
    _DELETE_MARKER: "true",
}
_STEPS = ("IA", "Archive", "ColdArchive", "DeepColdArchive", "")


def create(service: Service, request: OssRequest) -> Response:
    """PutBucket, of a private bucket with local redundancy: others are not implemented."""
    check_bucket_headers(request.headers)
    storage_class = "Standard"
    if body := request.body.read(_MAX_XML):
        configuration = parse_xml(body)
        storage_class = configuration.findtext("{*}StorageClass") or storage_class
        check_storage_class("StorageClass", storage_class)
        redundancy = configuration.findtext("{*}DataRedundancyType") or "LRS"
        if redundancy != "LRS":
            raise not_implemented(f"DataRedundancyType {redundancy}")
    _create(service, request.bucket, storage_class)
    return respond(200, headers={"Location": f"/{request.bucket}"})


def _create(service: Service, name: str, storage_class: str) -> None:
    """A bucket, if it is missing: for its owner, OSS takes it as a change of nothing. Raises `OssError`."""
    try:
        service.buckets.create(name, service.now(), storage_class)
    except ValueError:
        message = "The specified bucket is not valid."
        raise OssError(400, "InvalidBucketName", message, BucketName=name) from None
    except BucketExists:
        pass


def list_buckets(service: Service, request: OssRequest) -> Response:
    """ListBuckets: `GET /`; whoever may list them sees all."""
    params = request.params
    prefix = params.get("prefix", "")
    marker = params.get("marker", "")
    maximum = request.integer("max-keys", 1, 1000, 100)
    buckets = [
        each
        for each in service.buckets.all()
        if each.name.startswith(prefix) and each.name > marker
    ]
    if tag := params.get("tag-key"):
        tagged = [each for each in buckets if tag in _tags(each)]
        buckets = [
            each for each in tagged if params.get("tag-value", _tags(each)[tag]) == _tags(each)[tag]
        ]
    if request.headers.get("x-oss-resource-group-id", _RESOURCE_GROUP) != _RESOURCE_GROUP:
        buckets = []
    page: list[Node] = []
    if len(buckets) > maximum:
        page = [("Prefix", prefix), ("Marker", marker), ("MaxKeys", maximum), ("IsTruncated", True)]
        page += [("NextMarker", buckets[maximum - 1].name)]
    region: Node = ("Region", service.region)
    nodes: list[Node] = []
    for each in buckets[:maximum]:
        with suppress(FileNotFoundError):  # it was deleted meanwhile
            nodes.append(("Bucket", [*_describe(service, each), region]))
    return respond_xml("ListAllMyBucketsResult", [OWNER, *page, ("Buckets", nodes)])


def delete(service: Service, request: OssRequest) -> Response:
    bucket = service.bucket(request.bucket)
    try:
        service.buckets.delete(bucket)
    except BucketNotEmpty:
        message = "The bucket has objects. Please delete them first."
        raise OssError(409, "BucketNotEmpty", message, BucketName=bucket.name) from None
    return respond(204)


def info(service: Service, request: OssRequest) -> Response:
    bucket = service.bucket(request.bucket)
    content: list[Node] = [
        *_describe(service, bucket),
        ("DataRedundancyType", "LRS"),
        OWNER,
        ("AccessControlList", [("Grant", "private")]),
        ("BlockPublicAccess", True),
        ("Comment", ""),
        *(
            (name, "Disabled")
            for name in ("AccessMonitor", "CrossRegionReplication", "TransferAcceleration")
        ),
        ("ServerSideEncryptionRule", [("SSEAlgorithm", "None")]),
    ]
    content += [("Versioning", bucket.versioning)] if bucket.versioning else []
    return respond_xml("BucketInfo", [("Bucket", content)])


def _describe(service: Service, bucket: Bucket) -> list[Node]:
    location = f"oss-{service.region}"
    return [
        ("Name", bucket.name),
        ("Location", location),
        ("ExtranetEndpoint", f"{location}.aliyuncs.com"),
        ("IntranetEndpoint", f"{location}-internal.aliyuncs.com"),
        ("CreationDate", iso_date(bucket.settings()["created"])),
        ("StorageClass", bucket.storage_class),
        ("ResourceGroupId", _RESOURCE_GROUP),
    ]


def get_acl(service: Service, request: OssRequest) -> Response:
    service.bucket(request.bucket)
    return respond_xml(
        "AccessControlPolicy", [OWNER, ("AccessControlList", [("Grant", "private")])]
    )


def put_acl(service: Service, request: OssRequest) -> Response:
    """PutBucketAcl, of a bucket that is private in any case; as in OSS, a missing one is created."""
    check_acl(BUCKET_ACL, request.headers.get(BUCKET_ACL, ""))
    _create(service, request.bucket, "Standard")
    return respond(200)


def stat(service: Service, request: OssRequest) -> Response:
    """GetBucketStat, of all versions. Objects of other classes than Standard count as 64 KiB at least, as in OSS."""
    bucket = service.bucket(request.bucket)
    records = [record for key in bucket.all_keys() for record in bucket.versions(key)]
    objects = [record for record in records if not record.is_marker]
    uploads = Uploads(bucket)
    unfinished = uploads.all()
    parts: list[ObjectRecord] = []
    for upload in unfinished:
        with suppress(UploadGone):  # meanwhile
            parts += uploads.parts(upload).values()
    result: list[Node] = [
        ("Storage", sum(record.size for record in objects)),
        ("ObjectCount", len(objects)),
        ("MultipartUploadCount", len(unfinished)),
        ("MultipartPartCount", len(parts)),
        ("MultipartPartStorage", sum(part.size for part in parts)),
        ("DeleteMarkerCount", len(records) - len(objects)),
        ("LiveChannelCount", 0),
        ("LastModifiedTime", int(service.now())),
    ]
    for name, storage_class in _CLASSES.items():
        sizes = [record.size for record in objects if record.storage_class == storage_class]
        if storage_class == "Standard":
            result.append(("StandardStorage", sum(sizes)))
        else:
            result.append((f"{name}Storage", sum(max(size, _MIN_BILLED) for size in sizes)))
            result.append((f"{name}RealStorage", sum(sizes)))
        result.append((f"{name}ObjectCount", len(sizes)))
    return respond_xml("BucketStat", result)


def tags(service: Service, request: OssRequest) -> Response:
    """GetBucketTags, PutBucketTags, and DeleteBucketTags, of all or of some (`?tagging=k1,k2`)."""
    bucket = service.bucket(request.bucket)
    if request.method == "GET":
        return respond_tags(_tags(bucket).items())
    if request.method == "PUT":
        bucket.change(tags=dict(read_tags(request.body.read(_MAX_XML), of_bucket=True)))
        return respond(200)
    names = request.params["tagging"].split(",")
    bucket.change(
        tags={
            name: value
            for name, value in _tags(bucket).items()
            if names != [""] and name not in names
        }
    )
    return respond(204)


def _tags(bucket: Bucket) -> dict[str, str]:
    tags: dict[str, str] = bucket.settings().get("tags", {})
    return tags


def location(service: Service, request: OssRequest) -> Response:
    service.bucket(request.bucket)
    return respond_xml("LocationConstraint", f"oss-{service.region}")


def get_versioning(service: Service, request: OssRequest) -> Response:
    versioning = service.bucket(request.bucket).versioning
    return respond_xml("VersioningConfiguration", [("Status", versioning)] if versioning else [])


def put_versioning(service: Service, request: OssRequest) -> Response:
    bucket = service.bucket(request.bucket)
    status = parse_xml(request.body.read(_MAX_XML)).findtext("{*}Status", "")
    if status not in ("Enabled", "Suspended"):
        raise malformed_xml()
    bucket.change(versioning=status)
    return respond(200)


def get_cors(service: Service, request: OssRequest) -> Response:
    configuration = cors.from_settings(service.bucket(request.bucket).settings())
    if not configuration.rules:
        raise OssError(404, "NoSuchCORSConfiguration", "The CORS Configuration does not exist.")
    return respond_xml("CORSConfiguration", cors.to_xml(configuration))


def put_cors(service: Service, request: OssRequest) -> Response:
    bucket = service.bucket(request.bucket)
    bucket.change(**cors.to_settings(cors.parse(request.body.read(_MAX_XML))))
    return respond(200)


def delete_cors(service: Service, request: OssRequest) -> Response:
    service.bucket(request.bucket).change(**cors.to_settings(cors.CorsConfiguration(())))
    return respond(204)


def get_lifecycle(service: Service, request: OssRequest) -> Response:
    rules = service.bucket(request.bucket).settings().get("lifecycle")
    if rules is None:
        raise OssError(404, "NoSuchLifecycle", "No Row found in Lifecycle Table.")
    return respond(200, (XML_DECLARATION + rules).encode(), {"Content-Type": "application/xml"})


def put_lifecycle(service: Service, request: OssRequest) -> Response:
    """PutBucketLifecycle: `PUT ?lifecycle`. The rules are kept and shown, but nothing is ever deleted by them."""
    bucket = service.bucket(request.bucket)
    configuration = parse_xml(request.body.read(_MAX_XML))
    rules = configuration.findall("{*}Rule")
    for rule in rules:
        if not rule.findtext("{*}ID"):
            ElementTree.SubElement(rule, "ID").text = secrets.token_hex(16)
        for marker in rule.iterfind(f"{{*}}Expiration/{{*}}{_DELETE_MARKER}"):
            marker.text = (marker.text or "").lower()
        _check_rule(rule)
    if not rules or len({rule.findtext("{*}ID") for rule in rules}) < len(rules):
        raise malformed_xml("0014-00000020" if rules else "")
    if request.headers.get("x-oss-allow-same-action-overlap") != "true":
        _check_prefixes(rules)
    bucket.change(lifecycle=ElementTree.tostring(configuration, "unicode"))
    return respond(200)


def delete_lifecycle(service: Service, request: OssRequest) -> Response:
    service.bucket(request.bucket).change(lifecycle=None)
    return respond(204)


def _check_prefixes(rules: Sequence[ElementTree.Element]) -> None:
    """Raises `OssError` for two rules of one prefix, and for the same action on a prefix inside another.

    Rules with tags or a filter are not compared. Sources: the pages of EC 0014-00000085 and 0014-00000084, the live
    test of oss2 (the message), and that of ali-oss (with x-oss-allow-same-action-overlap, one prefix may have several).
    """
    plain = [
        rule for rule in rules if rule.find("{*}Tag") is None and rule.find("{*}Filter") is None
    ]
    prefixes = [rule.findtext("{*}Prefix", "") for rule in plain]
    if len(set(prefixes)) < len(prefixes):
        raise invalid_argument(
            "Prefix", "", "Two rules must not have the same prefix.", ec="0014-00000085"
        )
    outer: list[ElementTree.Element] = []
    for rule in sorted(plain, key=lambda each: each.findtext("{*}Prefix", "")):
        prefix = rule.findtext("{*}Prefix", "")
        outer = [each for each in outer if prefix.startswith(each.findtext("{*}Prefix", ""))]
        actions = {action.tag for action in rule}
        shared = {action.tag for each in outer for action in each} & actions
        for action in _SAME_ACTIONS:
            if any(tag.endswith(action) for tag in shared):
                message = f"Overlap for same action type {action}"
                raise invalid_argument("Prefix", "", message, ec="0014-00000084")
        outer.append(rule)


def _check_rule(rule: ElementTree.Element) -> None:
    """Raises `OssError` for a rule that OSS refuses.

    Sources: the OSS pages "PutBucketLifecycle" and those of EC 0014-…, and the live tests of oss2.
    """
    actions = [action for action in rule if action.tag.endswith(_ACTIONS)]
    times = [
        [(n, t) for n in _TIMES if (t := action.findtext(f"{{*}}{n}", "false")) != "false"]
        for action in actions
    ]
    classes = [
        action.findtext("{*}StorageClass")
        for action in actions
        if action.tag.endswith("Transition")
    ]
    for is_valid, ec in (
        (rule.findtext("{*}Status") in ("Enabled", "Disabled"), "0014-00000024"),
        (bool(actions), "0014-00000026"),
        (all(classes), "0014-00000045"),
        (all(len(each) < 2 for each in times), "0014-00000050"),
        (all(times), "0014-00000060"),
        (all(re.fullmatch(_TIMES[name], text) for each in times for name, text in each), ""),
    ):
        if not is_valid:
            raise malformed_xml(ec)
    if not {*classes} <= {*_STEPS}:
        raise invalid_argument(
            "StorageClass", "", "A rule cannot move objects to this class.", ec="0014-00000044"
        )
    moves = [action for action in actions if not action.tag.endswith("Upload")]
    if (
        sum(
            any(move.find(f"{{*}}{name}") is not None for move in moves)
            for name in ("Days", "CreatedBeforeDate")
        )
        > 1
    ):
        raise OssError(400, "InvalidRequest", "Days and dates must not be mixed in a rule.")
    for name in ("Days", "NoncurrentDays"):
        steps = sorted(moves, key=lambda move: _STEPS.index(move.findtext("{*}StorageClass", "")))
        days = [
            int(step.findtext(f"{{*}}{name}", "0"))
            for step in steps
            if step.find(f"{{*}}{name}") is not None
        ]
        if days != sorted({*days}):
            raise invalid_argument(
                name, "", "Objects must move to colder classes later, and expire last."
            )
    if any(not TAG.fullmatch(tag.text or "") for tag in rule.iterfind("{*}Tag/*")):
        raise invalid_argument(
            "Tag", "", "A tag may have letters, digits, spaces and + - = . _ : /."
        )
