"""Objects, versions and uploads as files under one root; knows nothing of HTTP or XML."""

from __future__ import annotations

from .bucket import VERSION_ID, AlreadyExists, Bucket, Deletion
from .buckets import BucketExists, BucketNotEmpty, Buckets
from .draft import Draft
from .record import ObjectRecord, OpenedObject
from .uploads import MultipartUpload, UploadGone, Uploads

__all__ = [
    "VERSION_ID",
    "AlreadyExists",
    "Bucket",
    "BucketExists",
    "BucketNotEmpty",
    "Buckets",
    "Deletion",
    "Draft",
    "MultipartUpload",
    "ObjectRecord",
    "OpenedObject",
    "UploadGone",
    "Uploads",
]
