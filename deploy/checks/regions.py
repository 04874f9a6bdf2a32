"""Checks that a function, its log project, what it calls, and its buckets without a region of their own are in one.

`signer` refuses a mount whose endpoint is a host of OSS in another region than links.toml names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from local.fc import functions, schema

from ..model import ConfiguredFunction
from ..runtimes import PAGE_DATE, PYTHON_3_12_REGIONS

# Public endpoints. cn-hongkong is not on the mainland.
_MAINLAND = re.compile(r"oss-cn-(?!hongkong)[a-z0-9-]*(?<!-internal)\.aliyuncs\.com")
_ARN_REGION = re.compile(r"acs:[a-z]+:([a-z0-9-]+):")


def faults(function: functions.Function) -> Iterator[str]:
    """A sentence for each region in the properties that is not the function's own."""
    region = function.region
    variable = function.environment.get("LINK_REGION", region)
    if variable != region:
        yield f"environmentVariables.LINK_REGION is {variable}, but region is {region}: they must be equal."
    arns = {f"trigger {trigger.name}: sourceArn": trigger.source for trigger in function.triggers}
    arns |= {
        f"asyncInvokeConfig.destinationConfig.{name}": arn
        for name, arn in function.destinations.items()
    }
    for field, arn in arns.items():
        match = _ARN_REGION.match(arn)
        if match and match[1] != region:
            yield f"{field} is in {match[1]}, but the function is in {region}: they must be in one region."


def config_faults(configured: ConfiguredFunction) -> Iterator[str]:
    """A sentence if links.toml names another region, and `faults` does not say why."""
    region = configured.function.region
    if (
        configured.config.region != region
        and configured.function.environment.get("LINK_REGION", region) == region
    ):
        difference = f"region is {configured.config.region}, but the function is in {region}"
        yield f"{configured.file}: {difference}: write ${{LINK_REGION}}."


def warnings(configured: ConfiguredFunction) -> Iterator[str]:
    """A sentence for a region that lists do not have, and if OSS refuses links of mounts to accounts that are new."""
    if advice := schema.region_advice(configured.function.region):
        yield f"region {configured.function.region} is unknown to fc3: {advice}"
    if (
        configured.function.runtime == "python3.12"
        and configured.function.region not in PYTHON_3_12_REGIONS
    ):
        source = f"said Function Compute's page of {PAGE_DATE}"
        advice = "see whether it is by now, or choose python3.10"
        yield f"runtime python3.12 is not offered in {configured.function.region}, {source}: {advice}."
    public = sorted(
        mount.path
        for mount in configured.config.mounts
        if _MAINLAND.fullmatch(mount.endpoint.domain)
    )
    if public:
        yield (
            f'{configured.file}: {", ".join(public)}: in mainland China, OSS refuses endpoint = "public" to accounts '
            "that first used it since 2025-03-20 (PublicEndpointForbidden, EC 0048-00000401): bind a domain to the "
            'bucket and write endpoint = "https://static.example.com", or choose another region, such as cn-hongkong.'
        )


def across(functions: Iterable[ConfiguredFunction]) -> Iterator[str]:
    """A sentence for each bucket and log project in two regions. `functions` are those of all environments."""
    regions: dict[str, dict[str, None]] = {}
    for configured in functions:
        places = [(f"bucket {bucket}", region) for bucket, region in configured.used_buckets]
        if configured.function.log:
            places.append(
                (f"log project {configured.function.log.project}", configured.function.region)
            )
        for thing, region in places:
            regions.setdefault(thing, {})[region] = None
    for thing, of_thing in regions.items():
        if len(of_thing) > 1:
            yield f"{thing} is used in {' and in '.join(of_thing)}: it is in one region, so name another one."
