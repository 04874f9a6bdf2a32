"""With `[assume_role]`: opens the session of each mount, as the service does, and tries where it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.client import HTTPException
from urllib.parse import urlsplit

from handler.core.cloud.sessions import session_name
from handler.core.cloud.sts import StsUnavailable, assume_role
from handler.core.config import AssumeRole, Location, Mount
from handler.core.config.rights import lists_objects, session_policy, uses_objects
from signer.common.sts import AssumedRole

from ..checks.names import role_name
from . import oss
from .deployment import CANARY, Deployment, ProbeResponse
from .findings import SCRIPT, Finding, fault, ok, unknown, warning

# Function Compute allows 8 KB of headers in all, and a link is one of them.
MAX_LINK = 4096  # characters


def sessions(deployment: Deployment) -> Iterator[Finding]:
    """A session for each mount that uses one, for the full duration: its end, token, an object inside, one outside."""
    settings = deployment.config.assume_role
    if settings is None:
        return
    if deployment.credentials is None:
        yield unknown(
            "session", "No credentials in the environment, so no role was assumed: set them."
        )
        return
    for mount in sorted(deployment.config.mounts, key=lambda mount: mount.path):
        if not uses_objects(mount) and not lists_objects(deployment.config, mount):
            continue
        role = mount.role_arn or settings.role
        now = time.time()
        policy = session_policy(deployment.config, mount)
        name = session_name(mount.path)
        try:
            session = assume_role(
                settings.url, role, name, policy, settings.duration, deployment.credentials, now
            )
        except StsUnavailable as error:
            # Otherwise STS answered, which its reason is about.
            if isinstance(error.__context__, (OSError, HTTPException)):
                yield _unreachable(urlsplit(settings.url).netloc, error.reason)
                return
            yield _refused(settings, mount, error)
            continue
        yield _opened(deployment, settings, mount, session, now)
        yield from _inside(deployment, mount, session)
        yield from _outside(deployment, mount, session)


def _unreachable(host: str, reason: str) -> Finding:
    if host.startswith("sts-vpc."):
        return warning(
            "session", f"{host} can only be reached from inside its VPC, so no role was assumed."
        )
    advice = "check the network, and endpoint in [assume_role] of links.toml"
    return fault("session", f"{host} cannot be reached ({reason}): {advice}.")


def _refused(settings: AssumeRole, mount: Mount, error: StsUnavailable) -> Finding:
    """What concerns the role is the same for each of its mounts, so that the doctor says it once."""
    role = role_name(mount.role_arn or settings.role)
    reason = error.reason
    if reason == "EntityNotExist.Role":
        return fault("session", f"Role {role} not found: {SCRIPT}.")
    if reason == "InvalidParameter.DurationSeconds":
        return fault("session", f"{role} allows no session of {settings.duration} s: {SCRIPT}.")
    if reason == "NoPermission":
        return unknown(
            "session",
            f"{role} was not assumed (NoPermission), because it trusts only the roles of the functions, or because "
            "your policy does not allow sts:AssumeRole on it: to try its sessions, add your RAM user to its trust "
            f"policy, run the doctor, and then {SCRIPT}, which removes the user again.",
        )
    if reason.startswith("InvalidParameter"):
        return fault(
            "session",
            f"{mount.path}: STS refuses its session policy or role ({reason}): change the mount.",
        )
    return unknown(
        "session", f"{mount.path}: {error.sentence.rstrip('.')}, so it was not examined: try again."
    )


def _opened(
    deployment: Deployment, settings: AssumeRole, mount: Mount, session: AssumedRole, now: float
) -> Finding:
    token = len(session.credentials.security_token or "")
    link = len(deployment.link_to(mount, mount.target.key + CANARY, session.credentials))
    if link > MAX_LINK and mount.cdn is None:
        problem = f"a link has {link} characters because of its token ({token})"
        limit = "Function Compute allows 8 KB of headers in all"
        advice = "use a shorter target, or fewer methods"
        return warning("session", f"{mount.path}: {problem}, and {limit}: {advice}.")
    role = role_name(mount.role_arn or settings.role)
    minutes = round((session.expires_at - now) / 60)
    facts = f"a session of {role} ends in {minutes} min, and its token has {token} characters"
    return ok("session", f"{mount.path}: {facts}.")


def _inside(deployment: Deployment, mount: Mount, session: AssumedRole) -> Iterator[Finding]:
    """Only a mount whose links, or whose checks, read may do so."""
    if "GET" not in mount.methods or not uses_objects(mount):
        return
    response = deployment.get_link(mount, mount.target.key + CANARY, session.credentials)
    if response.status in (200, 404):
        yield ok("session", f"{mount.path}: its session may read objects of the mount.")
    elif response.code == "AccessDenied":
        yield fault(
            "session", f"{mount.path}: its session may not read objects of the mount: {SCRIPT}."
        )
    else:
        yield _no_answer(mount, response)


def _outside(deployment: Deployment, mount: Mount, session: AssumedRole) -> Iterator[Finding]:
    location = _object_outside(deployment, mount)
    if location is None:
        return
    response = deployment.get_link(mount, location.key, session.credentials)
    if response.code == "AccessDenied":
        yield ok("session", f"{mount.path}: its session may not read {location}.")
    elif response.status in (200, 404):
        advice = (
            "look for a bucket policy that allows it, and for an ACL that makes the bucket public"
        )
        yield fault(
            "session",
            f"{mount.path}: its session may read {location}, which is not in the mount: {advice}.",
        )
    else:
        yield _no_answer(mount, response)


def _object_outside(deployment: Deployment, mount: Mount) -> Location | None:
    """An object of the mount's bucket that its session must not read; None if the mount is the entire bucket.

    In such a bucket, the objects of the service itself are still denied.
    """
    target = mount.target
    if target.key:
        return Location(target.bucket, CANARY)
    reserved = (
        location
        for location in deployment.config.mounts.reserved
        if location.bucket == target.bucket
    )
    location = next(reserved, None)
    if location is None or not location.key.endswith("/"):
        return location
    return Location(location.bucket, location.key + CANARY)


def _no_answer(mount: Mount, response: ProbeResponse) -> Finding:
    """Nothing is known about the session's rights."""
    answer = f"{mount.path}: {response.host} answered {response.answer}: try again."
    return (oss.unusable(response) if mount.cdn is None else None) or unknown("session", answer)
