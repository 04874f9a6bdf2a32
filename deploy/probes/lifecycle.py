"""Whether a bucket's real lifecycle rules spare keys, waiting notices and files, and delete what is no longer needed.

Sources: the OSS pages "GetBucketLifecycle" and "Lifecycle configuration elements".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from handler.core.config import Location, Mount
from local import rights

from .. import statements
from .deployment import Deployment, ProbeResponse
from .findings import SCRIPT, Finding, fault, ok, unknown, warning
from .oss import unusable, versioning

ARCHIVES = ("Archive", "ColdArchive", "DeepColdArchive")
# No object of the service is as large, and none has a tag.
MAX_SIZE = 65_536  # bytes


class Rule(NamedTuple):
    """An enabled rule that can match objects of the service.

    `prefix` is what it covers, without the prefixes in `spared`. `deletes` is "", or when it deletes; `days` is None if
    it does not, or by a date. `archive` is "", or the storage class to which it moves objects. `deletes_versions` says
    whether it deletes earlier versions.
    """

    id: str
    prefix: str
    spared: tuple[str, ...]
    deletes: str
    days: int | None
    archive: str
    deletes_versions: bool

    def touches(self, folder: str) -> bool:
        """Whether it can match an object in the folder."""
        matched = self.prefix if self.prefix.startswith(folder) else folder
        return matched.startswith(self.prefix) and not matched.startswith(self.spared)

    def covers(self, folder: str) -> bool:
        """Whether it matches all objects in the folder."""
        return folder.startswith(self.prefix) and not any(
            folder.startswith(prefix) or prefix.startswith(folder) for prefix in self.spared
        )


def bucket_rules(deployment: Deployment) -> Iterator[Finding]:
    """What rules do to the keys document, to notices for webhooks and robots, and to the records of shares."""
    config = deployment.config
    if deployment.credentials is None:
        return
    shares = any(mount.max_share for mount in config.mounts)
    state = config.state if config.keys_sinks or shares else None
    keys = config.keys_document if isinstance(config.keys_document, Location) else None
    for bucket in dict.fromkeys(location.bucket for location in (state, keys) if location):
        rules = _rules_of(deployment, bucket)
        if isinstance(rules, Finding):
            yield rules
            continue
        findings: list[Finding] = []
        if keys and keys.bucket == bucket:
            findings += (fault("lifecycle", sentence) for sentence in _lost_keys(keys, rules))
        if state and state.bucket == bucket:
            waits = (rights.DONE, rights.LEASES, rights.PAUSES) if config.keys_sinks else ()
            opened = (rights.OPENED,) if config.use_notices() else ()
            sentences = [*(_lost(bucket, state.key, rules) if waits else ())]
            sentences += _growing(
                bucket, state.key, (*waits, *opened, *(rights.SHARES if shares else ())), rules
            )
            if shares:
                sentences += _early(bucket, state.key, statements.share_days(config), rules)
                findings += (
                    fault("lifecycle", sentence) for sentence in _repeated(bucket, state.key, rules)
                )
            findings += (warning("lifecycle", sentence) for sentence in sentences)
        sentence = f"The lifecycle rules of {bucket} keep what is needed and delete what is not."
        yield from findings or [ok("lifecycle", sentence)]


def files(deployment: Deployment) -> Iterator[Finding]:
    """Whether OSS deletes the files of mounts as `delete_after` says, and no others.

    A bucket without such a mount is read too, for rules that remain; it need not be readable.
    """
    for bucket in deployment.buckets if deployment.credentials is not None else ():
        ending = [
            mount
            for mount in deployment.config.mounts
            if mount.target.bucket == bucket and mount.delete_after is not None
        ]
        rules = _rules_of(deployment, bucket)
        if isinstance(rules, Finding):
            yield from [rules] if ending else []
            continue
        findings = [*_remaining(deployment, bucket, ending, rules)]
        for mount in ending:
            findings += _wrong(deployment, mount, rules)
        done = ok("lifecycle", f"OSS deletes files in {bucket} as delete_after of its mounts says.")
        yield from findings or ([done] if ending else [])


def _wrong(deployment: Deployment, mount: Mount, rules: Sequence[Rule]) -> Iterator[Finding]:
    """Rules that delete files of a mount at another time, or none, and versions of them that stay."""
    bucket, key = mount.target
    days = (mount.delete_after or 0) // statements.DAY
    wanted = f"delete_after of the mount {mount.path} is {days} days"
    deleting = [rule for rule in rules if rule.deletes and rule.touches(key)]
    for rule in deleting:
        if rule.days != days:
            done = f"deletes objects in {rule.prefix or 'the bucket'} {rule.deletes}"
            yield fault(
                "lifecycle",
                f"Rule {rule.id} of {bucket} {done}, but {wanted}: delete the rule if it is not of this project, and "
                f"{SCRIPT}.",
            )
    if not any(rule.days == days and rule.covers(key) for rule in deleting):
        missing = f"No rule of {bucket} deletes {key} after {days} days"
        yield fault("lifecycle", f"{missing}, but {wanted}: {SCRIPT}.")
    response = deployment.get_bucket(bucket, "versioning")
    if response.status != 200:
        failed = f"The versioning of {bucket} cannot be read ({response.answer})"
        yield unknown(
            "lifecycle", f"{failed}: allow oss:GetBucketVersioning, or look in the console."
        )
    elif versioning(response) and not any(
        rule.deletes_versions and rule.covers(key) for rule in rules
    ):
        yield warning(
            "lifecycle",
            f"{bucket} keeps versions, so what delete_after of the mount {mount.path} deletes stays as a version: add "
            f"a rule for {key} with NoncurrentVersionExpiration.",
        )


def _remaining(
    deployment: Deployment, bucket: str, ending: Sequence[Mount], rules: Sequence[Rule]
) -> Iterator[Finding]:
    """Rules of this project that delete files of which no mount says it any more."""
    names = [configured.function.name for configured in deployment.functions]
    for rule in rules:
        own = re.fullmatch(rf"(.+-){statements.FILES}(\..*)?", rule.id)
        is_own = own is not None and any(name.startswith(own[1]) for name in names)
        is_wanted = any(rule.touches(mount.target.key) for mount in ending)
        if is_own and rule.deletes and not is_wanted:
            yield fault(
                "lifecycle",
                f"Rule {rule.id} of {bucket} remains: it deletes objects in {rule.prefix} {rule.deletes}, and no mount "
                f"there has delete_after. Delete the rule, or {SCRIPT}.",
            )


def _rules_of(deployment: Deployment, bucket: str) -> list[Rule] | Finding:
    """The enabled rules of a bucket, or the finding that says why they could not be read."""
    response = deployment.get_bucket(bucket, "lifecycle")
    if problem := unusable(response):
        return problem
    try:
        return _read(response)
    except (ElementTree.ParseError, ValueError):
        failed = f"The lifecycle rules of {bucket} could not be checked ({response.code or response.status})"
        return unknown(
            "lifecycle", f"{failed}: allow oss:GetBucketLifecycle, or look in the console."
        )


def _lost_keys(keys: Location, rules: list[Rule]) -> Iterator[str]:
    """What happens to the keys document, which nobody can make again."""
    effect = "no key and no share works without it: delete the rule or change its prefix"
    for rule in rules:
        covered = keys.key.startswith(rule.prefix) and not keys.key.startswith(rule.spared)
        if covered and (rule.deletes or rule.archive):
            done = (
                f"deletes {keys} {rule.deletes}"
                if rule.deletes
                else f"moves {keys} to {rule.archive}"
            )
            yield f"Rule {rule.id} of {keys.bucket} {done}, and {effect}."


def _lost(bucket: str, state: str, rules: list[Rule]) -> Iterator[str]:
    waiting = [state + folder for folder in rights.WAITING]
    done = state + rights.DONE
    for rule in rules:
        name = f"Rule {rule.id} of {bucket}"
        lost = " and ".join(filter(rule.touches, waiting))
        if lost and rule.deletes:
            advice = f"delete the rule or change its prefix, and {SCRIPT}"
            yield f"{name} deletes objects in {lost} {rule.deletes}, and notices that wait there are lost: {advice}."
        if (
            rule.touches(done)
            and rule.deletes
            and (rule.days is None or rule.days < statements.STATE_DAYS)
        ):
            repeated = "a notice whose event comes again later is repeated"
            advice = f"keep them for {statements.STATE_DAYS} days"
            yield f"{name} deletes objects in {done} {rule.deletes}, and {repeated}: {advice}."
        archived = " and ".join(filter(rule.touches, [*waiting, done]))
        if archived and rule.archive:
            moved = f"moves objects in {archived} to {rule.archive}, where they cannot be read"
            yield f"{name} {moved}: delete the rule or change its prefix."


def _early(bucket: str, state: str, days: int, rules: list[Rule]) -> Iterator[str]:
    for rule in rules:
        early = " and ".join(
            state + folder for folder in rights.SHARES if rule.touches(state + folder)
        )
        if early and rule.deletes and (rule.days is None or rule.days < days):
            advice = f"shares end before their time: keep them for {days} days"
            yield f"Rule {rule.id} of {bucket} deletes objects in {early} {rule.deletes}, and {advice}."


def _repeated(bucket: str, state: str, rules: list[Rule]) -> Iterator[str]:
    """A share whose uses are deleted before its record can be used as often again."""

    def kept(folder: str) -> float:
        deleting = [rule for rule in rules if rule.deletes and rule.touches(state + folder)]
        return min(
            (0 if rule.days is None else rule.days for rule in deleting), default=float("inf")
        )

    if kept("uses/") < kept("shares/"):
        repeated = "so a limited share can be used as often again"
        yield f"A rule of {bucket} deletes {state}uses/ before {state}shares/, {repeated}: {SCRIPT}."


def _growing(bucket: str, state: str, folders: Sequence[str], rules: list[Rule]) -> Iterator[str]:
    for folder in folders:
        if not any(rule.days is not None and rule.covers(state + folder) for rule in rules):
            yield f"No rule of {bucket} deletes {state}{folder}, which grows: {SCRIPT}."


def _read(response: ProbeResponse) -> list[Rule]:
    """The rules that can match. Raises `ValueError` and `ParseError` for a response without rules."""
    if (response.status, response.code) == (404, "NoSuchLifecycle"):
        return []
    document = response.body if response.status == 200 else b""
    configuration = ElementTree.fromstring(document)  # noqa: S314 - OSS's answer about the operator's own bucket
    if not configuration.tag.endswith("LifecycleConfiguration"):
        raise ValueError
    rules = (_read_rule(element) for element in configuration.iterfind("{*}Rule"))
    return [rule for rule in rules if rule is not None]


def _read_rule(element: ElementTree.Element) -> Rule | None:
    """OSS has prefix and tags in the rule, and other conditions in Filter; S3 has all of them in Filter or And."""
    conditions = [element, *element.iterfind("{*}Filter"), *element.iterfind("{*}Filter/{*}And")]
    minimum = max((int(size) for size in _texts(conditions, "ObjectSizeGreaterThan")), default=0)
    if element.findtext("{*}Status") != "Enabled" or minimum >= MAX_SIZE:
        return None
    if any(condition.find("{*}Tag") is not None for condition in conditions):
        return None
    spared = [
        exception
        for exception in element.iterfind("{*}Filter/{*}Not")
        if exception.find("{*}Tag") is None
    ]
    expirations = list(element.iterfind("{*}Expiration"))
    days = min((int(days) for days in _texts(expirations, "Days")), default=None)
    by_date = [*_texts(expirations, "Date"), *_texts(expirations, "CreatedBeforeDate")]
    deletes = ""
    if days is not None:
        deletes = f"after {days} days"
    elif by_date:
        deletes = "by date"
    classes = _texts(list(element.iterfind("{*}Transition")), "StorageClass")
    return Rule(
        id=element.findtext("{*}ID") or "without ID",
        prefix=max(_texts(conditions, "Prefix"), default=""),
        spared=tuple(_texts(spared, "Prefix")),
        deletes=deletes,
        days=days,
        archive=next((name for name in classes if name in ARCHIVES), ""),
        deletes_versions=element.find("{*}NoncurrentVersionExpiration") is not None,
    )


def _texts(elements: list[ElementTree.Element], name: str) -> list[str]:
    return [child.text or "" for element in elements for child in element.iterfind(f"{{*}}{name}")]
