"""What the doctor asks OSS, with the credentials of who deploys."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from handler.config import Mount

from .deployment import Answer, Deployment
from .findings import Finding, fault, ok, unknown, warning

# OSS tolerates 15 minutes; a minute off is a clock that nobody sets.
SKEW, TOLERATED = 60, 900  # seconds
_UNUSABLE = {
    "InvalidAccessKeyId": "OSS does not know this access key, or its security token is missing: set both anew",
    "SignatureDoesNotMatch": "the secret does not belong to this access key: set it anew",
    "SecurityTokenExpired": "the security token has ended: get new credentials",
    "InvalidSecurityToken": "the security token belongs to other credentials: set all three anew",
    "InvalidAccessKey": "the access key is disabled: enable it",
    "UserDisable": "the account is disabled or in arrears: look at the billing console",
}


def credentials(deployment: Deployment) -> Iterator[Finding]:
    """Whether the environment's credentials are any OSS knows, and whether the buckets are where they should be."""
    if deployment.credentials is None:
        yield unknown(
            "credentials",
            "None in the environment, so OSS was not asked: set OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET "
            "(and OSS_SESSION_TOKEN).",
        )
        return
    for bucket in deployment.buckets:
        answer = deployment.ask_bucket(bucket, "location")
        if answer.status == 0:
            yield fault(
                "endpoint",
                f"{deployment.endpoint.host(bucket)} cannot be reached ({answer.code}): "
                "look at the region, the bucket's name and the network.",
            )
        elif answer.code in _UNUSABLE:
            yield fault("credentials", f"{answer.code}: {_UNUSABLE[answer.code]}.")
            return
        elif answer.code == "NoSuchBucket":
            yield fault("bucket", f"There is no bucket {bucket}: make it, or name another in s.yaml.")
        else:
            yield from _place(deployment, bucket, answer)
            yield from _clock(answer)


def _place(deployment: Deployment, bucket: str, answer: Answer) -> Iterator[Finding]:
    region = deployment.policy.region
    told = answer.body.partition(b"<Endpoint>")[2].partition(b"</Endpoint>")[0].decode("ascii", "replace")
    located = answer.body.partition(b"oss-")[2].partition(b"<")[0].decode("ascii", "replace")
    if answer.status == 200 and located and located != region:
        yield fault("region", f"{bucket} is in {located}, not in {region}: set region in s.yaml.")
    elif answer.status == 403 and told and region not in told:
        yield fault("region", f"{bucket} answers at {told}, not in {region}: set region in s.yaml.")
    elif answer.status == 200:
        yield ok("bucket", f"{bucket} is in {region}, and the credentials are good.")
    elif answer.code == "AccessDenied":
        yield ok("bucket", f"{bucket} knows the credentials, which may not read its location.")
    else:
        yield unknown("bucket", f"{bucket} answers {answer.status} {answer.code}: try again.")


def _clock(answer: Answer) -> Iterator[Finding]:
    try:
        there = parsedate_to_datetime(answer.header("date")).timestamp()
    except (TypeError, ValueError):
        return
    off = round(abs(time.time() - there))
    if off >= TOLERATED:
        yield fault("clock", f"This machine's clock is {off} s off, and OSS refuses what is signed here: set it.")
    elif off >= SKEW:
        yield warning("clock", f"This machine's clock is {off} s off: set it, since OSS tolerates {TOLERATED} s.")
    else:
        yield ok("clock", "This machine and OSS agree on the time.")


def state(deployment: Deployment) -> Iterator[Finding]:
    """Whether limited shares and notices can be claimed: not on a bucket that has or ever had versions."""
    place = deployment.policy.state
    if place is None or deployment.credentials is None:
        return
    answer = deployment.ask_bucket(place.bucket, "versioning")
    status = answer.body.partition(b"<Status>")[2].partition(b"</Status>")[0].decode("ascii", "replace")
    if answer.status != 200:
        yield unknown(
            "state",
            f"The credentials may not ask whether {place.bucket} has versions ({answer.code}): "
            "give them oss:GetBucketVersioning, or look in the console.",
        )
    elif status:
        yield fault(
            "state",
            f"{place.bucket} has versioning {status.lower()}, where OSS ignores forbid-overwrite and nothing can be "
            "claimed: put state into a bucket that never had versions.",
        )
    else:
        yield ok("state", f"{place.bucket} never had versions, so claims hold.")


def mounts(deployment: Deployment) -> Iterator[Finding]:
    """That each mount's endpoint answers and serves objects; what browsers may upload."""
    for mount in deployment.policy.mounts:
        if deployment.credentials is not None and not {"GET", "HEAD"}.isdisjoint(mount.methods):
            yield _endpoint(deployment, mount)
        if not {"PUT", "POST"}.isdisjoint(mount.methods):
            yield from _cors(deployment, mount)


def _endpoint(deployment: Deployment, mount: Mount) -> Finding:
    host = deployment.endpoint_of(mount).host(mount.target.bucket)
    answer = deployment.ask_object(mount)
    if answer.status == 0 and "-internal." in host:
        return warning(
            "endpoint", f"{mount.path}: {host} is reached from inside its region only, and so are its links."
        )
    if answer.status == 0:
        return fault(
            "endpoint", f"{mount.path}: {host} cannot be reached ({answer.code}): look at endpoint in links.toml."
        )
    if answer.code == "PublicEndpointForbidden":
        return public_endpoint_forbidden(mount.path, host)
    if answer.status in (200, 404) or answer.code == "AccessDenied":
        return ok("endpoint", f"{mount.path}: {host} serves objects.")
    return fault(
        "endpoint", f"{mount.path}: {host} answers {answer.status} {answer.code}: look at endpoint in links.toml."
    )


def public_endpoint_forbidden(path: str, host: str) -> Finding:
    """What accounts meet that are new to OSS since March 2025."""
    return fault(
        "endpoint",
        f"{path}: {host} serves no objects to new accounts (PublicEndpointForbidden): bind a domain to the bucket and "
        'write endpoint = "https://static.example.com" in links.toml.',
    )


def _cors(deployment: Deployment, mount: Mount) -> Iterator[Finding]:
    """Whether pages of the service, and of those origins that links.toml names, may send files."""
    policy = deployment.policy
    origins = [*([policy.public_url] if policy.public_url else []), *sorted(policy.cors)]
    if not origins:
        yield unknown(
            "cors", f"{mount.path}: neither public_url nor cors is set in links.toml, so no origin was tried."
        )
    bucket = mount.target.bucket
    url = deployment.endpoint_of(mount).url(bucket, "")
    for origin in origins:
        for method in sorted({"PUT", "POST"}.intersection(mount.methods)):
            wanted = {"Origin": origin, "Access-Control-Request-Method": method}
            if method == "PUT":
                wanted["Access-Control-Request-Headers"] = "content-type,x-oss-forbid-overwrite"
            answer = deployment.ask("OPTIONS", url, wanted)
            allowed = answer.header("access-control-allow-origin")
            if answer.status == 200 and allowed in ("*", origin):
                yield ok("cors", f"{mount.path}: pages of {origin} may {method} to {bucket}.")
            else:
                yield fault(
                    "cors",
                    f"{mount.path}: pages of {origin} may not {method} to {bucket}: "
                    "add a CORS rule with that origin, that method, all headers, and ETag exposed.",
                )
