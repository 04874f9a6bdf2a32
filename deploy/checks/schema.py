"""fc3's schema, held strictly: no unknown key, and each trigger by its own definition."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

FILE = Path(__file__).with_name("fc3-schema.json")
ADDITIONS = Path(__file__).with_name("fc3-additions.json")

TRIGGERS = {
    "cdn_events": "ICdnTriggerConfig",
    "eventbridge": "IEventBridge",
    "http": "IHttpTriggerConfig",
    "log": "ILogTriggerConfig",
    "mns_topic": "IMnsTriggerConfig",
    "oss": "IOssTriggerConfig",
    "tablestore": "IOtsConfig",
    "timer": "ITimerTriggerConfig",
}
_TYPES = {
    "string": "no text: put it in quotes",
    "integer": "no whole number",
    "number": "no number",
    "boolean": "neither true nor false",
    "array": "no list",
    "object": "no mapping",
}

Schema = dict[str, Any]


def faults(props: object) -> Iterator[str]:
    """A sentence for everything in a function's rendered properties that fc3 does not take."""
    for error in _validator("").iter_errors(props):
        yield from _sentences(error, "")
    triggers = props.get("triggers") if isinstance(props, dict) else None
    for trigger in triggers if isinstance(triggers, list) else []:
        kind = trigger.get("triggerType") if isinstance(trigger, dict) else None
        if isinstance(kind, str) and kind in TRIGGERS and "triggerConfig" in trigger:
            where = f"trigger {trigger.get('triggerName')}: triggerConfig"
            for error in _validator(TRIGGERS[kind]).iter_errors(trigger["triggerConfig"]):
                yield from _sentences(error, where)


@cache
def _validator(definition: str) -> Draft7Validator:
    """Of a function's properties, or of one definition in the schema."""
    schema: Schema = _strict(json.loads(FILE.read_text(encoding="utf-8")))
    schema["properties"] |= _strict(json.loads(ADDITIONS.read_text(encoding="utf-8")))
    # Each configuration is held against its own definition instead.
    schema["definitions"]["ITrigger"]["properties"]["triggerConfig"] = {}
    if definition:
        schema = {"$ref": f"#/definitions/{definition}", "definitions": schema["definitions"]}
    return Draft7Validator(schema)


def _strict(schema: Any) -> Any:
    """The schema with every object that names its keys closed to others."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _strict(item) for name, item in schema.items()}
    if closed.get("type") == "object" and "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


def _sentences(error: ValidationError, where: str) -> Iterator[str]:
    place = ".".join(part for part in (where, _path(error)) if part)
    rule, wanted, value = str(error.validator), cast(Any, error.validator_value), cast(Any, error.instance)
    if rule in ("anyOf", "oneOf") and error.context:
        yield from _nearest(error, where)
    elif rule == "additionalProperties":
        known = list(cast(Schema, error.schema)["properties"])
        for name in sorted(set(value) - set(known), key=str):
            near = get_close_matches(str(name), known, 1)
            advice = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}."
            yield f"{f'{place}.' if place else ''}{name} is not known to fc3: {advice}"
    elif rule == "required":
        for name in wanted:
            if name not in value:
                yield f"{f'{place}.' if place else ''}{name} is missing."
    elif rule == "type":
        kind = wanted if isinstance(wanted, str) else wanted[0]
        yield f"{place} is {_TYPES[kind]}."
    elif rule == "enum":
        near = get_close_matches(str(value), map(str, wanted), 1)
        advice = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(map(str, wanted))}."
        yield f"{place} is {value!r}: {advice}"
    elif rule in ("minimum", "maximum"):
        yield f"{place} is {value}: it is at {'least' if rule == 'minimum' else 'most'} {wanted}."
    elif rule == "multipleOf":
        yield f"{place} is {value}: it goes in steps of {wanted}."
    else:
        yield f"{place}: {error.message}."


def _nearest(error: ValidationError, where: str) -> Iterator[str]:
    """Of several shapes that would do, the faults of the one that is nearest: the one with the deepest faults."""
    shapes: dict[int, list[ValidationError]] = {}
    for inner in error.context or ():
        shapes.setdefault(int(inner.schema_path[0]), []).append(inner)
    same_kind = [
        found for found in shapes.values() if not any(len(e.path) == 0 and e.validator == "type" for e in found)
    ]
    if not same_kind:
        kinds = dict.fromkeys(str(inner.validator_value) for found in shapes.values() for inner in found)
        yield f"{where}{_path(error)} is {error.instance!r}: write a {' or a '.join(reversed(kinds))}."
        return
    for inner in min(same_kind, key=len):
        yield from _sentences(inner, where)


def _path(error: ValidationError) -> str:
    text = ""
    for part in error.absolute_path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
