"""Requests as the cases describe them, also those that no client would send, and that `signer` refuses to sign.

Braces in a case stand for values: `{bucket}`, `{other}` (a bucket that does not exist), `{region}`, `{role}`, what a
case kept, `{a*1024}` for so many letters, and `{stamp:-60}`, `{time:-60}`, `{date:-60}` for times, in seconds from now.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, NamedTuple

from signer import Credentials, acs3, v4
from signer.times import rfc3339

_VALUE = re.compile(r"\{(?:(?P<name>[a-z]+)(?::(?P<offset>-?\d+))?|(?P<letter>[^{}])\*(?P<count>\d+))\}")
_TIMES: Mapping[str, Callable[[int], str]] = {
    "stamp": v4.timestamp,
    "time": lambda now: rfc3339(now).replace("Z", ".000Z"),
    "date": lambda now: formatdate(now, usegmt=True),
}
_BOUNDARY = "fcp-live-boundary"

Pairs = list[tuple[str, str]]


class Sent(NamedTuple):
    """A request as it is sent; `service` is oss or sts, and `secrets` are what of it must never be shown."""

    service: str
    scheme: str
    host: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Sent({self.service}, {self.method})"


class Signature:
    """What signs one request: credentials and scope, or what a case forges in their place."""

    def __init__(self, forge: Mapping[str, Any], credentials: Credentials, region: str, issued: int) -> None:
        key_id, secret, token = (
            forge.get(name, value) for name, value in zip(("id", "secret", "token"), credentials[:3], strict=True)
        )
        self.forge, self.credentials = forge, Credentials(key_id, secret, token or None)
        self.stamp = v4.timestamp(issued + forge.get("at", 0))
        self.scope = v4.scope(self.stamp[:8], forge.get("region", region), forge.get("product", "oss"))
        self._key = v4.signing_key(secret, *self.scope.split("/")[:3])

    def parts(self, **more: str) -> dict[str, str]:
        """The parameters, headers or fields of the signature, with what the case sets and without what it unsets."""
        parts = {f"x-oss-{name.replace('_', '-')}": value for name, value in more.items() if value}
        if self.credentials.security_token:
            parts["x-oss-security-token"] = self.credentials.security_token
        parts |= {"x-oss-date": self.stamp, **self.forge.get("set", {})}
        return {name: value for name, value in parts.items() if name not in self.forge.get("unset", [])}

    @property
    def credential(self) -> str:
        return f"{self.credentials.access_key_id}/{self.scope}"

    def sign(
        self, request: Mapping[str, Any], headers: Mapping[str, str], query: str, additional: Sequence[str]
    ) -> str:
        """The signature of a request with these headers, of which those that must be and the additional are signed."""
        told = {**request, **self.forge}
        signed = {n: value for n, value in headers.items() if n in additional or v4.is_always_signed(n)}
        canonical = v4.canonical_request(
            told["method"],
            v4.canonical_path(told["bucket"], v4.encode_key(told["key"])),
            query,
            v4.canonical_headers(signed),
            v4.additional_headers(additional),
        )
        return self.sign_string(v4.string_to_sign(headers.get("x-oss-date", self.stamp), self.scope, canonical))

    def sign_string(self, string: str) -> str:
        return v4.signature(self._key, string)


@dataclass(frozen=True)
class Requests:
    """Builds requests with the `values` for braces and the `credentials` by name, of which "" are the run's own."""

    region: str
    values: dict[str, str]
    credentials: dict[str, Credentials]

    def build(self, case: Mapping[str, Any], now: float | None = None) -> Sent:
        """The request of a case, signed at `now` (Unix seconds)."""
        issued = int(time.time() if now is None else now)
        request = {
            "method": "GET",
            "key": "",
            "query": {},
            "headers": {},
            "body": "",
            "extra": {},
            "sign": "url",
            **case,
        }
        request = self._fill(request, issued)
        signature = Signature(request.get("forge", {}), self.credentials[request.get("as", "")], self.region, issued)
        sent = (self._sts if request.get("to") == "sts" else self._oss)(request, signature, issued)
        signatures = re.findall(r"[0-9a-f]{64}", f"{sent.target} {sent.headers} {sent.body!r}")
        return sent._replace(secrets=(*filter(None, signature.credentials[:3]), *signatures))

    def _fill(self, value: Any, issued: int) -> Any:
        def found(match: re.Match[str]) -> str:
            if match["letter"]:
                return match["letter"] * int(match["count"])
            if match["name"] in _TIMES:
                return _TIMES[match["name"]](issued + int(match["offset"] or 0))
            return self.values.get(match["name"], match[0])

        if isinstance(value, str):
            return _VALUE.sub(found, value)
        if isinstance(value, Mapping):
            return {self._fill(name, issued): self._fill(each, issued) for name, each in value.items()}
        return [self._fill(each, issued) for each in value] if isinstance(value, list) else value

    def _oss(self, request: dict[str, Any], signature: Signature, issued: int) -> Sent:
        request["bucket"] = self.values[request.get("bucket", "bucket")]
        host = request.get("host", f"{request['bucket']}.oss-{self.region}.aliyuncs.com")
        target, body = f"/{v4.encode_key(request['key'])}", request["body"].encode()
        headers = {name.lower(): value for name, value in request["headers"].items()}
        additional = [name.lower() for name in request.get("additional", [])]
        names = v4.additional_headers(additional)
        parts, form = dict[str, str](), list[tuple[str, str]]()
        if request["sign"] == "header":
            parts = signature.parts(content_sha256=v4.UNSIGNED_PAYLOAD)
        elif request["sign"] == "url":
            expires = str(signature.forge.get("expires", 600))
            parts = signature.parts(
                signature_version=v4.ALGORITHM,
                credential=signature.credential,
                expires=expires,
                additional_headers=names,
            )
        query = {**request["query"], **(parts if request["sign"] == "url" else {})}
        encoded = v4.canonical_query([v4.canonical_parameter(*pair) for pair in query.items()])
        if request["sign"] == "form":
            form = _substituted([*self._fields(request, signature, issued), ("file", request["body"])], request)
            body = _multipart(form, request)
            headers = {"content-type": f"multipart/form-data; boundary={_BOUNDARY}", **headers}
            target, request["method"] = "/", "POST"
        available = {"host": host, "content-length": str(len(body)), **headers}
        if request["sign"] == "header":
            made = signature.sign(request, available | parts, encoded, additional)
            listed = f"AdditionalHeaders={names}," if names else ""
            value = f"{v4.ALGORITHM} Credential={signature.credential},{listed}Signature={made}"
            headers = dict(_substituted([*(headers | parts | {"authorization": value}).items()], request))
        elif request["sign"] == "url":
            encoded += f"&x-oss-signature={signature.sign(request, available, encoded, additional)}"
        target = "?".join(filter(None, (target, encoded)))
        if request["sign"] in ("url", "none"):
            ((target, _),) = _substituted([(target, "")], request)
        headers |= {name.lower(): value for name, value in request["extra"].items()} if not form else {}
        scheme = request.get("scheme", "https")
        return Sent("oss", scheme, host, request["method"], target, headers, body)

    def _fields(self, request: Mapping[str, Any], signature: Signature, issued: int) -> Pairs:
        """The fields of a form: each is a condition of its policy, but for those of `extra`."""
        fields = {"key": request["key"], **request.get("fields", {})}
        fields |= signature.parts(signature_version=v4.ALGORITHM, credential=signature.credential)
        conditions = [{"bucket": request["bucket"]}, *({name: value} for name, value in fields.items())]
        document = {
            "expiration": _TIMES["time"](issued + signature.forge.get("expires", 600)),
            "conditions": conditions,
        }
        document["conditions"] = [*conditions, *map(json.loads, request.get("conditions", []))]
        policy = b64encode(request.get("policy", json.dumps(document)).encode()).decode()
        return [
            *{**fields, "policy": policy, "x-oss-signature": signature.sign_string(policy), **request["extra"]}.items()
        ]

    def _sts(self, request: Mapping[str, Any], signature: Signature, issued: int) -> Sent:
        host = self.values["stshost"]
        call = acs3.sign_call(
            host,
            request.get("action", "AssumeRole"),
            "2015-04-01",
            {"RoleArn": self.values["role"], "RoleSessionName": "fcp-live", **request.get("params", {})},
            credentials=signature.credentials,
            now=issued + signature.forge.get("at", 0),
            nonce=secrets.token_hex(16),
        )
        headers = dict(_substituted([*call.headers.items()], request)) | request["extra"]
        return Sent("sts", "https", host, call.method, call.url.removeprefix(f"https://{host}"), headers, b"")


def _substituted(pairs: Pairs, request: Mapping[str, Any]) -> Pairs:
    """After the substitutions of a case in the lines `name: value`, or the line of the target, which has no value."""
    lines = "\n".join(f"{name}: {value}" if value else name for name, value in pairs)
    changes = request.get("sub", [])
    for pattern, replacement in zip(changes[::2], changes[1::2], strict=True):
        lines = re.sub(pattern, replacement, lines)
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines.split("\n") if line)]


def _multipart(fields: Pairs, request: Mapping[str, Any]) -> bytes:
    parts = []
    for name, value in fields:
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
        head += f'; filename="f.txt"\r\nContent-Type: {request.get("type", "text/plain")}' if name == "file" else ""
        parts.append(f"{head}\r\n\r\n{value}\r\n")
    return "".join([*parts, f"--{_BOUNDARY}--\r\n"]).encode()
