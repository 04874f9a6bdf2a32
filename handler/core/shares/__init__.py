"""Shares: addresses of this service with a random secret, each with a record in the state prefix."""

from __future__ import annotations

from ..config import Target
from ..errors import Problem

MAX_USES = 20
DEFAULT_EXPIRES = 7 * 86_400  # seconds
NOTICES = "notice"  # the owner of shares in notices


def check_app_package(target: Target) -> None:
    """Raises the 409 `app_package_domain` for an object that OSS does not serve from the mount's endpoint.

    Source: the OSS page "What do I do if the ApkDownloadForbidden error code is returned?". OSS refuses the media types
    of app packages too; only the key is looked at, so that nothing is read.
    """
    if not target.mount.app_packages and target.key.lower().endswith((".apk", ".ipa")):
        raise Problem("app_package_domain")
