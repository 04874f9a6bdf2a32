"""Objects, versions and uploads as files under one root; knows nothing of HTTP or XML."""

from __future__ import annotations

from .appending import Appending, NotAppendable, PositionNotLength
from .bucket import VERSION_ID, AlreadyExists, Bucket, Deletion
from .buckets import BucketExists, BucketNotEmpty, Buckets
from .draft import Draft
from .locking import lock
from .record import ObjectRecord, OpenedObject
from .replacing import FileInUse
from .uploads import MultipartUpload, UploadGone, Uploads

__all__ = [
    "VERSION_ID",
    "AlreadyExists",
    "Appending",
    "Bucket",
    "BucketExists",
    "BucketNotEmpty",
    "Buckets",
    "Deletion",
    "Draft",
    "FileInUse",
    "MultipartUpload",
    "NotAppendable",
    "ObjectRecord",
    "OpenedObject",
    "PositionNotLength",
    "UploadGone",
    "Uploads",
    "lock",
]
