"""OSS signature version 1, step by step in the order and words of the specification. It is only checked, never made.

Sources: the OSS pages "Include a V1 signature in a URL" and "Include a V1 signature in the Authorization header"; for
the list of sub-resources, the SDKs oss2 and alibabacloud-oss-v2. Every function is pure.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping

from . import v4

SCHEME = "OSS"  # of the Authorization header
REQUIRED = ("OSSAccessKeyId", "Expires", "Signature")
TOKEN = "security-token"  # noqa: S105 - a name

# The parameters of the query that are signed; any other can be added to a link.
SUB_RESOURCES = frozenset(
    {
        "MetaQuery",
        "accessPoint",
        "accessPointPolicy",
        "acl",
        "append",
        "asyncFetch",
        "bucketArchiveDirectRead",
        "bucketInfo",
        "callback",
        "callback-var",
        "cleanRestoredObject",
        "cloudboxes",
        "cname",
        "comp",
        "continuation-token",
        "cors",
        "dataPipeline",
        "delete",
        "encryption",
        "endTime",
        "group",
        "httpsConfig",
        "inventory",
        "inventoryId",
        "legalHold",
        "lifecycle",
        "link",
        "live",
        "location",
        "logging",
        "metaQuery",
        "metadataConfiguration",
        "metadataInventoryTable",
        "metadataJournalTable",
        "objectInfo",
        "objectMeta",
        "objectWorm",
        "overwriteConfig",
        "partNumber",
        "policy",
        "policyStatus",
        "position",
        "publicAccessBlock",
        "qos",
        "qosInfo",
        "qosRequester",
        "quota",
        "redundancyTransition",
        "referer",
        "regionList",
        "replication",
        "replicationLocation",
        "replicationProgress",
        "requestPayment",
        "requesterQosInfo",
        "resourceGroup",
        "resourcePool",
        "resourcePoolBuckets",
        "resourcePoolInfo",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "retention",
        "rtc",
        "seal",
        "security-token",
        "sequential",
        "startTime",
        "stat",
        "status",
        "style",
        "styleName",
        "symlink",
        "tagging",
        "transferAcceleration",
        "uploadId",
        "uploads",
        "userDefinedLogFieldsConfig",
        "versionId",
        "versioning",
        "versions",
        "vod",
        "website",
        "worm",
        "wormExtend",
        "wormId",
        "x-oss-ac-forward-allow",
        "x-oss-ac-source-ip",
        "x-oss-ac-subnet-mask",
        "x-oss-ac-vpc-id",
        "x-oss-access-point-name",
        "x-oss-async-process",
        "x-oss-process",
        "x-oss-redundancy-transition-taskid",
        "x-oss-request-payer",
        "x-oss-target-redundancy-type",
        "x-oss-traffic-limit",
        "x-oss-write-get-object-response",
    }
)


def canonicalized_headers(headers: Mapping[str, str]) -> str:
    """The x-oss-* headers as sorted lines `name:value`; names are lower-case."""
    return v4.canonical_headers(
        {name: value for name, value in headers.items() if name.startswith("x-oss-")}
    )


def canonicalized_resource(bucket: str, key: str, query: Iterable[tuple[str, str]]) -> str:
    """`/bucket/key?acl&uploadId=…`, or `/?…` without a bucket. Nothing is encoded.

    Of the decoded pairs of the query only the sub-resources count, sorted by name; those of one name keep their order.
    """
    signed = sorted((pair for pair in query if pair[0] in SUB_RESOURCES), key=lambda pair: pair[0])
    parameters = "&".join(f"{name}={value}" if value else name for name, value in signed)
    return (f"/{bucket}/{key}" if bucket else "/") + (f"?{parameters}" if parameters else "")


def string_to_sign(method: str, headers: Mapping[str, str], date: str, resource: str) -> str:
    """What is signed: `date` is a URL's Expires (Unix seconds), or x-oss-date, or the header Date, as it is sent.

    Header names are lower-case.
    """
    md5, content_type = (headers.get(name, "").strip() for name in ("content-md5", "content-type"))
    #       VERB     Content-MD5 Content-Type Date CanonicalizedOSSHeaders      CanonicalizedResource
    return f"{method}\n{md5}\n{content_type}\n{date}\n{canonicalized_headers(headers)}{resource}"


def signature(secret: str, string: str) -> str:
    """The HMAC-SHA1 of the string to sign, in base64."""
    return base64.b64encode(
        hmac.digest(secret.encode(), string.encode("utf-8", "surrogatepass"), "sha1")
    ).decode()
