"""Checks a function against the schema of fc3, strictly: unknown keys are faults, also in each kind of trigger.

jsonschema takes a tenth of a second to import, so only what reads an s.yaml imports it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
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
    "string": "a string: put it in quotes",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}

Schema = dict[str, Any]


def faults(props: object) -> Iterator[str]:
    """A sentence for everything in a function's rendered properties that fc3 does not accept."""
    for error in _validator("").iter_errors(props):
        yield from _sentences(error, "")
    triggers = props.get("triggers") if isinstance(props, dict) else None
    for trigger in triggers if isinstance(triggers, list) else []:
        kind = trigger.get("triggerType") if isinstance(trigger, dict) else None
        if isinstance(kind, str) and kind in TRIGGERS and "triggerConfig" in trigger:
            where = f"trigger {trigger.get('triggerName')}: triggerConfig"
            for error in _validator(TRIGGERS[kind]).iter_errors(trigger["triggerConfig"]):
                yield from _sentences(error, where)


def region_advice(region: str) -> str:
    """What to think of a region that fc3 does not know, "" if it does."""
    known: list[str] = _read(FILE)["definitions"]["IRegion"]["enum"]
    if region in known:
        return ""
    near = get_close_matches(region, known, 1, 0.77)
    return f"did you mean {near[0]}?" if near else "it is new or misspelt."


@cache
def _validator(definition: str) -> Draft7Validator:
    """For a function's properties, or for one definition in the schema."""
    from jsonschema import Draft7Validator

    schema: Schema = _strict(_merged(_read(FILE), _read(ADDITIONS)))
    # Another region may be new: fc3 only warns of it, too.
    del schema["definitions"]["IRegion"]["enum"]
    # `faults` checks each configuration against its own definition instead.
    schema["definitions"]["ITrigger"]["properties"]["triggerConfig"] = {}
    if definition:
        schema = {"$ref": f"#/definitions/{definition}", "definitions": schema["definitions"]}
    return Draft7Validator(schema)


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _merged(schema: Any, additions: Any) -> Any:
    if not isinstance(schema, dict) or not isinstance(additions, dict):
        return additions
    merged = {name: _merged(schema.get(name), value) for name, value in additions.items()}
    return {**schema, **merged}


def _strict(schema: Any) -> Any:
    """The schema in which every object with named keys refuses other keys."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _strict(item) for name, item in schema.items()}
    if closed.get("type") == "object" and "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


def _sentences(error: ValidationError, parent: str) -> Iterator[str]:
    path = ".".join(part for part in (parent, _path(error)) if part)
    prefix = f"{path}." if path else ""
    rule = str(error.validator)
    expected = cast(Any, error.validator_value)
    value = cast(Any, error.instance)
    if rule in ("anyOf", "oneOf") and error.context:
        yield from _nearest(error, parent)
    elif rule == "additionalProperties":
        known = list(cast(Schema, error.schema)["properties"])
        for name in sorted(set(value) - set(known), key=str):
            yield f"{prefix}{name} is unknown to fc3: {_suggestion(name, sorted(known))}"
    elif rule == "required":
        for name in expected:
            if name not in value:
                yield f"{prefix}{name} is missing."
    elif rule == "type":
        yield f"{path or 'props'} must be {_TYPES[expected if isinstance(expected, str) else expected[0]]}."
    elif rule == "enum" and type(value) is type(expected[0]):
        yield f"{path} is {value!r}: {_suggestion(value, expected)}"
    elif rule in ("minimum", "maximum"):
        yield f"{path} must be at {'least' if rule == 'minimum' else 'most'} {expected} (got {value})."
    elif rule in ("minLength", "minItems"):
        yield f"{path} must not be empty."
    elif rule == "multipleOf":
        yield f"{path} must be a multiple of {expected} (got {value})."
    elif rule != "enum":  # of another type, which is a fault by itself
        yield f"{path}: {error.message}."


def _suggestion(value: object, choices: Iterable[object]) -> str:
    names = [str(choice) for choice in choices]
    near = get_close_matches(str(value), names, 1)
    return f"did you mean {near[0]}?" if near else f"choose one of {', '.join(names)}."


def _nearest(error: ValidationError, parent: str) -> Iterator[str]:
    """The faults of the nearest of several allowed forms: of the right type, with the fewest faults."""
    forms: dict[int, list[ValidationError]] = {}
    for inner in error.context or ():
        forms.setdefault(int(inner.schema_path[0]), []).append(inner)
    same_type = [
        faults
        for faults in forms.values()
        if not any(len(e.path) == 0 and e.validator == "type" for e in faults)
    ]
    if not same_type:
        types = dict.fromkeys(
            str(inner.validator_value) for faults in forms.values() for inner in faults
        )
        yield f"{parent}{_path(error)} must be a {' or a '.join(reversed(types))} (got {error.instance!r})."
        return
    for inner in min(same_type, key=len):
        yield from _sentences(inner, parent)


def _path(error: ValidationError) -> str:
    path = ""
    for part in error.absolute_path:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else str(part)
    return path
