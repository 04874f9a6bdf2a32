"""Each feature of the OSS page "Download an object using a presigned URL", and other methods, with a local OSS."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import oss2
import pytest
import requests
import yaml

import signer
from signer import Credentials, Endpoint, Link
from tests.e2e.http_clients import curl
from tests.e2e.system import ROOT, TIMEOUT, Requires, System, error_code, run_system

pytest_plugins = ("tests.e2e.system_fixtures",)

KEY = "exampledir/sub/exampleobject.txt"
CONTENT = b"private"
REGION = "cn-hangzhou"


@pytest.fixture(scope="module", autouse=True)
def stored(system: System) -> None:
    system.put(KEY, CONTENT)


def follow(link: Link, headers: Mapping[str, str] | None = None) -> tuple[int, bytes | str]:
    """The status and content of the response to a link, or the status and `Code` of an error."""
    sent = link.headers if headers is None else headers
    response = requests.request(link.method, link.url, headers=sent, timeout=TIMEOUT)
    return response.status_code, error_code(response.content) or response.content


# Expiry


@pytest.mark.parametrize("expires_in", [600, 604_800])
def test_a_link_is_valid_for_ten_minutes_or_seven_days(system: System, expires_in: int) -> None:
    now = int(time.time())
    link = system.link("GET", KEY, expires_in=expires_in, now=now)
    assert (link.expires_in, int(link.expires_at.timestamp())) == (expires_in, now + expires_in)
    assert follow(link) == (200, CONTENT)
    almost_expired = system.link("GET", KEY, expires_in=expires_in, now=now - expires_in + 120)
    assert follow(almost_expired) == (200, CONTENT)
    expired = system.link("GET", KEY, expires_in=expires_in, now=now - expires_in)
    response = requests.get(expired.url, timeout=TIMEOUT)
    assert (response.status_code, error_code(response.content)) == (403, "AccessDenied")
    assert b"<Message>Request has expired.</Message>" in response.content


def test_the_service_reports_when_its_link_expires(system: System) -> None:
    start = int(time.time())
    document = requests.get(system.address(KEY, "format=json&expires=10m"), timeout=TIMEOUT).json()
    keys = system.stack.account.credentials_of(system.stack.function)
    result = signer.verify("GET", document["url"], credentials=keys, endpoint=system.endpoint)
    assert result.ok
    assert result.expires_at is not None
    assert document["expires_at"] == f"{result.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    assert start + 600 <= result.expires_at.timestamp() <= time.time() + 600


# Versions


def test_a_link_opens_the_version_that_it_names(own_system: System) -> None:
    own_system.bucket_client().put_bucket_versioning(oss2.models.BucketVersioningConfig(oss2.BUCKET_VERSIONING_ENABLE))
    old, new = (own_system.put(KEY, content).headers["x-oss-version-id"] for content in (b"old", b"new"))
    assert follow(own_system.link("GET", KEY)) == (200, b"new")
    assert follow(own_system.link("GET", KEY, query={"versionId": old})) == (200, b"old")
    assert follow(own_system.link("GET", KEY, query={"versionId": "0" * 32})) == (404, "NoSuchVersion")
    for version, content in ((old, b"old"), (new, b"new")):
        response = requests.get(own_system.address(KEY, f"versionId={version}"), timeout=TIMEOUT)
        assert (response.content, response.headers["x-oss-version-id"]) == (content, version)


# Signed headers


def test_a_signed_content_type_must_be_sent(system: System) -> None:
    link = system.link("GET", KEY, headers={"Content-Type": "text/plain"})
    assert link.headers == {"Content-Type": "text/plain"}
    assert follow(link) == (200, CONTENT)
    assert follow(link, {}) == (403, "SignatureDoesNotMatch")
    assert follow(link, {"Content-Type": "text/html"}) == (403, "SignatureDoesNotMatch")


def test_a_signed_custom_header_must_be_sent(system: System) -> None:
    link = system.link("GET", KEY, headers={"X-Tenant": "one two"}, signed_headers=["x-tenant", "host"])
    assert link.headers == {"X-Tenant": "one two"}
    assert follow(link) == (200, CONTENT)
    assert follow(link, {"X-Tenant": "two"}) == (403, "SignatureDoesNotMatch")
    assert follow(link, {"X-Tenant": "one two", "Host": "localhost"}) == (403, "SignatureDoesNotMatch")
    assert follow(link, {}) == (400, "AuthorizationQueryParametersError")


# Query parameters


@pytest.mark.parametrize(
    "query",
    [
        {"x-oss-traffic-limit": "819200"},
        {"x-oss-ac-source-ip": "127.0.0.1"},
        {"x-oss-ac-source-ip": "127.0.0.0", "x-oss-ac-subnet-mask": "24"},
        {"x-oss-ac-source-ip": "127.0.0.1", "x-oss-ac-subnet-mask": "32", "x-oss-ac-vpc-id": "vpc-example"},
        {"x-oss-ac-source-ip": "127.0.0.1", "x-oss-ac-forward-allow": "true"},
    ],
    ids=" ".join,
)
def test_a_limit_in_the_query_allows_the_right_client_and_cannot_be_changed(
    system: System, query: Mapping[str, str]
) -> None:
    link = system.link("GET", KEY, query=query)
    assert follow(link) == (200, CONTENT)
    for name, value in query.items():
        assert f"{name}={value}" in link.url
        for other in (f"{name}=1", ""):
            altered = link._replace(url=link.url.replace(f"{name}={value}", other))
            assert follow(altered) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ({"x-oss-traffic-limit": "819199"}, (400, "InvalidArgument")),
        ({"x-oss-ac-source-ip": "192.0.2.1"}, (403, "AccessDenied")),
        ({"x-oss-ac-source-ip": "192.0.2.0", "x-oss-ac-subnet-mask": "24"}, (403, "AccessDenied")),
        ({"x-oss-ac-source-ip": "192.0.2.1", "x-oss-ac-forward-allow": "true"}, (403, "AccessDenied")),
    ],
)
def test_a_limit_in_the_query_refuses_other_clients(
    system: System, query: Mapping[str, str], refusal: tuple[int, str]
) -> None:
    assert follow(system.link("GET", KEY, query=query)) == refusal


def test_the_service_signs_the_parameters_that_its_mount_lists(own_system: System) -> None:
    own_system.put(KEY, CONTENT)
    query = "x-oss-traffic-limit=819200&response-content-type=text%2Fcsv&response-cache-control=private,%20max-age=60"
    response = requests.get(own_system.address(KEY, query), timeout=TIMEOUT)
    assert response.content == CONTENT
    assert response.headers["Content-Type"] == "text/csv"
    assert response.headers["Cache-Control"] == "private, max-age=60"
    refused = requests.get(own_system.address(KEY, "x-oss-ac-source-ip=127.0.0.1"), timeout=TIMEOUT)
    assert refused.status_code == 400
    assert "x-oss-ac-source-ip" in refused.json()["detail"]


# Endpoints


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
def test_a_link_to_each_endpoint_of_oss_is_valid_there(
    system: System, requires: Requires, endpoint: Endpoint, host: str
) -> None:
    link = system.link("GET", KEY, endpoint=endpoint, signed_headers=["host"])
    assert link.url.startswith(f"https://{host}/exampledir/sub/exampleobject.txt?")
    # curl connects to the local OSS, which has no TLS; the host is signed, the scheme is not.
    connect_to = ("--connect-to", f"{host}:80:{urlsplit(system.stack.oss_url).netloc}")
    response = curl(requires("curl"), *connect_to, link.url.replace("https://", "http://"))
    assert (response.status, response.body) == (200, CONTENT)


def test_a_custom_domain_has_the_same_signature_and_no_bucket(system: System) -> None:
    now = time.time()
    domain = Endpoint.custom_domain("https://static.example.com", REGION)
    link, local = (system.link("GET", KEY, endpoint=endpoint, now=now) for endpoint in (domain, system.endpoint))
    assert link.url == local.url.replace(f"{system.stack.oss_url}/{system.stack.bucket}", "https://static.example.com")
    assert follow(local) == (200, CONTENT)
    result = signer.verify(
        "GET", link.url, credentials=system.stack.credentials, endpoint=domain, bucket=system.stack.bucket
    )
    assert result.ok


def test_slashes_are_not_encoded(system: System) -> None:
    path = urlsplit(system.link("GET", KEY).url).path
    assert path == "/examplebucket/exampledir/sub/exampleobject.txt"


# Credentials


@pytest.mark.parametrize(
    "names",
    [
        ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"),
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"),
    ],
    ids=lambda names: names[0],
)
def test_temporary_credentials_come_from_the_environment(system: System, names: tuple[str, str, str]) -> None:
    keys = system.stack.credentials
    parts = (keys.access_key_id, keys.access_key_secret, keys.security_token or "")
    read = Credentials.from_environment(dict(zip(names, parts, strict=True)))
    assert follow(system.link("GET", KEY, credentials=read)) == (200, CONTENT)
    without_token = Credentials.from_environment(dict(zip(names[:2], parts, strict=False)))
    assert follow(system.link("GET", KEY, credentials=without_token)) == (403, "InvalidAccessKeyId")


@pytest.mark.parametrize("runtime", ["python3.10", "python3.12"])
def test_the_service_gets_its_credentials_in_every_runtime(tmp_path: Path, runtime: str) -> None:
    document = yaml.safe_load((ROOT / "s.yaml").read_text(encoding="utf-8"))
    for resource in document["resources"].values():
        resource["props"] |= {"runtime": runtime, "code": str(ROOT)}
    config = tmp_path / "s.yaml"
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    with run_system(tmp_path / "log", config=config) as system:
        system.put(KEY, CONTENT)
        assert requests.get(system.address(KEY), timeout=TIMEOUT).content == CONTENT


# Other methods


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


def test_a_link_deletes(system: System, requires: Requires) -> None:
    key = "exampledir/short-lived.txt"
    system.put(key, CONTENT)
    link = system.link("DELETE", key)
    program = requires("curl")
    assert error_code(curl(program, link.url).body) == "SignatureDoesNotMatch"
    assert curl(program, "-X", "DELETE", link.url).status == 204
    assert follow(system.link("GET", key)) == (404, "NoSuchKey")


def test_a_head_requires_its_own_link(system: System) -> None:
    response = requests.head(system.link("HEAD", KEY).url, timeout=TIMEOUT)
    assert (response.status_code, response.headers["Content-Length"]) == (200, str(len(CONTENT)))
    assert requests.head(system.link("GET", KEY).url, timeout=TIMEOUT).status_code == 403
    assert follow(system.link("HEAD", KEY)._replace(method="GET")) == (403, "SignatureDoesNotMatch")


def test_links_upload_a_file_in_parts(system: System) -> None:
    key = "exampledir/in parts.bin"
    started = requests.post(system.link("POST", key, query={"uploads": ""}).url, timeout=TIMEOUT).text
    upload = re.search("<UploadId>(.+)</UploadId>", started)
    assert upload
    parts = [b"a" * 102_400, b"b"]
    part_list = ""
    for number, part in enumerate(parts, 1):
        link = system.link("PUT", key, query={"partNumber": str(number), "uploadId": upload[1]})
        etag = requests.put(link.url, data=part, timeout=TIMEOUT).headers["ETag"]
        part_list += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
    complete = system.link("POST", key, query={"uploadId": upload[1]})
    document = f"<CompleteMultipartUpload>{part_list}</CompleteMultipartUpload>"
    assert requests.post(complete.url, data=document, timeout=TIMEOUT).status_code == 200
    assert requests.get(system.address(key), timeout=TIMEOUT).content == b"".join(parts)
