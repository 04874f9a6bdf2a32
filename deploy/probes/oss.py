"""What the doctor asks OSS, with the deployer's credentials."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from hashlib import md5

from handler.core.config import Location, Mount
from handler.core.config.rights import has_upload_pages
from signer.verification import SKEW

from .deployment import CANARY, Deployment, ProbeResponse
from .findings import Finding, fault, ok, unknown, warning

MAX_SKEW = 60  # seconds; more is a clock that is not synchronized
CREDENTIAL_ERRORS = {
    "InvalidAccessKeyId": "the access key is unknown to OSS, or its security token is missing: set both again",
    "SignatureDoesNotMatch": "the secret does not belong to this access key: set it again",
    "SecurityTokenExpired": "the security token has expired: get new credentials",
    "InvalidSecurityToken": "the security token belongs to other credentials: set all three again",
    "InvalidAccessKey": "the access key is disabled: enable it",
    "UserDisable": "the account is disabled or overdue: look at the billing console",
}


def credentials(deployment: Deployment) -> Iterator[Finding]:
    """Whether OSS accepts the credentials, and whether the buckets are in the right region."""
    if deployment.credentials is None:
        advice = "set OSS_ACCESS_KEY_ID and OSS_ACCESS_KEY_SECRET (and OSS_SESSION_TOKEN)"
        yield unknown(
            "credentials", f"No credentials in the environment, so OSS was not contacted: {advice}."
        )
        return
    for bucket in deployment.buckets:
        response = deployment.get_bucket(bucket, "location")
        if problem := unusable(response):
            yield problem
        elif response.code in CREDENTIAL_ERRORS:
            yield fault("credentials", f"{response.code}: {CREDENTIAL_ERRORS[response.code]}.")
            return
        elif response.code == "NoSuchBucket":
            yield fault(
                "bucket", f"Bucket {bucket} not found: create it, or name another in s.yaml."
            )
        else:
            yield _location(deployment, bucket, response)
            yield from _clock(response)


def _location(deployment: Deployment, bucket: str, response: ProbeResponse) -> Finding:
    region = deployment.region_of(bucket)
    endpoint = (
        response.body.partition(b"<Endpoint>")[2]
        .partition(b"</Endpoint>")[0]
        .decode("ascii", "replace")
    )
    location = response.body.partition(b"oss-")[2].partition(b"<")[0].decode("ascii", "replace")
    if response.status == 200 and location and location != region:
        return fault("region", f"{bucket} is in {location}, not in {region}: set region in s.yaml.")
    if response.status == 403 and endpoint and region not in endpoint:
        return fault("region", f"{bucket} is at {endpoint}, not in {region}: set region in s.yaml.")
    if response.status == 200:
        return ok("bucket", f"{bucket} is in {region}, and OSS accepts the credentials.")
    if response.code == "AccessDenied":
        return ok(
            "bucket", f"{bucket} accepts the credentials, but they may not read its location."
        )
    if b"signing region" in response.body:
        return fault(
            "region",
            f"{bucket} is not in {region} ({response.code}): set region in s.yaml to its region.",
        )
    return unknown("bucket", f"{bucket} answered {response.answer}: try again.")


def _clock(response: ProbeResponse) -> Iterator[Finding]:
    try:
        server_time = parsedate_to_datetime(response.headers["date"]).timestamp()
    except (LookupError, TypeError, ValueError):
        return
    skew = round(abs(time.time() - server_time))
    if skew >= SKEW:
        yield fault(
            "clock",
            f"This machine's clock is {skew} s off, and OSS refuses what it signs: set the clock.",
        )
    elif skew >= MAX_SKEW:
        yield warning(
            "clock",
            f"This machine's clock is {skew} s off (OSS tolerates {SKEW} s): set the clock.",
        )
    else:
        yield ok("clock", "This machine and OSS agree on the time.")


def state(deployment: Deployment) -> Iterator[Finding]:
    """Whether limited shares and notices can be recorded: not in a bucket that has or ever had versioning."""
    location = deployment.config.state
    if location is None or deployment.credentials is None:
        return
    response = deployment.get_bucket(location.bucket, "versioning")
    status = versioning(response)
    if problem := unusable(response):
        yield problem
    elif response.status != 200:
        failed = f"The versioning of {location.bucket} cannot be read ({response.code})"
        yield unknown("state", f"{failed}: allow oss:GetBucketVersioning, or look in the console.")
    elif status:
        yield fault(
            "state",
            f"{location.bucket} has versioning {status.lower()}, so OSS ignores forbid-overwrite, which limited shares "
            "and notices need: put state in a bucket that never had versioning.",
        )
    else:
        yield ok(
            "state",
            f"{location.bucket} never had versioning, so limited shares and notices are safe.",
        )
        yield from _etags(deployment, location)


def versioning(response: ProbeResponse) -> str:
    """The status that a response to GetBucketVersioning has, "" for a bucket that never had versions."""
    status = response.body.partition(b"<Status>")[2].partition(b"</Status>")[0]
    return status.decode("ascii", "replace")


def _etags(deployment: Deployment, location: Location) -> Iterator[Finding]:
    """Whether ETags show whose a claim is. The function's probe is empty; it exists once a limited share was used."""
    probe = deployment.get_object(Location(location.bucket, f"{location.key}probe"))
    etag = probe.headers.get("etag", "").strip('"').lower()
    if probe.status == 200 and etag != md5(b"", usedforsecurity=False).hexdigest():
        yield warning(
            "state",
            f"The ETags of {location.bucket} are not MD5, as with SSE-KMS, so only the newest download or upload of a "
            "share can be repeated without another use: put state in a bucket without SSE-KMS.",
        )


