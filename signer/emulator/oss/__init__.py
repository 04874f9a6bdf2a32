"""A local OSS: objects in files, every request's signature (V4 or V1) verified, responses in OSS's own XML.

For development only: serve it on 127.0.0.1 with `..server`, which passes on the request's target as it was sent.
"""

from __future__ import annotations

from .application import create_app, create_buckets
from .errors import OssError
from .operations import operation_names
from .service import Call, CreatedObject, Settings

__all__ = [
    "Call",
    "CreatedObject",
    "OssError",
    "Settings",
    "create_app",
    "create_buckets",
    "operation_names",
]
