"""The running system: the functions of a configuration, and a local OSS."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import oss2
import requests

from local.stack import Stack
from signer import Credentials, Endpoint, Link, presign

ROOT = Path(__file__).parents[2]
TIMEOUT = 30  # seconds
_FRAGMENT = 16  # characters

Requires = Callable[..., str]


@dataclass(frozen=True)
class System:
    """The functions of `s.yaml` and a private bucket, whose keys below `exampledir/` are linked."""

    stack: Stack

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint.path_style(self.stack.oss_url, self.stack.region)

    def address(self, key: str, query: str = "") -> str:
        """The address of an object at the service."""
        return f"{self.stack.http_url}/{quote(key)}{'?' if query else ''}{query}"

    def link(
        self,
        method: str,
        key: str,
        *,
        expires_in: int = 600,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        signed_headers: Iterable[str] = (),
        endpoint: Endpoint | None = None,
        credentials: Credentials | None = None,
        now: float | None = None,
    ) -> Link:
        """A link that the library signs, by default to the local OSS."""
        return presign(
            method,
            self.stack.bucket,
            key,
            credentials=credentials or self.stack.credentials,
            endpoint=endpoint or self.endpoint,
            expires_in=expires_in,
            query=query,
            headers=headers,
            signed_headers=signed_headers,
            now=now,
        )

    def put(self, key: str, content: bytes, headers: Mapping[str, str] | None = None) -> requests.Response:
        """Stores an object with a presigned PUT, which must succeed."""
        link = self.link("PUT", key, headers=headers)
        response = requests.put(link.url, data=content, headers=link.headers, timeout=TIMEOUT)
        assert response.status_code == 200, error_code(response.content)
        return response

    def bucket_client(self) -> oss2.Bucket:
        """The bucket with all permissions, through the official SDK."""
        keys = self.stack.credentials
        provider = oss2.credentials.StaticCredentialsProvider(
            keys.access_key_id, keys.access_key_secret, keys.security_token
        )
        auth = oss2.ProviderAuthV4(provider)
        return oss2.Bucket(auth, self.stack.oss_url, self.stack.bucket, region=self.stack.region)


@contextmanager
def run_system(
    log: Path, environment: Mapping[str, str] | None = None, config: Path = ROOT / "s.yaml"
) -> Iterator[System]:
    """Starts the system; when it ends, the output of its functions must not contain a secret."""
    with log.open("w+b") as file:
        with Stack.start(config, environment=environment, log=file) as stack:
            yield System(stack)
        functions = [each for each in stack.deployment.functions if each.role and each.runs_locally]
        for keys in (stack.credentials, *map(stack.account.credentials_of, functions)):
            assert leaks(log.read_text(encoding="utf-8"), keys) == []


def leaks(log: str, credentials: Credentials) -> list[str]:
    """The names of the secrets that a log contains at least in part, also percent-encoded."""
    plain = "\n".join((log, unquote(log), unquote(unquote(log))))
    secrets = {
        "access key id": credentials.access_key_id,
        "access key secret": credentials.access_key_secret,
        "security token": credentials.security_token or "",
    }
    names = [
        name
        for name, secret in secrets.items()
        if any(secret[start : start + _FRAGMENT] in plain for start in range(len(secret) - _FRAGMENT + 1))
    ]
    return names + ["signature"] * bool(re.search(r"x-oss-signature=(?!REDACTED)", plain, re.IGNORECASE))


def error_code(document: bytes) -> str:
    """The `Code` in an error document of OSS, "" for any other content."""
    match = re.search(rb"<Code>(\w+)</Code>", document)
    return match[1].decode() if match else ""
