"""A local OSS: objects in files, every request's signature (V4 or V1) verified, responses in OSS's own XML.

For development only: serve it on 127.0.0.1 with `..server`, which passes on the request's target as it was sent.
"""

from __future__ import annotations

from .application import create_app, create_buckets
from .service import CreatedObject

__all__ = ["CreatedObject", "create_app", "create_buckets"]
