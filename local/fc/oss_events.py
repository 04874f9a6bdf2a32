"""The events of `oss` triggers: which new objects a trigger matches, and the event that it sends."""

from __future__ import annotations

import hashlib
import json
import secrets

from signer.emulator.oss import CreatedObject
from signer.emulator.ram import ACCOUNT
from signer.times import rfc3339

from .functions import Function, Trigger


def matches(trigger: Trigger, created: CreatedObject) -> bool:
    """Whether a trigger's bucket, filter and events cover a new object."""
    if trigger.kind != "oss" or trigger.bucket not in ("", created.bucket):
        return False
    key = trigger.config.get("filter", {}).get("key", {})
    if not created.key.startswith(key.get("prefix") or "") or not created.key.endswith(
        key.get("suffix") or ""
    ):
        return False
    name = f"oss:{created.event_name}"
    events = trigger.config.get("events") or ()
    return any(
        name.startswith(event[:-1]) if event.endswith("*") else name == event for event in events
    )


def object_created(
    function: Function, trigger: Trigger, created: CreatedObject, now: float
) -> bytes:
    """The native event of one new object; its key is not URL-encoded there."""
    record = {
        "eventName": created.event_name,
        "eventSource": "acs:oss",
        "eventTime": rfc3339(now).replace("Z", ".000Z"),
        "eventVersion": "1.0",
        "oss": {
            "bucket": {
                "arn": f"acs:oss:{function.region}:{ACCOUNT}:{created.bucket}",
                "name": created.bucket,
                "ownerIdentity": ACCOUNT,
                "virtualBucket": "",
            },
            "object": {
                "deltaSize": created.size,
                "eTag": created.etag,
                "key": created.key,
                "size": created.size,
            },
            "ossSchemaVersion": "1.0",
            "ruleId": hashlib.sha256(trigger.name.encode()).hexdigest()[:32],
        },
        "region": function.region,
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"requestId": secrets.token_hex(12).upper()},
        "userIdentity": {"principalId": ACCOUNT},
    }
    return json.dumps({"events": [record]}, ensure_ascii=False).encode()
