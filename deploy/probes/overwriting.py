"""Whether a rule of a bucket forbids what the service does all the time: to replace its own objects.

Source: the OSS pages "GetBucketOverwriteConfig" and "PutBucketOverwriteConfig".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from handler.core.config import Location

from .deployment import Deployment, ProbeResponse
from .findings import Finding, fault, ok, unknown
from .oss import unusable

# How the names of records end that are replaced.
_RECORD = ".json"


def bucket_rules(deployment: Deployment) -> Iterator[Finding]:
    """A revocation replaces the record of a share, a command the keys document, a failure the pause of its sink."""
    config = deployment.config
    own = [each for each in (config.keys_document, config.state) if isinstance(each, Location)]
    for bucket in dict.fromkeys(location.bucket for location in own if deployment.credentials):
        response = deployment.get_bucket(bucket, "overwriteConfig")
        if problem := unusable(response):
            yield problem
            continue
        try:
            rules = _read(response)
        except (ElementTree.ParseError, ValueError):
            yield unknown(
                "overwriting",
                f"Whether {bucket} forbids overwriting could not be checked ({response.answer}): allow "
                "oss:GetBucketOverwriteConfig, or look in the console.",
            )
            continue
        findings = list(_forbidden([each for each in own if each.bucket == bucket], rules))
        yield from findings or [
            ok("overwriting", f"No rule of {bucket} keeps the service from replacing its objects.")
        ]


def _read(response: ProbeResponse) -> list[ElementTree.Element]:
    """The rules. Raises `ValueError` and `ParseError` for a response without any.

    Without rules OSS answers 404. An OSS that does not know the operation has none either.
    """
    if response.code == "NotImplemented" or (
        response.status == 404 and response.code != "NoSuchBucket"
    ):
        return []
    document = response.body if response.status == 200 else b""
    configuration = ElementTree.fromstring(document)  # noqa: S314 - OSS's answer about the operator's own bucket
    if not configuration.tag.endswith("OverwriteConfiguration"):
        raise ValueError
    return configuration.findall("{*}Rule")


def _forbidden(own: Sequence[Location], rules: Sequence[ElementTree.Element]) -> Iterator[Finding]:
    """Also for a rule of some principals, which may be the roles of the functions."""
    for rule in rules:
        prefix = rule.findtext("{*}Prefix") or ""
        suffix = rule.findtext("{*}Suffix") or ""
        for location in own:
            is_covered = Location(location.bucket, prefix).overlaps(location)
            if is_covered and (location.key + _RECORD).endswith(suffix):
                name = rule.findtext("{*}ID") or "without ID"
                effect = "so no share can be revoked, no key changed, and no sink paused"
                yield fault(
                    "overwriting",
                    f"Rule {name} of {location.bucket} forbids overwriting in {location}, {effect}: delete it, or "
                    "change its prefix.",
                )
