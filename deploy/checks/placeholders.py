"""Finds example names that a deployment would use, invalid buckets and regions, and where they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from signer import Endpoint, SignerError
from signer.names import check_bucket

from ..model import ConfiguredFunction, Project, Resource

_BUCKET = re.compile(r"examplebucket(?:-[a-z0-9-]+)?")
_ADVICE = {
    "example-logs": "the name of your log project",
    "links.example.com": "the name of your domain",
    "12345678": "the number of your certificate",
}
_ACCOUNT = "1000000000000001"


def faults(
    functions: Iterable[ConfiguredFunction], document: object, environments: Mapping[str, object]
) -> Iterator[str]:
    """A sentence for each example that a function uses.

    `document` and `environments` are s.yaml and env.yaml before they are rendered, which say where it is written.
    """
    written = [*_strings(document, "")]
    for name, environment in environments.items():
        written += _strings(environment, f"env.yaml: {name}: ")
    examples: dict[str, tuple[str, str]] = {}
    for configured in functions:
        examples |= {value: (advice, configured.file) for value, advice in _examples(configured)}
    for value, (advice, file) in examples.items():
        pattern = re.compile(rf"(?<![\w-]){value}(?![\w-])")
        places = ((place, content) for place, content in written if pattern.search(content))
        place, content = next(places, (file, ""))
        yield f"{place} {'is' if content == value else 'contains'} {value}, a placeholder: write {advice}."


def name_faults(resource: Resource, project: Project, environment: str | None) -> Iterator[str]:
    """A sentence for an invalid name of a bucket or a region, from which other faults would follow."""
    overlaid = _strings(project.known.get(environment or ""), f"env.yaml: {environment}: ")
    written = [*overlaid, *_strings(project.source, "")]
    bucket = resource.props.get("environmentVariables", {}).get("LINK_BUCKET") or "none"
    names: tuple[tuple[str, str, Callable[[str], object]], ...] = (
        ("region", resource.props.get("region", "none"), Endpoint.public),
        ("environmentVariables.LINK_BUCKET", bucket, check_bucket),
    )
    for field, name, check in names:
        places = (place for place, content in written if content == name)
        try:
            check(name)
        except SignerError as error:
            yield f"{next(places, field)}: {error}"


def _examples(configured: ConfiguredFunction) -> Iterator[tuple[str, str]]:
    """Each example that a function uses, and what to write instead."""
    for bucket, _ in configured.used_buckets:
        if _BUCKET.fullmatch(bucket):
            yield bucket, "the name of your bucket"
    log = configured.function.log
    domain = configured.function.domain
    used = (
        log and log.project,
        domain and domain.name,
        domain and domain.certificate.get("certId"),
    )
    yield from ((name, advice) for name, advice in _ADVICE.items() if name in used)
    arns = [configured.function.role, *configured.function.destinations.values()]
    arns += (
        arn for trigger in configured.function.triggers for arn in (trigger.caller, trigger.source)
    )
    if any(f":{_ACCOUNT}:" in arn for arn in arns):
        yield _ACCOUNT, "${config('AccountID')}"
    elif any(f":{_ACCOUNT}:" in arn for arn in configured.signer_arns):
        yield _ACCOUNT, "the number of your account"


def _strings(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Each string in a document, and where it is, such as vars.bucket."""
    if isinstance(value, str):
        yield path.removesuffix("."), value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _strings(item, f"{path}{name}.")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{path.removesuffix('.')}[{index}].")
