"""Whether a rule of a bucket forbids what the service does all the time: to replace its own objects.

Source: the OSS pages "GetBucketOverwriteConfig" and "PutBucketOverwriteConfig".
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from handler.core.config import Location

from .deployment import Deployment
from .findings import Finding, fault, ok, unknown
from .oss import unusable

# Without rules OSS answers 404, and an OSS that does not know the operation 501.
_NO_RULES = b"<OverwriteConfiguration/>"


def bucket_rules(deployment: Deployment) -> Iterator[Finding]:
    """A revocation replaces the record of a share, a command the keys document, a failure the pause of its sink."""
    config = deployment.config
    own = [each for each in (config.keys_document, config.state) if isinstance(each, Location)]
    for bucket in dict.fromkeys(place.bucket for place in own if deployment.credentials):
        response = deployment.get_bucket(bucket, "overwriteConfig")
        has_none = response.status in (404, 501) and response.code != "NoSuchBucket"
        if problem := unusable(response):
            yield problem
        elif not has_none and b"<OverwriteConfiguration" not in response.body:
            failed = (
                f"Whether {bucket} forbids overwriting could not be checked ({response.answer})"
            )
            advice = "allow oss:GetBucketOverwriteConfig, or look in the console"
            yield unknown("overwriting", f"{failed}: {advice}.")
        else:
            rules = ElementTree.fromstring(_NO_RULES if has_none else response.body)  # noqa: S314 - of OSS itself
            effect = "so no share can be revoked, no key changed, and no sink paused"
            # Also for a rule of some principals, which may be the roles of the functions.
            yield from [
                fault(
                    "overwriting",
                    f"Rule {rule.findtext('{*}ID')} of {bucket} forbids overwriting in {place}, {effect}: delete it, "
                    "or change its prefix.",
                )
                for rule in rules.iterfind("{*}Rule")
                for place in own
                if place.bucket == bucket and _covers(rule, place)
            ] or [
                ok(
                    "overwriting",
                    f"No rule of {bucket} keeps the service from replacing its objects.",
                )
            ]


def _covers(rule: ElementTree.Element, place: Location) -> bool:
    """Whether it is about what is replaced there: the document, or records, whose names end in .json."""
    prefix = Location(place.bucket, rule.findtext("{*}Prefix") or "")
    name = f"{place.key}.json" if place.key.endswith("/") else place.key
    return prefix.overlaps(place) and name.endswith(rule.findtext("{*}Suffix") or "")
