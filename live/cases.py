"""The cases in `live/cases/`, in the order of the files' names, and the requests that they become: see docs/live.md.

`signer` refuses to sign most of them, and no client would send them.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from itertools import combinations, product
from pathlib import Path
from typing import Any, NamedTuple

from urllib3.filepost import encode_multipart_formdata

from signer import Credentials, acs3, v1, v4
from signer.times import rfc3339

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_VALUE = re.compile(
    r"\{(?:(?P<name>[a-z]+)(?::(?P<offset>-?\d+))?|(?P<letter>[^{}])\*(?P<count>\d+))\}"
)
_TABLES: Mapping[str, Any] = {
    name: {} for name in ("query", "headers", "extra", "fields", "params", "forge")
}
_DEFAULTS = {
    **_TABLES,
    "method": "GET",
    "key": "",
    "body": "",
    "sign": "url",
    "as": "",
    "sub": [],
    "conditions": [],
}


class Case(NamedTuple):
    """`settles` is what its answer tells, `is_open` if the documents do not, `only_live` if the local OSS has a 501."""

    name: str
    settles: str
    request: Mapping[str, Any]
    is_open: bool
    only_live: bool


def load(*parts: str) -> list[Case]:
    """The cases of all files but sts and kms, unless they are asked for; names are `file/group/case`."""
    files = sorted(Path(__file__).with_name("cases").glob("*.toml"))
    return [
        case for path in files if path.stem not in {"sts", "kms"} - {*parts} for case in _read(path)
    ]


def read_toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _read(path: Path) -> Iterator[Case]:
    for group, table in read_toml(path).items():
        common = {name: table.pop(name, "") for name in ("settles", "open", "only")} | table.pop(
            "request"
        )
        methods = table.pop("methods", [common.get("method", "GET")])
        has_pairs = table.pop("pairs", False)
        requests = dict(pair for name, value in table.items() for pair in _varied(name, value))
        if has_pairs:
            requests |= {
                f"{a}+{b}": _merge(requests[a], requests[b]) for a, b in combinations(requests, 2)
            }
        for method, (case, own) in product(methods, requests.items()):
            request = _merge({**common, "method": method}, own)
            settles, is_open, only = (request.pop(name) for name in ("settles", "open", "only"))
            name = "/".join([path.stem, group, case, *([method] if len(methods) > 1 else [])])
            yield Case(
                name=name,
                settles=settles,
                request=request,
                is_open=bool(is_open),
                only_live=only == "live",
            )


def _varied(name: str, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """A named request, or one for each value that a list has for this part of it."""
    for each in value if isinstance(value, list) else []:
        label = str(each if isinstance(each, dict) else {name: each})
        yield (
            re.sub(r"[{}\[\]'\" ]|: ?$", "", label.replace(": ", "=")).rstrip("=") or "plain",
            {name: each},
        )
    if isinstance(value, dict):
        yield name, value


def _merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged; of other values the second counts."""
    shared = [name for name in one if isinstance(one[name], dict) and name in other]
    return {**one, **other, **{name: _merge(one[name], other[name]) for name in shared}}


class Sent(NamedTuple):
    """A request as it is sent."""

    origin: str
    host: str
    target: str
    method: str
    headers: Mapping[str, str]
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Sent({self.method})"


def build(
    case: Mapping[str, Any], values: Mapping[str, str], sessions: Mapping[str, Credentials]
) -> Sent:
    """The request of a case, signed now, with `values` for braces; the session "" is the key of the run."""
    now = int(time.time())
    request = _fill({**_DEFAULTS, **case}, now, values)
    names = zip(("id", "secret", "token"), sessions[request["as"]][:3], strict=True)
    credentials = Credentials(*(request["forge"].get(name, value) for name, value in names))
    return (_sts if request.get("to") == "sts" else _oss)(request, credentials, now, values)


def _fill(request: Mapping[str, Any], now: int, values: Mapping[str, str]) -> Any:
    """With values for what stands in braces; an offset is in seconds from now."""

    def found(match: re.Match[str]) -> str:
        moment = now + int(match["offset"] or 0)
        times = {
            "day": v4.timestamp(moment)[:8],
            "time": rfc3339(moment),
            "date": formatdate(moment, usegmt=True),
        }
        value = (
            match["letter"] * int(match["count"])
            if match["letter"]
            else {**values, **times}.get(match["name"])
        )
        return match[0] if value is None else json.dumps(value, ensure_ascii=False)[1:-1]

    return json.loads(_VALUE.sub(found, json.dumps(request, ensure_ascii=False)))


