"""Checks that a function, its log project, what it calls, and its buckets without a region of their own are in one.

`signer` refuses a mount whose endpoint is a host of OSS in another region than links.toml names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .functions import Props, mapping
from .links_toml import Reader, buckets

_ARN_REGION = re.compile(r"acs:[a-z]+:([a-z0-9-]+):")


def faults(props: Props) -> Iterator[str]:
    """A sentence for each region in the properties that is not the function's own."""
    region = props["region"]
    variable = mapping(props.get("environmentVariables")).get("LINK_REGION", region)
    if variable != region:
        yield f"environmentVariables.LINK_REGION is {variable}, but region is {region}: they must be equal."
    arns = {
        f"trigger {trigger['triggerName']}: sourceArn": trigger.get("sourceArn")
        for trigger in props.get("triggers") or []
    }
    for name, destination in mapping(mapping(props.get("asyncInvokeConfig")).get("destinationConfig")).items():
        arns[f"asyncInvokeConfig.destinationConfig.{name}"] = destination.get("destination")
    for field, arn in arns.items():
        match = _ARN_REGION.match(str(arn))
        if match and match[1] != region:
            yield f"{field} is in {match[1]}, but the function is in {region}: they must be in one region."


def links_faults(reader: Reader) -> Iterator[str]:
    """A sentence if links.toml names another region, and `faults` does not say why."""
    region = reader.props["region"]
    variable = mapping(reader.props.get("environmentVariables")).get("LINK_REGION", region)
    if reader.links.region != region and variable == region:
        yield (
            f"{reader.file}: region is {reader.links.region}, but the function is in {region}: write ${{LINK_REGION}}."
        )


def across(readers: Iterable[Reader]) -> Iterator[str]:
    """A sentence for each bucket and log project in two regions. `readers` are those of all environments."""
    regions: dict[tuple[str, str], dict[str, None]] = {}
    for reader in readers:
        used = [("bucket", bucket, region) for bucket, region in buckets(reader)]
        project = mapping(reader.props.get("logConfig")).get("project")
        for kind, name, region in (*used, *([("log project", project, reader.props["region"])] if project else [])):
            regions.setdefault((kind, name), {})[region] = None
    for (kind, name), of_thing in regions.items():
        if len(of_thing) > 1:
            yield f"{kind} {name} is used in {' and in '.join(of_thing)}: it is in one region, so name another one."
