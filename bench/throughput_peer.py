"""The same function written with Flask and oss2 for the custom runtime, for comparison by `throughput`.

It does only what ours does for a plain redirect: credentials from the request's headers, a client that is reused while
they stay the same, a link of 15 minutes with signature V4, one JSON line in the log, and the headers that keep a link
private.
"""

from __future__ import annotations

import json
import os
import time

import flask
import oss2

REGION, BUCKET = os.environ["LINK_REGION"], os.environ["LINK_BUCKET"]
EXPIRES = 900  # seconds

app = flask.Flask(__name__, static_folder=None)
_buckets: dict[str, oss2.Bucket] = {}


def bucket() -> oss2.Bucket:
    """The client of these credentials, reused until they change."""
    headers = flask.request.headers
    token = headers["x-fc-security-token"]
    client = _buckets.get(token)
    if client is None:
        auth = oss2.StsAuth(
            headers["x-fc-access-key-id"],
            headers["x-fc-access-key-secret"],
            token,
            auth_version=oss2.AUTH_VERSION_4,
        )
        endpoint = f"https://oss-{REGION}.aliyuncs.com"
        _buckets.clear()
        client = _buckets[token] = oss2.Bucket(auth, endpoint, BUCKET, region=REGION)
    return client


@app.get("/exampledir/<path:name>")
def link(name: str) -> flask.Response:
    """Redirects to a new link."""
    began = time.perf_counter()
    key = f"exampledir/{name}"
    response = flask.Response(status=302)
    response.headers["Location"] = bucket().sign_url("GET", key, EXPIRES, slash_safe=True)
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
