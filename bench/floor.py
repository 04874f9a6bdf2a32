"""The least that any function does for an event: it reads JSON, makes one HMAC, and writes JSON. It serves nobody."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from typing import Any

SECRET = b"an-example-of-a-secret"


def on_http(event: bytes, context: Any) -> dict[str, object]:
    request = json.loads(event)
    path = request["rawPath"]
    signature = hmac.new(SECRET, path.encode(), hashlib.sha256).hexdigest()
    line = {"request_id": context.request_id, "path": path, "status": 302}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    headers = {"Location": f"{path}?signature={signature}"}
    return {"statusCode": 302, "headers": headers, "isBase64Encoded": False, "body": ""}
