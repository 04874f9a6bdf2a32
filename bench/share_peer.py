"""A share page as a good engineer writes it in an afternoon, with Flask, itsdangerous and oss2, for `pages`.

It does what ours does for the requests that are measured, with as many requests to OSS: the secret of the tokens is a
document in OSS that is read once per process, and the object's size comes from a HEAD. A person who opens a plain path
gets a redirect if the object exists, otherwise a page.

It leaves out what ours also has: the download itself, keys that rotate, revocation, retried requests, a QR code,
Chinese, file types, a Content-Security-Policy, conditional reads of the keys, and an audit line without a token.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from functools import cache, lru_cache
from typing import Any
from urllib.parse import unquote, urlencode

import flask
import itsdangerous
import oss2

SECRET_KEY = ".links/secret.json"
USES = ".links/uses/"
EXPIRES = 900  # seconds

# The page of a share, or of a problem, which has a sentence.
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{ title }}</title>
<style>
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1rem/1.5 system-ui, sans-serif; background: #f4f5f8; }
main { width: 100%; max-width: 32rem; padding: 2rem; background: #fff; border: 1px solid #d5dae3; border-radius: .9rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.25rem; }
dd { margin: 0; }
button { width: 100%; padding: .8rem; border: 0; border-radius: .5rem; background: #1256c4; color: #fff; font: inherit; }
</style>
</head>
<body><main>
<h1>{{ title }}</h1>
{% if sentence %}<p>{{ sentence }}</p>{% else %}
<dl>
<dt>Size</dt><dd>{{ size|filesizeformat }}</dd>
<dt>Available until</dt><dd>{{ expires }}</dd>
{% if uses_left is not none %}<dt>Downloads left</dt><dd>{{ uses_left }}</dd>{% endif %}
</dl>
<form method="post"><button>Download</button></form>
{% endif %}
</main></body>
</html>
"""  # noqa: E501

app = flask.Flask(__name__, static_folder=None)


def bucket() -> oss2.Bucket:
    credentials = flask.request.environ["fc.context"].credentials
    return _bucket(credentials.access_key_id, credentials.access_key_secret, credentials.security_token)


@lru_cache(1)
def _bucket(*credentials: str) -> oss2.Bucket:
    """The client of the invocation's credentials, reused until they change."""
    auth = oss2.StsAuth(*credentials, auth_version=oss2.AUTH_VERSION_4)
    region = os.environ["LINK_REGION"]
    endpoint = os.environ.get("LINK_OSS_ENDPOINT", f"https://oss-{region}.aliyuncs.com")
    return oss2.Bucket(auth, endpoint, os.environ["LINK_BUCKET"], region=region)


@cache
def serializer() -> itsdangerous.URLSafeSerializer:
    secret = json.loads(bucket().get_object(SECRET_KEY).read())["secret"]
    return itsdangerous.URLSafeSerializer(secret, salt="share")


def read_token(token: str, path: str) -> dict[str, Any]:
    """The content of a token for this path; another one is a 404, an expired one a 410."""
    try:
        share: dict[str, Any] = serializer().loads(token)
    except itsdangerous.BadSignature:
        flask.abort(404)
    if share["path"] != path:
        flask.abort(404)
    if time.time() >= share["expires_at"]:
        flask.abort(410)
    return share


def uses_left(share: dict[str, Any]) -> int | None:
    if share["max_uses"] is None:
        return None
    used = sum(1 for _ in oss2.ObjectIterator(bucket(), prefix=f"{USES}{share['id']}/"))
    if used >= share["max_uses"]:
        flask.abort(410)
    return int(share["max_uses"]) - used


def size_of(key: str) -> int:
    try:
        return int(bucket().head_object(key).content_length)
    except oss2.exceptions.NotFound:
        flask.abort(404)


@app.get("/exampledir/<path:name>")
def show(name: str) -> Any:
    key = f"exampledir/{name}"
    token = flask.request.args.get("share")
    if token is None:
        size_of(key)
        return flask.redirect(bucket().sign_url("GET", key, EXPIRES, slash_safe=True))
    share = read_token(token, f"/{key}")
    return flask.render_template_string(
        PAGE,
        title=name.rpartition("/")[2],
        size=size_of(key),
        expires=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(share["expires_at"])),
        uses_left=uses_left(share),
    )


@app.errorhandler(404)
@app.errorhandler(410)
def problem(error: Any) -> Any:
    sentence = "Ask the sender for a new link."
    return flask.render_template_string(PAGE, title=error.name, sentence=sentence), error.code


@app.after_request
def finish(response: flask.Response) -> flask.Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    request = flask.request
    line = {"method": request.method, "path": request.path, "status": response.status_code}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    return response


def on_http(event: bytes, context: Any) -> dict[str, object]:
    request = json.loads(event)
    http = request["requestContext"]["http"]
    body = request["body"].encode()
    environ = {
        "REQUEST_METHOD": http["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(request["rawPath"], "latin-1"),
        "QUERY_STRING": urlencode(request["queryParameters"]),
        "SERVER_NAME": request["requestContext"]["domainName"],
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "fc.context": context,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request["headers"].items()},
    }
    with app.request_context(environ):
        response = app.full_dispatch_request()
        body = response.get_data(as_text=True)
    headers = dict(response.headers)
    return {"statusCode": response.status_code, "headers": headers, "isBase64Encoded": False, "body": body}
