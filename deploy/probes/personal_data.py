"""Which of the records that docs/personal-data.md lists a deployment keeps.

Source: the OSS page "GetBucketLogging".
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from xml.etree import ElementTree

from .deployment import Deployment
from .findings import Finding, ok, unknown
from .oss import unusable

# What an OSS that does not know the operation logs.
_OFF = b"<BucketLoggingStatus/>"

kept = partial(ok, "personal-data")


def records(deployment: Deployment) -> Iterator[Finding]:
    """The logs of the functions, and the access log of each bucket."""
    for configured in deployment.functions:
        log = configured.function.log
        if log is not None:
            metrics = " and the request metrics" if log.request_metrics else ""
            yield kept(
                f"{log.logstore} keeps addresses, paths and callers of {configured.function.resource}, in the audit "
                f"lines{metrics}, for {configured.log_days} days."
            )
    if deployment.credentials:
        for bucket in deployment.buckets:
            yield _access_log(deployment, bucket)


def _access_log(deployment: Deployment, bucket: str) -> Finding:
    response = deployment.get_bucket(bucket, "logging")
    if problem := unusable(response):
        return problem
    is_known = response.status != 501
    if is_known and b"<BucketLoggingStatus" not in response.body:
        failed = f"Whether {bucket} has an access log could not be checked ({response.answer})"
        return unknown(
            "personal-data", f"{failed}: allow oss:GetBucketLogging, or look in the console."
        )
    status = ElementTree.fromstring(response.body if is_known else _OFF)  # noqa: S314 - of OSS itself
    target = status.findtext("{*}LoggingEnabled/{*}TargetBucket")
    if target is None:
        return kept(f"The access log of {bucket} is off: OSS does not record who downloads.")
    prefix = status.findtext("{*}LoggingEnabled/{*}TargetPrefix") or ""
    return kept(
        f"The access log of {bucket} is on: oss://{target}/{prefix} has address, time and link of each download, until "
        "you delete it."
    )
