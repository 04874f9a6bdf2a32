"""Links of the library and of the service, each followed to a local OSS: what both sides must agree on."""

from __future__ import annotations

from pathlib import Path

import oss2
import pytest
import requests

from signer import Link
from tests.e2e.http_clients import curl
from tests.e2e.system import ROOT, TIMEOUT, Requires, System, error_code, run_system, run_world

KEY = "exampledir/sub/exampleobject.txt"
CONTENT = b"private"


@pytest.fixture(scope="module", autouse=True)
def stored(system: System) -> None:
    system.put(KEY, CONTENT)


def follow(link: Link) -> tuple[int, bytes | str]:
    """The status and content of the response to a link, or the status and `Code` of an error."""
    response = requests.request(link.method, link.url, headers=link.headers, timeout=TIMEOUT)
    return response.status_code, error_code(response.content) or response.content


def test_a_link_opens_the_version_that_it_names(tmp_path: Path) -> None:
    with run_world(tmp_path) as world:
        world.bucket_client().put_bucket_versioning(
            oss2.models.BucketVersioningConfig(oss2.BUCKET_VERSIONING_ENABLE)
        )
        old, new = (
            world.put(KEY, content).headers["x-oss-version-id"] for content in (b"old", b"new")
        )
        for version, content in ((old, b"old"), (new, b"new")):
            assert follow(world.link("GET", KEY, query={"versionId": version})) == (200, content)
            response = requests.get(world.address(KEY, f"versionId={version}"), timeout=TIMEOUT)
            assert (response.content, response.headers["x-oss-version-id"]) == (content, version)


def test_an_app_package_is_downloaded_from_a_mount_with_a_domain_only(world: System) -> None:
    for key, status, code in (
        ("exampledir/app.apk", 400, "ApkDownloadForbidden"),
        ("site/app.apk", 200, ""),
    ):
        world.put(key, CONTENT)
        response = requests.get(world.address(key), timeout=TIMEOUT)
        assert (response.status_code, error_code(response.content)) == (status, code)


def test_the_service_gets_its_credentials_in_the_other_runtime_too(tmp_path: Path) -> None:
    document = (ROOT / "s.yaml").read_text(encoding="utf-8")
    assert "runtime: python3.10" in document
    document = document.replace("runtime: python3.10", "runtime: python3.12").replace(
        "code: ", f"code: {ROOT} # "
    )
    config = tmp_path / "s.yaml"
    config.write_text(document, encoding="utf-8")
    with run_system(tmp_path, config=config) as system:
        system.put(KEY, CONTENT)
        assert requests.get(system.address(KEY), timeout=TIMEOUT).content == CONTENT


def test_curl_uploads_with_a_link_and_downloads_the_same(
    system: System, requires: Requires, tmp_path: Path
) -> None:
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
