"""The configuration of links.toml: mounts, notices, sinks, and the objects that belong to the service itself."""

from .mounts import (
    MAX_CDN_EXPIRES,
    MAX_SHARE,
    MIN_SHARE,
    TRAFFIC_LIMIT,
    USES,
    AssumeRole,
    Config,
    Location,
    Mount,
    Mounts,
    NoticeRule,
    OssSink,
    Target,
)
from .reader import InvalidConfig

__all__ = [
    "MAX_CDN_EXPIRES",
    "MAX_SHARE",
    "MIN_SHARE",
    "TRAFFIC_LIMIT",
    "USES",
    "AssumeRole",
    "Config",
    "InvalidConfig",
    "Location",
    "Mount",
    "Mounts",
    "NoticeRule",
    "OssSink",
    "Target",
]
