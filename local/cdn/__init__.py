"""A local CDN: it checks its links, and what they open comes from the local OSS. For development only."""

from __future__ import annotations

from .application import Domain, Origin, create_app, read_domain

__all__ = ["Domain", "Origin", "create_app", "read_domain"]
