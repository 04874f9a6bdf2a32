"""Links of the library and of the service, each followed to a local OSS: what both sides must agree on."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urlsplit

import oss2
import pytest
import requests
import yaml

import signer
from signer import Endpoint, Link
from tests.e2e.http_clients import curl
from tests.e2e.system import ROOT, TIMEOUT, Requires, System, error_code, run_system, run_world

KEY = "exampledir/sub/exampleobject.txt"
CONTENT = b"private"
REGION = "cn-hangzhou"


@pytest.fixture(scope="module", autouse=True)
def stored(system: System) -> None:
    system.put(KEY, CONTENT)


def follow(link: Link) -> tuple[int, bytes | str]:
    """The status and content of the response to a link, or the status and `Code` of an error."""
    response = requests.request(link.method, link.url, headers=link.headers, timeout=TIMEOUT)
    return response.status_code, error_code(response.content) or response.content


def test_the_service_reports_when_its_link_expires(system: System) -> None:
    start = int(time.time())
    document = requests.get(system.address(KEY, "format=json&expires=10m"), timeout=TIMEOUT).json()
    keys = system.stack.account.credentials_of(system.stack.function)
    result = signer.verify("GET", document["url"], credentials=keys, endpoint=system.endpoint)
    assert result.ok
    assert result.expires_at is not None
    assert document["expires_at"] == f"{result.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    assert start + 600 <= result.expires_at.timestamp() <= time.time() + 600


def test_a_link_opens_the_version_that_it_names(tmp_path: Path) -> None:
    with run_world(tmp_path) as world:
        world.bucket_client().put_bucket_versioning(oss2.models.BucketVersioningConfig(oss2.BUCKET_VERSIONING_ENABLE))
        old, new = (world.put(KEY, content).headers["x-oss-version-id"] for content in (b"old", b"new"))
        for version, content in ((old, b"old"), (new, b"new")):
            assert follow(world.link("GET", KEY, query={"versionId": version})) == (200, content)
            response = requests.get(world.address(KEY, f"versionId={version}"), timeout=TIMEOUT)
            assert (response.content, response.headers["x-oss-version-id"]) == (content, version)


def test_the_service_signs_the_parameters_that_its_mount_lists(world: System) -> None:
    world.put(KEY, CONTENT)
    query = "x-oss-traffic-limit=819200&response-content-type=text%2Fcsv&response-cache-control=private,%20max-age=60"
    response = requests.get(world.address(KEY, query), timeout=TIMEOUT)
    assert response.content == CONTENT
    assert response.headers["Content-Type"] == "text/csv"
    assert response.headers["Cache-Control"] == "private, max-age=60"
    refused = requests.get(world.address(KEY, "x-oss-ac-source-ip=127.0.0.1"), timeout=TIMEOUT)
    assert refused.status_code == 400
    assert "x-oss-ac-source-ip" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        (Endpoint.public(REGION), "examplebucket.oss-cn-hangzhou.aliyuncs.com"),
        (Endpoint.internal(REGION), "examplebucket.oss-cn-hangzhou-internal.aliyuncs.com"),
        (Endpoint.accelerate(REGION), "examplebucket.oss-accelerate.aliyuncs.com"),
        (Endpoint.accelerate(REGION, overseas=True), "examplebucket.oss-accelerate-overseas.aliyuncs.com"),
        (Endpoint.dual_stack(REGION), "examplebucket.cn-hangzhou.oss.aliyuncs.com"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_link_to_each_endpoint_of_oss_is_valid_there(system: System, endpoint: Endpoint, host: str) -> None:
    url = system.link("GET", KEY, endpoint=endpoint, signed_headers=["host"]).url
    assert url.startswith(f"https://{host}/{KEY}?")
    # The local OSS has no TLS; the host is signed, the scheme is not.
    target = f"{system.stack.oss_url}{urlsplit(url).path}?{urlsplit(url).query}"
    assert requests.get(target, headers={"Host": host}, timeout=TIMEOUT).content == CONTENT


@pytest.mark.parametrize("runtime", ["python3.10", "python3.12"])
def test_the_service_gets_its_credentials_in_every_runtime(tmp_path: Path, runtime: str) -> None:
    document = yaml.safe_load((ROOT / "s.yaml").read_text(encoding="utf-8"))
    for resource in document["resources"].values():
        resource["props"] |= {"runtime": runtime, "code": str(ROOT)}
    config = tmp_path / "s.yaml"
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    with run_system(tmp_path, config=config) as system:
        system.put(KEY, CONTENT)
        assert requests.get(system.address(KEY), timeout=TIMEOUT).content == CONTENT


def test_curl_uploads_with_a_link_and_downloads_the_same(system: System, requires: Requires, tmp_path: Path) -> None:
    key, content = "exampledir/uploaded 报告.bin", bytes(range(256)) * 8192
    headers = {"Content-Type": "application/x-example", "x-oss-meta-author": "example"}
    link = system.link("PUT", key, headers=headers)
    sent = [part for pair in link.headers.items() for part in ("-H", ": ".join(pair))]
    program = requires("curl")
    file = tmp_path / "upload"
    file.write_bytes(content)
    assert curl(program, "-T", file, *sent, link.url).status == 200
    assert error_code(curl(program, "-T", file, link.url).body) == "SignatureDoesNotMatch"
    response = curl(program, "-L", system.address(key))
    assert response.body == content
    assert response.headers["content-type"] == "application/x-example"
    assert response.headers["x-oss-meta-author"] == "example"


def test_each_method_requires_its_own_link(system: System) -> None:
    response = requests.head(system.link("HEAD", KEY).url, timeout=TIMEOUT)
    assert (response.status_code, response.headers["Content-Length"]) == (200, str(len(CONTENT)))
    assert requests.head(system.link("GET", KEY).url, timeout=TIMEOUT).status_code == 403
    for method in ("HEAD", "PUT", "DELETE"):
        assert follow(system.link(method, KEY)._replace(method="GET")) == (403, "SignatureDoesNotMatch")
