"""The headers of an upload: what is stored with the object, and the refusal of what the local OSS does not keep. Tags.

Sources: the OSS pages "PutObject", "PutObjectTagging", "PutBucketTags", "Server-side encryption", and those of EC
0005-… and 0010-….
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from .errors import OssError, invalid_argument, malformed_xml, not_implemented
from .incoming import parse_xml

_STORAGE_CLASSES = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")
_ENCRYPTION = "x-oss-server-side-encryption"
ENCRYPTION_KEY = "x-oss-server-side-encryption-key-id"
_DATA_ENCRYPTION = "x-oss-server-side-data-encryption"
_ENCRYPTIONS = (_ENCRYPTION, ENCRYPTION_KEY, _DATA_ENCRYPTION)
_MANAGED_KEY = "00000000-0000-0000-0000-000000000000"  # that of OSS, for KMS without a key
ACL = "x-oss-object-acl"
BUCKET_ACL = "x-oss-acl"
TAGGING = "x-oss-tagging"
SYMLINK_TARGET = "x-oss-symlink-target"
# Kept with an object, and not copied with its metadata.
PER_OBJECT = frozenset({*_ENCRYPTIONS, ACL, TAGGING})
TAG = re.compile(r"[\w +=.:/-]*")
_TAG_PREFIXES = ("http://", "https://", "aliyun", "acs")  # not for tags of buckets
STORED = frozenset(
    {
        "content-type",
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "expires",
    }
)
_META = "x-oss-meta-"
CLIENT_ENCRYPTION = f"{_META}client-side-encryption-"
# The x-oss- headers that every request may have: of the signature, and of clients and accounts.
_COMMON = frozenset(
    {
        "x-oss-content-sha256",
        "x-oss-credential",
        "x-oss-date",
        "x-oss-security-token",
        "x-oss-signature",
        "x-oss-signature-version",
        "x-oss-request-payer",
        "x-oss-traffic-limit",
        "x-oss-user-agent",
    }
)
_UPLOAD = frozenset(
    {"x-oss-content-type", "x-oss-forbid-overwrite", "x-oss-storage-class", *PER_OBJECT}
)
# What objects and buckets have here in any case: every request must be signed.
_PRIVATE = ("default", "private")
_BUCKET_ACLS = ("private", "public-read", "public-read-write")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")


def metadata_of(
    headers: Mapping[str, str], also: frozenset[str] = frozenset()
) -> tuple[dict[str, str], str]:
    """The headers of an upload, or the fields of a form, that are stored with the object, and its storage class or "".

    `also` names x-oss- headers that this operation knows beside those of every upload. Raises `OssError`.
    """
    refuse_unkept(headers, _UPLOAD | also)
    if headers.get(ACL):
        check_acl(ACL, headers[ACL])
    _check_tags(tags_of(headers))
    kept = (*STORED, ACL, TAGGING)
    metadata = {
        name: value for name, value in headers.items() if name in kept or name.startswith(_META)
    }
    for name, value in metadata.items():
        # Possible in a form, not in a header.
        if has_control(value) or not _HEADER_NAME.fullmatch(name):
            message = "A header must not contain control characters, and its name must be ASCII."
            raise invalid_argument(name, value, message)
    storage_class = headers.get("x-oss-storage-class", "")
    check_storage_class("x-oss-storage-class", storage_class or "Standard")
    _check_encryption(headers)
    return {**metadata, **encryption_headers(headers)}, storage_class


def check_storage_class(name: str, value: str) -> None:
    """Raises `OssError` InvalidArgument."""
    if value not in _STORAGE_CLASSES:
        raise invalid_argument(name, value, f"{name} must be one of {', '.join(_STORAGE_CLASSES)}.")


def refuse_unkept(headers: Mapping[str, str], known: frozenset[str] = frozenset()) -> None:
    """Raises `OssError` NotImplemented for an x-oss- header that would be dropped; an empty form field is ignored."""
    for name, value in headers.items():
        if (
            name.startswith("x-oss-")
            and value
            and not name.startswith(_META)
            and name not in _COMMON | known
        ):
            if name in _ENCRYPTIONS:
                refuse_encryption(headers)
            raise not_implemented(name)


def refuse_encryption(headers: Mapping[str, str]) -> None:
    """Raises `OssError` InvalidArgument for x-oss-server-side-encryption where OSS does not accept it."""
    if _ENCRYPTION in headers:
        message = f"{_ENCRYPTION} is not supported by this operation."
        raise invalid_argument(_ENCRYPTION, headers[_ENCRYPTION], message, ec="0005-00000002")


def refuse_conditions(headers: Mapping[str, str]) -> None:
    """Raises the 400 NotImplemented of PutObject, which knows no conditions (EC 0017-00000245)."""
    for name in ("If-Modified-Since", "If-Unmodified-Since", "If-Match", "If-None-Match"):
        if name.lower() in headers:
            message = "A header you provided implies functionality that is not implemented."
            raise OssError(400, "NotImplemented", message, ec="0017-00000245", Header=name)


def tags_of(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """The tags in x-oss-tagging, which is k1=v1&k2=v2, percent-encoded. Raises `OssError` InvalidTag."""
    tags = []
    for pair in filter(None, headers.get(TAGGING, "").split("&")):
        name, _, value = pair.partition("=")
        if "=" in value:
            raise _invalid_tag("0010-00000219")
        tags.append((unquote(name), unquote(value)))
    return tags


def read_tags(body: bytes, *, of_bucket: bool = False) -> list[tuple[str, str]]:
    """The tags of a Tagging document. Raises `OssError` MalformedXML, InvalidTag."""
    if (tag_set := parse_xml(body).find("{*}TagSet")) is None:
        raise malformed_xml()
    tags = [
        (tag.findtext("{*}Key", ""), tag.findtext("{*}Value", ""))
        for tag in tag_set.iterfind("{*}Tag")
    ]
    _check_tags(tags, of_bucket=of_bucket)
    return tags


def _check_tags(tags: Sequence[tuple[str, str]], *, of_bucket: bool = False) -> None:
    count, key, value = (20, 64, 128) if of_bucket else (10, 128, 256)  # keys of buckets in bytes
    if len(dict(tags)) < len(tags):
        raise _invalid_tag("0010-00000210")
    if of_bucket and any(name.lower().startswith(_TAG_PREFIXES) for name, _ in tags):
        raise _invalid_tag("0010-00000207")
    are_short = all(
        0 < len(n.encode() if of_bucket else n) <= key and len(v) <= value for n, v in tags
    )
    if (
        len(tags) > count
        or not are_short
        or not (of_bucket or all(TAG.fullmatch(n + v) for n, v in tags))
    ):
        raise _invalid_tag("0010-00000219")


def _invalid_tag(ec: str) -> OssError:
    return OssError(
        400, "InvalidTag", "The tags are invalid, too many, or two have the same key.", ec=ec
    )


def check_bucket_headers(headers: Mapping[str, str]) -> None:
    """Raises `OssError` for a header of PutBucket that is not kept."""
    for name in headers.keys() & {*_ENCRYPTIONS}:
        raise not_implemented(name)
    refuse_unkept(headers, frozenset({BUCKET_ACL}))
    if headers.get(BUCKET_ACL):
        check_acl(BUCKET_ACL, headers[BUCKET_ACL])


def encryption_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of server-side encryption, which OSS repeats in its responses; without KMS it ignores the last."""
    is_kms = headers.get(_ENCRYPTION) == "KMS"
    sent = {
        name: headers[name]
        for name in (_ENCRYPTIONS if is_kms else [_ENCRYPTION])
        if headers.get(name)
    }
    return {ENCRYPTION_KEY: _MANAGED_KEY, **sent} if is_kms else sent


