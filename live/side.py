"""The two that answer, the local OSS and OSS, and the bucket that a run has there.

Each has its own sessions and kept values, and gets the same requests.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from socket import gaierror
from typing import Any
from urllib.parse import quote, unquote
from xml.etree.ElementTree import Element, ParseError, fromstring

from handler.core.cloud.http_client import Connections, HttpResponse
from signer import Credentials, Endpoint, SignerError
from signer.common.sts import read_assumed_role, sts_host
from signer.emulator import oss, sts
from signer.emulator.ram import Principal, Principals
from signer.emulator.server import listen, serve

from . import answers, plan
from .cases import Case, build

MAX_REQUESTS = 1000
MAX_BYTES = 5_000_000  # of a run
PAUSES: tuple[float, ...] = (1, 2, 4)  # seconds before each further try
TIMEOUT: tuple[float, float] = (5, 15)  # seconds to connect, and to wait for more bytes
CLEANUP_PAUSES: tuple[float, ...] = (0, 1, 5, 15)  # seconds before each try to clean up
_ENTRIES = ("Upload", "Version", "DeleteMarker")  # of lists
_TAGS = "<Tagging><TagSet><Tag><Key>fcp-live</Key><Value>test</Value></Tag></TagSet></Tagging>"
_RULES = """<LifecycleConfiguration><Rule><ID>fcp-live</ID><Prefix></Prefix><Status>Enabled</Status>
<Expiration><Days>1</Days></Expiration><AbortMultipartUpload><Days>1</Days></AbortMultipartUpload>
<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>"""


@dataclass
class Side:
    """`values` are for braces, `origins` in place of the addresses of oss and sts; `secrets` are all that were seen."""

    values: dict[str, str]
    sessions: dict[str, Credentials]
    origins: Mapping[str, str]
    secrets: set[str]
    digests: set[str] = field(default_factory=set)
    limit: int = MAX_REQUESTS - 200  # the clean-up may need the others
    sent: int = 0
    bytes: int = 0
    _http: Connections = field(default_factory=Connections)

    def ask(self, request: Mapping[str, Any], name: str = "set-up") -> HttpResponse:
        """The answer to a request. Raises `ConnectionError` if none came, and `RuntimeError` at the limits."""
        sent = build(request, self.values, self.sessions)
        service = request.get("to", "oss")
        own = f"/{self.values['bucket']}/"
        is_own = service == "sts" or sent.host.partition(".")[0] in (
            self.values["bucket"],
            self.values["other"],
        )
        is_own &= sent.headers.get("x-oss-copy-source", own).startswith(own)
        if not is_own and not request.get("is_service"):
            raise RuntimeError(
                f"{name} is not sent: it is for another bucket than that of the run."
            )
        text = f"{unquote(sent.target)} {sent.headers} {sent.body!r}"
        self.secrets.update(re.findall(r"[0-9a-f]{64}|(?<=&Signature=)[\w+/=]+", text))
        digest = hashlib.md5(sent.body, usedforsecurity=False).digest()
        self.digests |= {digest.hex().upper(), b64encode(digest).decode()}
        url = self.origins.get(service, sent.origin) + sent.target
        headers = {
            "host": sent.host,
            "user-agent": f"fc-presign live ({quote(name, safe='/=')})",
            **sent.headers,
        }
        body = sent.body or None
        response = None
        failures = list[Exception]()
        for pause in (0, *PAUSES):
            time.sleep(pause)
            if self.sent >= self.limit or self.bytes > MAX_BYTES:
                raise RuntimeError("The run has reached its limit of requests or bytes.")
            self.sent = self.sent + 1
            self.bytes = self.bytes + len(url) + len(sent.body)
            try:
                response = self._http.send(
                    sent.method, url, headers, body, timeout=TIMEOUT, max_body=MAX_BYTES
                )
                self.bytes += len(response.body)
                if response.status not in (500, 502, 503, 504):
                    break
            except (OSError, HTTPException) as error:
                failures.append(error)
        if response is None:
            cause = next(
                (each for each in failures if not isinstance(each, gaierror)), failures[-1]
            )
            raise ConnectionError(f"{name} was not answered by {sent.host} ({cause}).") from cause
        self.secrets |= answers.secrets_of(response) - {request.get("forge", {}).get("id")}
        return response

    def answer(self, case: Case) -> answers.Answer | None:
        """What is kept of the answer to a case; of a race the answers, sorted. None if none came."""
        times = case.request.get("race", 1)
        if case.request.get("as", "") not in self.sessions:
            return None
        try:
            with ThreadPoolExecutor(times) as pool:
                others = [pool.submit(self.ask, case.request, case.name) for _ in range(times - 1)]
                responses = [
                    self.ask(case.request, case.name),
                    *(other.result() for other in others),
                ]
        except ConnectionError:
            return None
        for name, source in case.request.get("keep", {}).items():
            self.values[name] = answers.value_of(responses[0], source)
        with suppress(SignerError):
            if name := case.request.get("session"):
                self.sessions[name] = read_assumed_role(
                    responses[0].status, responses[0].body
                ).credentials
                self.secrets.update(filter(None, self.sessions[name][:3]))
        known = {value: name for name, value in self.values.items()} | {
            case.request.get("key", ""): "key"
        }
        kept = [answers.keep(response, known, self.digests) for response in responses]
        return kept[0] if times == 1 else {"race": sorted(kept, key=json.dumps)}


def make_side(
    region: str, bucket: str, credentials: Credentials, role: str, origins: Mapping[str, str]
) -> Side:
    """OSS itself, or what answers at the `origins`; `bucket` is that of the run."""
    Endpoint.public(region)  # raises an error for what is not a region
    values = {
        "bucket": bucket,
        "other": f"fcp-live-{bucket[:8:-1]}",
        "region": region,
        "role": role,
    }
    values |= {"stshost": sts_host(region), "id": credentials.access_key_id}
    secrets = {bucket, *filter(None, credentials[:3]), *re.findall(r"\d{6,}", role)}
    return Side(values, {"": credentials}, origins, secrets)


@contextmanager
def local_side(region: str, bucket: str, credentials: Credentials, role: str) -> Iterator[Side]:
    """The local OSS and STS, with the bucket and the role, in a folder that is removed."""
    principals = Principals([Principal.of(credentials, f"acs:ram::{role.split(':')[3]}:user/live")])
    roles = {role: sts.Role(role, frozenset({"*"}), policies=(plan.policies(role)["the role"],))}
    sts_app = sts.create_app(principals, lambda: roles)
    with tempfile.TemporaryDirectory(prefix="live-") as folder:
        oss_app = oss.create_app(
            Path(folder), region=region, credentials=principals, buckets=[bucket]
        )
        with (
            closing(serve(oss_app, listen(0))) as oss_server,
            closing(serve(sts_app, listen(0))) as sts_server,
        ):
            origins = {"oss": oss_server.url, "sts": sts_server.url}
            yield make_side(region, bucket, credentials, role, origins)


def make_bucket(side: Side, file: Path) -> None:
    """Raises `RuntimeError` unless the bucket is new, private, tagged, and its objects expire."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(side.values["region"])
    try:
        _ask(side, "PUT", headers={"x-oss-acl": "private"})
    except (RuntimeError, ConnectionError) as error:
        # Refused at the first try, or never sent.
        if side.sent == 1 or isinstance(error.__cause__, gaierror):
            file.unlink()
        raise
    protect_bucket(side)
    if _ask(side, "GET", "bucketInfo")[1].findtext(".//Grant") != "private":
        raise RuntimeError("The new bucket is not private.")


