"""Finds example names that a deployment would use, and where they are written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from .functions import Props, mapping
from .links_toml import Reader, buckets, signer_arns

_BUCKET = re.compile(r"examplebucket(?:-[a-z0-9-]+)?")
_PROJECT = "example-logs"
_DOMAIN = "links.example.com"
_CERTIFICATE = "12345678"
_ACCOUNT = "1000000000000001"


def faults(readers: Iterable[Reader], document: object, environments: Mapping[str, object]) -> Iterator[str]:
    """A sentence for each example that a function uses.

    `document` and `environments` are s.yaml and env.yaml before they are rendered, which say where it is written.
    """
    written = [*_strings(document, "")]
    for name, environment in environments.items():
        written += _strings(environment, f"env.yaml: {name}: ")
    examples: dict[str, tuple[str, str]] = {}
    for reader in readers:
        examples |= {value: (advice, reader.file) for value, advice in _examples(reader)}
    for value, (advice, file) in examples.items():
        pattern = re.compile(rf"(?<![\w-]){value}(?![\w-])")
        places = ((place, content) for place, content in written if pattern.search(content))
        place, content = next(places, (file, ""))
        yield f"{place} {'is' if content == value else 'contains'} {value}, a placeholder: write {advice}."


def _examples(reader: Reader) -> Iterator[tuple[str, str]]:
    """Each example that a function uses, and what to write instead."""
    for bucket, _ in buckets(reader):
        if _BUCKET.fullmatch(bucket):
            yield bucket, "the name of your bucket"
    if mapping(reader.props.get("logConfig")).get("project") == _PROJECT:
        yield _PROJECT, "the name of your log project"
    domain = mapping(reader.props.get("customDomain"))
    if domain.get("domainName") == _DOMAIN:
        yield _DOMAIN, "the name of your domain"
    if mapping(domain.get("certConfig")).get("certId") == _CERTIFICATE:
        yield _CERTIFICATE, "the number of your certificate"
    if any(f":{_ACCOUNT}:" in arn for arn in _arns(reader.props)):
        yield _ACCOUNT, "${config('AccountID')}"
    elif any(f":{_ACCOUNT}:" in arn for arn in signer_arns(reader.links)):
        yield _ACCOUNT, "the number of your account"


def _arns(props: Props) -> Iterator[str]:
    yield str(props.get("role"))
    for trigger in props.get("triggers") or []:
        yield from (str(trigger.get(name)) for name in ("invocationRole", "sourceArn"))
    for destination in mapping(mapping(props.get("asyncInvokeConfig")).get("destinationConfig")).values():
        yield str(destination.get("destination"))


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
