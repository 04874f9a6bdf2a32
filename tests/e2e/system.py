"""The running system: the functions of a configuration, and a local OSS."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import oss2
import pytest
import requests
from oss2.models import CorsRule

from local.stack import Stack
from signer import Credentials, Link, presign
from tests import system
from tests.handler.client import Answered
from tests.handler.keys_fixtures import api
from tests.local_oss import LocalOss
from tests.system import HOST, LINKS, MAKER, keys

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
TIMEOUT = 30  # seconds
KEY = MAKER
FILE = "reports/季度报告 2026 q3.pdf"
CONTENT = b"%PDF-1.7 " + bytes(range(256)) * 5000
HEADERS = {"Authorization": f"Bearer {KEY}"}
# Chromium takes the last list alone, so most of that of Playwright is repeated. The last line is ours: with these, each
# new window starts two renderers more, for the menu of its address bar and in reserve, and needs twice the time.
_FEATURES_OFF = (
    "AimEnabled",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "OptimizationHints",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "NetworkTimeServiceQuerying",
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "PreloadTopChromeWebUI",
    "SpareRendererForSitePerProcess",
)
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    f"--disable-features={','.join(_FEATURES_OFF)}",
]
CLIPBOARD = ["clipboard-read", "clipboard-write"]
# Mounts for versions, for folders, for links that expire in the middle of an upload, for strangers who upload to a
# bucket with a domain of ours (on a laptop, its links lead to the local OSS), for files that are sent together, and for
# those that are received.
MORE_MOUNTS = """
[[mount]]
path = "/exampledir/"
target = "oss://examplebucket/exampledir/"
access = "anonymous"
max_expires = "7d"
max_share = "90d"
query = ["versionId"]

[[mount]]
path = "/folders/"
target = "oss://examplebucket/folders/"
access = "anonymous"
max_share = "90d"
list = true

[[mount]]
path = "/brief/"
target = "oss://examplebucket/brief/"
access = "anonymous"
methods = ["PUT"]
expires = "2s"
max_size = "10MB"

[[mount]]
path = "/site/"
target = "oss://examplebucket/site/"
access = "anonymous"
methods = ["GET", "PUT", "POST"]
endpoint = "https://static.example.com"
max_size = "10MB"
inline = ["image/png"]

[[mount]]
path = "/sent/"
target = "oss://examplebucket/sent/"
methods = ["GET", "PUT"]
max_size = "100MB"
max_share = "30d"
list = true

[[mount]]
path = "/asked/"
target = "oss://examplebucket/asked/"
methods = ["POST"]
max_size = "1MB"
max_share = "30d"