def has_control(value: str) -> bool:
    """Whether a header value has control characters other than tab."""
    return _CONTROL.search(value) is not None


def check_acl(name: str, acl: str) -> None:
    """Raises `OssError` for an ACL that OSS does not know, or that lets others in: here all must sign."""
    acls = _BUCKET_ACLS if name == BUCKET_ACL else ("default", *_BUCKET_ACLS)
    if not acl:
        raise not_implemented(f"no {name}")
    if acl not in acls:
        raise invalid_argument(name, acl, f"{name} must be one of {', '.join(acls)}.")
    if acl not in _PRIVATE:
        raise not_implemented(f"{name}: {acl}, as every request must be signed")


def _check_encryption(headers: Mapping[str, str]) -> None:
    encryption = headers.get(_ENCRYPTION, "")
    if encryption not in ("", "AES256", "SM4", "KMS"):
        message = f"{_ENCRYPTION} must be AES256, SM4 or KMS."
        code = "InvalidEncryptionAlgorithmError"
        raise invalid_argument(_ENCRYPTION, encryption, message, ec="0005-00000003", code=code)
    if headers.get(ENCRYPTION_KEY) and encryption != "KMS":
        message = f"{ENCRYPTION_KEY} requires {_ENCRYPTION}: KMS."
        raise invalid_argument(ENCRYPTION_KEY, headers[ENCRYPTION_KEY], message)
    if headers.get(_DATA_ENCRYPTION, "SM4") not in ("", "SM4"):
        raise invalid_argument(
            _DATA_ENCRYPTION, headers[_DATA_ENCRYPTION], f"{_DATA_ENCRYPTION} must be SM4."
        )
