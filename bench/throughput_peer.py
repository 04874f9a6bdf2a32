"""The same function written with Flask and oss2 for the custom runtime, for comparison by `throughput`.

It does only what ours does for a plain redirect: credentials from the request's headers, a client that is reused while
they stay the same, a link of 15 minutes with signature V4, one JSON line in the log, and the headers that keep a link
private.
"""

from __future__ import annotations

import json
import os
import time
from functools import lru_cache

import flask
import oss2

REGION = os.environ["LINK_REGION"]
BUCKET = os.environ["LINK_BUCKET"]
EXPIRES = 900  # seconds

app = flask.Flask(__name__, static_folder=None)


@lru_cache(1)
def bucket(key_id: str, secret: str, token: str) -> oss2.Bucket:
    """The client of these credentials, reused until they change."""
    auth = oss2.StsAuth(key_id, secret, token, auth_version=oss2.AUTH_VERSION_4)
    return oss2.Bucket(auth, f"https://oss-{REGION}.aliyuncs.com", BUCKET, region=REGION)


@app.get("/exampledir/<path:name>")
def link(name: str) -> flask.Response:
    began = time.perf_counter()
    key = f"exampledir/{name}"
    parts = ("access-key-id", "access-key-secret", "security-token")
    client = bucket(*(flask.request.headers[f"x-fc-{part}"] for part in parts))
    response = flask.Response(status=302)
    response.headers["Location"] = client.sign_url("GET", key, EXPIRES, slash_safe=True)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    line = {
        "request_id": flask.request.headers.get("x-fc-request-id"),
        "method": flask.request.method,
        "path": flask.request.path,
        "key": key,
        "status": 302,
        "milliseconds": round((time.perf_counter() - began) * 1000, 3),
    }
    print(json.dumps(line), flush=True)
    return response
