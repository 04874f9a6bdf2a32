"""Objects, versions and uploads as files under one root. It knows nothing of HTTP or XML."""

from __future__ import annotations

from .bucket import AlreadyExists, Bucket, Deletion
from .buckets import BucketExists, BucketNotEmpty, Buckets
from .draft import Draft
from .record import Opened, Record
from .uploads import Part, Upload, UploadGone, Uploads

__all__ = [
    "AlreadyExists",
    "Bucket",
    "BucketExists",
    "BucketNotEmpty",
    "Buckets",
    "Deletion",
    "Draft",
    "Opened",
    "Part",
    "Record",
    "Upload",
    "UploadGone",
    "Uploads",
]