[[mount]]
path = "/received/"
target = "oss://examplebucket/asked/"
list = true
"""
_FRAGMENT = 16  # characters

Requires = Callable[..., str]


def script_of_npm(path: str) -> Path:
    """A file of the packages that make installs for tests, where npm is."""
    file = ROOT / "tests/node/node_modules" / path
    if not file.exists():
        pytest.skip(f"{path} is not installed: npm ci in tests/node")
    return file


class System(system.System):
    """The functions of `s.yaml` and a private bucket; `folder` has the log, and the files of a world."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        super().__init__(
            folder, oss=LocalOss(stack.oss_url, stack.root, credentials=stack.credentials), now=None
        )
        self.stack = stack

    def address(self, key: str, query: str = "") -> str:
        """The address of an object at the service."""
        return f"{self.stack.http_url}/{quote(key)}{'?' if query else ''}{query}"

    def link(self, method: str, key: str, **options: Any) -> Link:
        """A link that the library signs with these options, by default for ten minutes at the local OSS."""
        defaults = {
            "credentials": self.stack.credentials,
            "endpoint": self.oss.endpoint,
            "expires_in": 600,
        }
        return presign(method, self.stack.bucket, key, **{**defaults, **options})

    def bucket_client(self) -> oss2.Bucket:
        """The bucket with all permissions, through the official SDK."""
        keys = self.stack.credentials
        provider = oss2.credentials.StaticCredentialsProvider(
            keys.access_key_id, keys.access_key_secret, keys.security_token
        )
        auth = oss2.ProviderAuthV4(provider)
        return oss2.Bucket(auth, self.stack.oss_url, self.stack.bucket, region=self.stack.region)

    @contextmanager
    def allowing(self, origin: str, expose_headers: Sequence[str] = ("ETag",)) -> Iterator[None]:
        """Lets only pages of this origin use the bucket, for as long as the block runs."""
        bucket, methods = self.bucket_client(), ["GET", "HEAD", "PUT", "POST", "DELETE"]
        rules = bucket.get_bucket_cors().rules
        bucket.put_bucket_cors(
            oss2.models.BucketCors([CorsRule([origin], methods, ["*"], list(expose_headers))])
        )
        try:
            yield
        finally:
            bucket.put_bucket_cors(oss2.models.BucketCors(rules))

    def stored_objects(self, prefix: str = "inbox/") -> dict[str, bytes]:
        """Every object below a prefix, by its key."""
        return {key: self.oss.get(key).body for key in self.object_keys(prefix)}

    def send(self, http_event: dict[str, Any], now: float) -> Answered:
        url = self.stack.http_url + http_event["rawPath"]
        method = http_event["requestContext"]["http"]["method"]
        sent = {"params": http_event["queryParameters"], "headers": http_event["headers"]}
        body = http_event["body"].encode()
        response = requests.request(
            method, url, data=body, allow_redirects=False, timeout=TIMEOUT, **sent
        )
        return Answered(response.status_code, dict(response.headers), response.text, "")

    def request_share(self, key: str | None = KEY, **params: Any) -> Answered:
        """The response to a request for a new share, by default of FILE."""
        return super().request_share(key, **{"path": f"/{FILE}", **params})

    def create_share(self, **params: Any) -> str:
        """The address of a new share, at the port of this system."""
        return self.local_url(super().create_share(**params))

    def local_url(self, url: str) -> str:
        """The public address of a share, at the port of this system."""
        return url.replace(HOST, self.stack.http_url)


@contextmanager
def run_system(
    folder: Path, environment: Mapping[str, str] | None = None, config: Path = ROOT / "s.yaml"
) -> Iterator[System]:
    """Starts the system; when it ends, the output of its functions must not contain a secret."""
    log = folder / "log"
    with log.open("w+b") as file:
        with Stack.start(config, environment=environment, log=file) as stack:
            yield System(stack, folder)
        functions = [each for each in stack.deployment.functions if each.role and each.runs_locally]
        output = log.read_text(encoding="utf-8")
        for credentials in (stack.credentials, *map(stack.account.credentials_of, functions)):
            assert leaks(output, credentials) == []
        assert not re.search(r"share=[\w-]{22}", output)


@contextmanager
def run_world(folder: Path, cors_origin: str = "https://app.example.com") -> Iterator[System]:
    """Starts the system with the mounts of tests/links.toml, and one program that may do everything."""
    program = api("program", KEY, paths=["/"], methods=["GET", "PUT", "POST", "SHARE", "LIST"])
    (folder / "keys.json").write_text(json.dumps(keys(api=[program])))
    links = LINKS.replace("oss://examplebucket/.links/keys.json", "file:keys.json").replace(
        '"1MB"', '"10MB"'
    )
    (folder / "links.toml").write_text(f'cors = ["{cors_origin}"]\n{links}{MORE_MOUNTS}')
    with run_system(folder, {"LINK_CONFIG": str(folder / "links.toml")}) as world:
        world.put(FILE, CONTENT, {"Content-Type": "application/pdf"})
        yield world


def sign_in(page: Page, key: str) -> None:
    """Types a key into the sender's page."""
    page.fill("#key", key)
    page.keyboard.press("Enter")


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
        if any(
            secret[start : start + _FRAGMENT] in plain
            for start in range(len(secret) - _FRAGMENT + 1)
        )
    ]
    return names + ["signature"] * bool(
        re.search(r"x-oss-signature=(?!REDACTED)", plain, re.IGNORECASE)
    )


def error_code(document: bytes) -> str:
    """The `Code` in an error document of OSS, "" for any other content."""
    match = re.search(rb"<Code>(\w+)</Code>", document)
    return match[1].decode() if match else ""