def mounts(deployment: Deployment) -> Iterator[Finding]:
    """Whether each mount's endpoint serves objects, and what browsers may upload."""
    for mount in deployment.config.mounts:
        if deployment.credentials and mount.cdn is None and "GET" in mount.methods:
            yield _endpoint(deployment, mount)
        if not {"PUT", "POST"}.isdisjoint(mount.methods):
            yield from _cors(deployment, mount)


def _endpoint(deployment: Deployment, mount: Mount) -> Finding:
    response = deployment.get_link(mount, mount.target.key + CANARY, deployment.signer)
    if problem := unusable(response):
        return problem
    host = f"{mount.path}: {response.host}"
    if response.status in (200, 404) or response.code == "AccessDenied":
        return ok("endpoint", f"{host} serves objects.")
    return fault("endpoint", f"{host} answered {response.answer}: check endpoint in links.toml.")


def unusable(response: ProbeResponse) -> Finding | None:
    """Why a host answers nothing; the same for every probe that needs it, so that the doctor says it once."""
    host = response.host
    if response.code == "PublicEndpointForbidden":
        # EC 0048-00000401, for accounts that first used OSS since 2025-03-20.
        return fault(
            "endpoint",
            f"{host} serves no objects of new accounts in mainland China ({response.code}): bind a domain to the "
            'bucket, write endpoint = "https://static.example.com" in links.toml, and use --endpoint '
            "https://static.example.com in ARGS of make keys and make doctor; or choose a region outside the mainland.",
        )
    if response.status:
        return None
    if "-internal." in host:
        return warning(
            "endpoint", f"{host} and its links can only be reached from inside its region."
        )
    advice = "check the network, the bucket and the region in s.yaml, and endpoint in links.toml"
    return fault("endpoint", f"{host} cannot be reached ({response.code}): {advice}.")


def _cors(deployment: Deployment, mount: Mount) -> Iterator[Finding]:
    """Whether pages of the service, and of the origins in links.toml, may upload."""
    config = deployment.config
    origins = [*([config.public_url] if config.public_url else []), *sorted(config.cors)]
    if not origins:
        yield warning(
            "cors", f"{mount.path}: no CORS rule was tested: set public_url or cors in links.toml."
        )
    bucket = mount.target.bucket
    url = mount.endpoint.url(bucket, "")
    for origin in origins:
        # An upload page sends small files as forms, and the parts of large ones with PUT.
        for method in sorted(
            {"PUT", "POST"}.intersection(mount.methods + ("PUT",) * has_upload_pages(mount))
        ):
            headers = {"Origin": origin, "Access-Control-Request-Method": method}
            if method == "PUT":
                headers["Access-Control-Request-Headers"] = "content-type,x-oss-forbid-overwrite"
            response = deployment.request("OPTIONS", url, headers)
            if problem := unusable(response):
                yield problem
            elif response.status == 200 and response.headers.get("access-control-allow-origin") in (
                "*",
                origin,
            ):
                yield ok("cors", f"{mount.path}: pages of {origin} may {method} to {bucket}.")
            else:
                advice = (
                    "add a CORS rule with that origin, that method, all headers, and ETag exposed"
                )
                yield fault(
                    "cors",
                    f"{mount.path}: pages of {origin} may not {method} to {bucket}: {advice}.",
                )
