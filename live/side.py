"""The two that answer: the local OSS and OSS. Each has its own sessions and kept values, and gets the same requests."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

from handler.cloud.http_client import Connections, HttpResponse
from local import oss, sts
from local.ram import Principal, Principals
from local.server import listen, serve
from signer import Credentials, SignerError
from signer.sts import read_assumed_role, sts_host

from . import answers, plan
from .cases import Case
from .signing import Requests

MAX_REQUESTS, MAX_BYTES, FOR_CLEANUP = 1000, 5_000_000, 200  # of a run; requests that the clean-up may need
PAUSES: tuple[float, ...] = (1, 2, 4)  # seconds before each further try
TIMEOUT: tuple[float, float] = (5, 15)  # seconds to connect, and to wait for more bytes


class LiveError(Exception):
    """A run that cannot start or go on; its text is a sentence."""


@dataclass
class Side:
    """`origins` replace the addresses of oss and sts; `secrets` are those that the run has seen."""

    requests: Requests
    secrets: set[str]
    origins: Mapping[str, str]
    limit: int = MAX_REQUESTS - FOR_CLEANUP
    sent: int = 0
    bytes: int = 0
    digests: set[str] = field(default_factory=set)
    _connections: Connections = field(default_factory=Connections)

    def ask(self, request: Mapping[str, Any], name: str = "set-up") -> HttpResponse:
        """The answer to a request. Raises `OSError` or `HTTPException` if none came, and `LiveError` at the limits."""
        sent, values = self.requests.build(request), self.requests.values
        service, own = request.get("to", "oss"), f"/{values['bucket']}/"
        is_own = service == "sts" or sent.host.partition(".")[0] in (values["bucket"], values["other"])
        is_own &= sent.headers.get("x-oss-copy-source", own).startswith(own)
        if not is_own and not request.get("is_service"):
            raise LiveError(f"{name} is not sent: it is for another bucket than that of the run.")
        self.secrets.update(re.findall(r"[0-9a-f]{64}", f"{sent.target} {sent.headers} {sent.body!r}"))
        self.digests.add(hashlib.md5(sent.body, usedforsecurity=False).hexdigest().upper())
        url = self.origins.get(service, f"{sent.scheme}://{sent.host}") + sent.target
        headers = {"host": sent.host, "user-agent": f"fc-presign live ({quote(name, safe='/=')})", **sent.headers}
        body = sent.body or None
        for pause in (*PAUSES, None):
            if self.sent >= self.limit or self.bytes > MAX_BYTES:
                raise LiveError("The run has reached its limit of requests or bytes.")
            self.sent += 1
            self.bytes += len(url) + len(sent.body)
            with suppress(*() if pause is None else (OSError, HTTPException)):
                response = self._connections.send(sent.method, url, headers, body, timeout=TIMEOUT, max_body=1 << 20)
                self.bytes += len(response.body)
                if response.status not in (500, 502, 503, 504) or pause is None:
                    self.secrets |= answers.secrets_of(response) - {request.get("forge", {}).get("id")}
                    return response
            time.sleep(pause or 0)
        raise AssertionError

    def answer(self, case: Case) -> answers.Answer | None:
        """What is kept of the answer to a case; of a race the answers, sorted. None if none came."""
        times, values, sessions = case.request.get("race", 1), self.requests.values, self.requests.credentials
        if case.request.get("as", "") not in sessions:
            return None
        try:
            with ThreadPoolExecutor(times) as pool:
                responses = list(pool.map(lambda _: self.ask(case.request, case.name), range(times)))
        except (OSError, HTTPException):
            return None
        for name, source in case.request.get("keep", {}).items():
            values[name] = answers.value_of(responses[0], source)
        with suppress(SignerError):
            if name := case.request.get("session"):
                sessions[name] = read_assumed_role(responses[0].status, responses[0].body).credentials
                self.secrets.update(filter(None, sessions[name][:3]))
        known = {value: name for name, value in values.items()} | {case.request.get("key", ""): "key"}
        kept = [answers.keep(response, known, self.digests) for response in responses]
        return kept[0] if times == 1 else {"race": sorted(kept, key=json.dumps)}


def make_side(region: str, bucket: str, credentials: Credentials, role: str, origins: Mapping[str, str]) -> Side:
    """OSS itself, or what answers at the `origins`; `bucket` is that of the run."""
    values = {"bucket": bucket, "other": f"fcp-live-{bucket[:8:-1]}", "region": region, "role": role}
    values |= {"stshost": sts_host(region), "id": credentials.access_key_id}
    secrets = {bucket, *filter(None, credentials[:3]), *re.findall(r"\d{6,}", role)}
    return Side(Requests(values, {"": credentials}), secrets, origins)


@contextmanager
def local_side(region: str, bucket: str, credentials: Credentials, role: str) -> Iterator[Side]:
    """The local OSS and STS, with the bucket and the role, in a folder that is removed."""
    principals = Principals([Principal.of(credentials, f"acs:ram::{role.split(':')[3]}:user/live")])
    roles = {role: sts.Role(role, frozenset({"*"}), policies=(plan.role_policy(),))}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="live-")))
        oss_app = oss.create_app(folder, region=region, credentials=principals, buckets=[bucket])
        servers = serve(oss_app, listen(0)), serve(sts.create_app(principals, lambda: roles), listen(0))
        for server in servers:
            stack.callback(server.close)
        origins = {name: server.url for name, server in zip(("oss", "sts"), servers, strict=True)}
        yield make_side(region, bucket, credentials, role, origins)
