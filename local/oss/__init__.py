"""A laptop's OSS: objects in files, every request's V4 signature verified, answers in OSS's own XML.

For development alone: serve it on 127.0.0.1, with `local.server`, which hands on the request's target as it came.
"""

from __future__ import annotations

from .application import create_app
from .service import CreatedObject

__all__ = ["CreatedObject", "create_app"]
