"""Whether OSS deletes the files of mounts as `delete_after` says, and no others.

Source: the OSS page "Lifecycle configuration elements", on versions of objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from handler.core.config import Mount

from ..statements import DAY, FILES
from .deployment import Deployment
from .findings import SCRIPT, Finding, fault, ok, unknown, warning
from .lifecycle import Rule, rules_of
from .oss import versioning


def files(deployment: Deployment) -> Iterator[Finding]:
    """A bucket without such a mount is read too, for rules that remain; it need not be readable."""
    if deployment.credentials is None:
        return
    for bucket in deployment.buckets:
        mounts = [mount for mount in deployment.config.mounts if mount.target.bucket == bucket]
        ending = [mount for mount in mounts if mount.delete_after is not None]
        rules = rules_of(deployment, bucket)
        if isinstance(rules, Finding):
            if ending:
                yield rules
            continue
        findings = [*_remaining(deployment, bucket, ending, rules)]
        for mount in ending:
            findings += _wrong(mount, rules)
        if ending:
            findings += _versions(deployment, bucket, ending, rules)
        if ending and not findings:
            sentence = f"OSS deletes files in {bucket} as delete_after of its mounts says."
            findings = [ok("lifecycle", sentence)]
        yield from findings


def _wrong(mount: Mount, rules: Sequence[Rule]) -> Iterator[Finding]:
    """Rules that delete files of a mount at another time, or none."""
    days = (mount.delete_after or 0) // DAY
    bucket, key = mount.target
    wanted = f"delete_after of the mount {mount.path} is {days} days"
    deleting = [rule for rule in rules if rule.deletes and rule.touches(key)]
    for rule in deleting:
        if rule.days != days:
            yield fault(
                "lifecycle",
                f"Rule {rule.id} of {bucket} deletes objects in {rule.prefix or 'the bucket'} {rule.deletes}, but "
                f"{wanted}: delete the rule if it is not of this project, and {SCRIPT}.",
            )
    if not any(rule.days == days and rule.covers(key) for rule in deleting):
        yield fault(
            "lifecycle",
            f"No rule of {bucket} deletes {key} after {days} days, but {wanted}: {SCRIPT}.",
        )


def _remaining(
    deployment: Deployment, bucket: str, ending: Sequence[Mount], rules: Sequence[Rule]
) -> Iterator[Finding]:
    """Rules of this project that delete files of which no mount says it any more."""
    names = [configured.function.name for configured in deployment.functions]
    for rule in rules:
        own = re.fullmatch(rf"(.+)-{FILES}(\..*)?", rule.id)
        is_own = own is not None and any(name.startswith(f"{own[1]}-") for name in names)
        is_wanted = any(rule.touches(mount.target.key) for mount in ending)
        if is_own and rule.deletes and not is_wanted:
            yield fault(
                "lifecycle",
                f"Rule {rule.id} of {bucket} remains: it deletes objects in {rule.prefix} {rule.deletes}, and no mount "
                f"there has delete_after. Delete the rule, or {SCRIPT}.",
            )


def _versions(
    deployment: Deployment, bucket: str, ending: Sequence[Mount], rules: Sequence[Rule]
) -> Iterator[Finding]:
    """Where a bucket keeps versions, what is deleted becomes one of them."""
    response = deployment.get_bucket(bucket, "versioning")
    if response.status != 200:
        failed = f"The versioning of {bucket} cannot be read ({response.answer})"
        yield unknown(
            "lifecycle", f"{failed}: allow oss:GetBucketVersioning, or look in the console."
        )
    elif versioning(response):
        for mount in ending:
            key = mount.target.key
            if not any(rule.deletes_versions and rule.covers(key) for rule in rules):
                yield warning(
                    "lifecycle",
                    f"{bucket} keeps versions, so what delete_after of the mount {mount.path} deletes stays as a "
                    f"version: add a rule for {key} with NoncurrentVersionExpiration.",
                )