def protect_bucket(side: Side) -> None:
    """Tags the bucket, and has OSS delete what is left in it after a day. Raises `RuntimeError`."""
    _ask(side, "PUT", "tagging", body=_TAGS)
    _ask(side, "PUT", "lifecycle", body=_RULES)


def delete_bucket(side: Side, file: Path) -> str:
    """Deletes uploads, versions and the bucket. Returns why something may be left, "" if nothing is."""
    side.limit = MAX_REQUESTS
    side.bytes = 0
    failure = ""
    for pause in CLEANUP_PAUSES:
        time.sleep(pause)
        try:
            _empty(side, "uploads")
            _empty(side, "versions")
            _ask(side, "DELETE", ok=(204, 404))
            file.unlink(missing_ok=True)
            return ""
        except (RuntimeError, ConnectionError, ParseError) as error:
            failure = str(error)
    return failure


def list_buckets(side: Side) -> Iterator[tuple[str, str]]:
    """Names and regions of the account's buckets with the prefix and the tag. Raises `RuntimeError`."""
    query = {"prefix": "fcp-live-", "tag-key": "fcp-live", "tag-value": "test", "max-keys": "1000"}
    host = f"oss-{side.values['region']}.aliyuncs.com"
    for bucket in _ask(side, "GET", query=query, host=host, is_service=True)[1].iter("Bucket"):
        if re.fullmatch("fcp-live-[0-9a-f]{16}", name := bucket.findtext("Name", "")):
            yield name, bucket.findtext("Location", "").removeprefix("oss-")


def _empty(side: Side, name: str) -> None:
    """Deletes what a list of the bucket has, until the list is empty."""
    while entries := [
        each for each in _ask(side, "GET", name, ok=(200, 404))[1].iter() if each.tag in _ENTRIES
    ]:
        for entry in entries:
            key = entry.findtext("Key", "")
            query = {
                child.tag[0].lower() + child.tag[1:]: child.text
                for child in entry
                if child.tag.endswith("Id")
            }
            if _ask(side, "DELETE", key=key, query=query, ok=(204, 404, 400))[0] == 400:
                # It never had versions, and may not know the null one.
                _ask(side, "DELETE", key=key, ok=(204,))


def _ask(
    side: Side, method: str, name: str = "", ok: tuple[int, ...] = (200,), **more: Any
) -> tuple[int, Element]:
    """Status and document of the answer. Raises `RuntimeError` for a status other than those that are ok."""
    response = side.ask(
        {"method": method, "query": {name: ""} if name else {}, "sign": "header", **more}
    )
    if response.status not in ok:
        status = f"{response.status} {answers.value_of(response, 'Code')}".rstrip()
        advice = " Is the policy that of the dry run?" if "AccessDenied" in status else ""
        raise RuntimeError(
            f"{' '.join([method, 'bucket', name]).rstrip()} failed ({status}).{advice}"
        )
    return response.status, fromstring(re.sub(b' xmlns="[^"]*"', b"", response.body) or b"<None/>")  # noqa: S314 - by OSS