def _oss(
    request: Mapping[str, Any], credentials: Credentials, now: int, values: Mapping[str, str]
) -> Sent:
    forge, place, method, key = (request[name] for name in ("forge", "sign", "method", "key"))
    bucket = values[request.get("bucket", "bucket")]
    region = values["region"]
    host = request.get("host", f"{bucket}.oss-{region}.aliyuncs.com")
    stamp = v4.timestamp(now + forge.get("at", 0))
    scope = v4.scope(stamp[:8], forge.get("region", region), forge.get("product", "oss"))
    signing_key = v4.signing_key(credentials.access_key_secret, *scope.split("/")[:3])
    credential = f"{credentials.access_key_id}/{scope}"
    parts = {"x-oss-date": stamp, "x-oss-security-token": credentials.security_token or ""}
    common = {"x-oss-signature-version": v4.ALGORITHM, "x-oss-credential": credential}
    parts |= {"x-oss-content-sha256": v4.UNSIGNED_PAYLOAD} if place == "header" else common
    if place == "url":
        parts["x-oss-expires"] = str(forge.get("expires", 600))
    parts |= forge.get("set", {})
    parts = {
        n: value
        for n, value in parts.items()
        if n != forge.get("unset") and (value or n in forge.get("set", {}))
    }
    headers = {name.lower(): value for name, value in request["headers"].items()}
    if place == "form":
        fields = {"key": key, **request["fields"], **parts}
        conditions = [{name: value} for name, value in {"bucket": bucket, **fields}.items()]
        conditions += map(json.loads, request["conditions"])
        document = {
            "expiration": rfc3339(now + forge.get("expires", 600)),
            "conditions": conditions,
        }
        policy = b64encode(request.get("policy", json.dumps(document)).encode()).decode()
        fields |= {
            **request["extra"],
            "policy": policy,
            "x-oss-signature": v4.signature(signing_key, policy),
        }
        lines = _changed({**fields, "file": request["body"]}, request)
        pairs = [
            (name, ("f.txt", value, "text/plain") if name == "file" else value)
            for name, value in lines
        ]
        body, headers["content-type"] = encode_multipart_formdata(pairs)
        return Sent(
            origin=f"https://{host}",
            host=host,
            target="/",
            method="POST",
            headers=headers,
            body=body,
        )
    query = request["query"] | (parts if place == "url" else {})
    if place == "v1":
        query |= {v1.TOKEN: credentials.security_token} if credentials.security_token else {}
        expires = str(now + forge.get("expires", 600))
        resource = v1.canonicalized_resource(bucket, key, query.items())
        signed = v1.string_to_sign(method, headers, expires, resource)
        values_of_v1 = (
            credentials.access_key_id,
            expires,
            v1.signature(credentials.access_key_secret, signed),
        )
        query |= dict(zip(v1.REQUIRED, values_of_v1, strict=True))
    encoded = v4.canonical_query([v4.canonical_parameter(*pair) for pair in query.items()])
    headers |= parts if place == "header" else {}
    path = v4.canonical_path(bucket, v4.encode_key(forge.get("key", key))) if bucket else "/"
    additional = query.get("x-oss-additional-headers", "")
    names = {name for name in headers if v4.is_always_signed(name) or name in additional.split(";")}
    signed = v4.canonical_headers({name: headers[name] for name in names})
    ((in_query, _),) = _changed({encoded: ""}, forge) if forge.get("sub") else ((encoded, ""),)
    canonical = v4.canonical_request(
        forge.get("method", method), path, in_query, signed, additional
    )
    signature = v4.signature(signing_key, v4.string_to_sign(stamp, scope, canonical))
    target = f"/{v4.encode_key(key)}{'?' if encoded else ''}{encoded}"
    if place == "header":
        headers["authorization"] = f"{v4.ALGORITHM} Credential={credential},Signature={signature}"
        headers = dict(_changed(headers, request))
    elif place == "url":
        ((target, _),) = _changed({f"{target}&x-oss-signature={signature}": ""}, request)
    headers |= {name.lower(): value for name, value in request["extra"].items()}
    return Sent(
        origin=f"{request.get('scheme', 'https')}://{host}",
        host=host,
        target=target,
        method=method,
        headers=headers,
        body=request["body"].encode(),
    )


def _sts(
    request: Mapping[str, Any], credentials: Credentials, now: int, values: Mapping[str, str]
) -> Sent:
    host = values["stshost"]
    params = {"RoleArn": values["role"], "RoleSessionName": "fcp-live", **request["params"]}
    options = {"now": now + request["forge"].get("at", 0), "nonce": secrets.token_hex(16)}
    call = acs3.sign_call(
        host, "AssumeRole", "2015-04-01", params, credentials=credentials, **options
    )
    headers = {**call.headers, **request["extra"]}
    return Sent(
        origin=f"https://{host}",
        host=host,
        target=call.url.partition(host)[2],
        method=call.method,
        headers=headers,
    )


def _changed(pairs: Mapping[str, str], request: Mapping[str, Any]) -> list[tuple[str, str]]:
    """After the substitutions of a case in the lines `name: value`, or in the target, which has no value."""
    lines = "\n".join(f"{name}: {value}" if value else name for name, value in pairs.items())
    for pattern, replacement in zip(request["sub"][::2], request["sub"][1::2], strict=True):
        lines = re.sub(pattern, replacement, lines)
    return [
        (name, value)
        for name, _, value in (line.partition(": ") for line in lines.split("\n") if line)
    ]
