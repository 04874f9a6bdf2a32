"""The same event function written by hand with alibabacloud-oss-v2, for comparison by `notices`.

It signs a link for each new object of an OSS event and writes them as one object of lines of JSON, which must not exist
yet. It leaves out what ours also does: rules and mounts, other sources and sinks, deadlines, retries after a lost
response, the look whether an earlier delivery wrote the object, and a summary.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import sys
import time
from typing import Any

import alibabacloud_oss_v2 as oss

from .peer import client_for

EXPIRES = datetime.timedelta(seconds=900)


def on_event(event: bytes, context: Any) -> dict[str, object]:
    began = time.perf_counter()
    client = client_for(context)
    bucket = os.environ["LINK_BUCKET"]
    ids, lines = [], []
    for record in json.loads(event)["events"]:
        member = record["oss"]["object"]
        key = member["key"]
        presigned = client.presign(oss.GetObjectRequest(bucket=bucket, key=key), expires=EXPIRES)
        expiration = presigned.expiration or datetime.datetime.now(datetime.timezone.utc)
        notice_id = "notice_" + hashlib.sha256(f"{bucket}/{key}/{member['eTag']}".encode()).hexdigest()[:32]
        ids.append(notice_id)
        notice = {
            "id": notice_id,
            "on": "created",
            "give": "link",
            "mount": "/outbox/",
            "path": f"/{key}",
            "bucket": bucket,
            "key": key,
            "size": member["size"],
            "mark": member["eTag"],
            "happened_at": record["eventTime"],
            "url": presigned.url,
            "expires_at": expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        lines.append(json.dumps(notice))
    name = hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:32]
    day = time.strftime("%Y/%m/%d", time.gmtime())
    client.put_object(
        oss.PutObjectRequest(
            bucket=bucket,
            key=f".links/notices/{day}/{name}.jsonl",
            body="\n".join(lines).encode(),
            content_type="application/x-ndjson",
            forbid_overwrite=True,
        )
    )
    line = {"request_id": context.request_id, "notices": len(lines)}
    sys.stdout.write(json.dumps({**line, "milliseconds": round((time.perf_counter() - began) * 1000, 3)}) + "\n")
    sys.stdout.flush()
    return {"notices": len(lines)}
