"""Requests as the cases describe them, also those that no client would send, and that `signer` refuses to sign."""

from __future__ import annotations

import json
import re
import secrets
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, NamedTuple

from urllib3.filepost import encode_multipart_formdata

from signer import Credentials, acs3, v4
from signer.times import rfc3339

_VALUE = re.compile(r"\{(?:(?P<name>[a-z]+)(?::(?P<offset>-?\d+))?|(?P<letter>[^{}])\*(?P<count>\d+))\}")
_TABLES: Mapping[str, Any] = {name: {} for name in ("query", "headers", "extra", "fields", "params", "forge")}
_DEFAULTS = {**_TABLES, "method": "GET", "key": "", "body": "", "sign": "url", "as": "", "sub": [], "conditions": []}


class Sent(NamedTuple):
    """A request as it is sent."""

    scheme: str
    host: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Sent({self.method})"


@dataclass(frozen=True)
class Requests:
    """Builds requests with the `values` for braces and the `credentials` by name, of which "" are the run's own."""

    values: dict[str, str]
    credentials: dict[str, Credentials]

    def build(self, case: Mapping[str, Any]) -> Sent:
        """The request of a case, signed now."""
        now = int(time.time())
        request = self._fill({**_DEFAULTS, **case}, now)
        forge, own = request["forge"], self.credentials[request["as"]]
        names = zip(("id", "secret", "token"), own[:3], strict=True)
        credentials = Credentials(*(forge.get(name, value) for name, value in names))
        build = self._sts if request.get("to") == "sts" else self._oss
        return build(request, credentials, now + forge.get("at", 0), now)

    def _fill(self, value: Any, now: int) -> Any:
        """With values for what stands in braces; an offset is in seconds from now."""

        def found(match: re.Match[str]) -> str:
            if match["letter"]:
                return match["letter"] * int(match["count"])
            moment = now + int(match["offset"] or 0)
            times = {"day": v4.timestamp(moment)[:8], "time": rfc3339(moment), "date": formatdate(moment, usegmt=True)}
            return (self.values | times).get(match["name"], match[0])

        if isinstance(value, str):
            return _VALUE.sub(found, value)
        if isinstance(value, Mapping):
            return {self._fill(name, now): self._fill(each, now) for name, each in value.items()}
        return [self._fill(each, now) for each in value] if isinstance(value, list) else value

    def _oss(self, request: dict[str, Any], credentials: Credentials, dated: int, now: int) -> Sent:
        forge, place, method, key = (request[name] for name in ("forge", "sign", "method", "key"))
        bucket, region = self.values[request.get("bucket", "bucket")], self.values["region"]
        host = request.get("host", f"{bucket}.oss-{region}.aliyuncs.com")
        stamp = v4.timestamp(dated)
        scope = v4.scope(stamp[:8], forge.get("region", region), forge.get("product", "oss"))
        signing_key = v4.signing_key(credentials.access_key_secret, *scope.split("/")[:3])
        credential, token = f"{credentials.access_key_id}/{scope}", credentials.security_token
        parts = {"x-oss-date": stamp, **({"x-oss-security-token": token} if token else {})}
        if place == "header":
            parts |= {"x-oss-content-sha256": v4.UNSIGNED_PAYLOAD}
        else:
            parts |= {"x-oss-signature-version": v4.ALGORITHM, "x-oss-credential": credential}
        parts |= {"x-oss-expires": str(forge.get("expires", 600))} if place == "url" else {}
        parts |= forge.get("set", {})
        parts.pop(forge.get("unset"), None)
        headers = {name.lower(): value for name, value in request["headers"].items()}
        if place == "form":
            fields = {"key": key, **request["fields"], **parts}
            conditions = [{name: value} for name, value in {"bucket": bucket, **fields}.items()]
            conditions += map(json.loads, request["conditions"])
            policy = json.dumps({"expiration": rfc3339(now + forge.get("expires", 600)), "conditions": conditions})
            policy = b64encode(request.get("policy", policy).encode()).decode()
            fields |= {**request["extra"], "policy": policy, "x-oss-signature": v4.signature(signing_key, policy)}
            lines = _changed({**fields, "file": request["body"]}, request)
            pairs = [(name, ("f.txt", value, "text/plain") if name == "file" else value) for name, value in lines]
            body, headers["content-type"] = encode_multipart_formdata(pairs)
            return Sent("https", host, "POST", "/", headers, body)
        query = request["query"] | (parts if place == "url" else {})
        encoded = v4.canonical_query([v4.canonical_parameter(*pair) for pair in query.items()])
        headers |= parts if place == "header" else {}
        path = v4.canonical_path(forge.get("bucket", bucket), v4.encode_key(forge.get("key", key))) if bucket else "/"
        signed = v4.canonical_headers({name: value for name, value in headers.items() if v4.is_always_signed(name)})
        canonical = v4.canonical_request(forge.get("method", method), path, encoded, signed, "")
        signature = v4.signature(signing_key, v4.string_to_sign(stamp, scope, canonical))
        target = f"/{v4.encode_key(key)}{'?' if encoded else ''}{encoded}"
        if place == "header":
            headers["authorization"] = f"{v4.ALGORITHM} Credential={credential},Signature={signature}"
            headers = dict(_changed(headers, request))
        elif place == "url":
            ((target, _),) = _changed({f"{target}&x-oss-signature={signature}": ""}, request)
        headers |= {name.lower(): value for name, value in request["extra"].items()}
        return Sent(request.get("scheme", "https"), host, method, target, headers, request["body"].encode())

    def _sts(self, request: dict[str, Any], credentials: Credentials, dated: int, now: int) -> Sent:
        host, nonce = self.values["stshost"], secrets.token_hex(16)
        params = {"RoleArn": self.values["role"], "RoleSessionName": "fcp-live", **request["params"]}
        call = acs3.sign_call(host, "AssumeRole", "2015-04-01", params, credentials=credentials, now=dated, nonce=nonce)
        target = call.url.removeprefix(f"https://{host}")
        return Sent("https", host, call.method, target, {**call.headers, **request["extra"]})


def _changed(pairs: Mapping[str, str], request: Mapping[str, Any]) -> list[tuple[str, str]]:
    """After the substitutions of a case in the lines `name: value`, or in the target, which has no value."""
    lines = "\n".join(f"{name}: {value}" if value else name for name, value in pairs.items())
    for pattern, replacement in zip(request["sub"][::2], request["sub"][1::2], strict=True):
        lines = re.sub(pattern, replacement, lines)
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines.split("\n") if line)]
