"""Every row of the OSS page "Download an object using a presigned URL", and the other methods, against the stand-in."""

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
from tests.e2e.programs import curl
from tests.e2e.system import ROOT, TIMEOUT, Requires, System, code, running

pytest_plugins = ("tests.e2e.system_fixtures",)

KEY = "exampledir/sub/exampleobject.txt"
CONTENT = b"private"
REGION = "cn-hangzhou"


@pytest.fixture(scope="module", autouse=True)
def stored(system: System) -> None:
    system.put(KEY, CONTENT)


def opened(link: Link, headers: Mapping[str, str] | None = None) -> tuple[int, bytes | str]:
    """Status and bytes of what a link opens, status and `Code` of a refusal."""
    sent = link.headers if headers is None else headers
    answer = requests.request(link.method, link.url, headers=sent, timeout=TIMEOUT)
    return answer.status_code, code(answer.content) or answer.content


# A life


@pytest.mark.parametrize("expires_in", [600, 604_800])
def test_a_link_lives_for_ten_minutes_or_seven_days(system: System, expires_in: int) -> None:
    now = int(time.time())
    link = system.link("GET", KEY, expires_in=expires_in, now=now)
    assert (link.expires_in, int(link.expires_at.timestamp())) == (expires_in, now + expires_in)
    assert opened(link) == (200, CONTENT)
    near_its_end = system.link("GET", KEY, expires_in=expires_in, now=now - expires_in + 120)
    assert opened(near_its_end) == (200, CONTENT)
    past_it = system.link("GET", KEY, expires_in=expires_in, now=now - expires_in)
    answer = requests.get(past_it.url, timeout=TIMEOUT)
    assert (answer.status_code, code(answer.content)) == (403, "AccessDenied")
    assert b"<Message>Request has expired.</Message>" in answer.content


def test_the_service_says_when_its_link_ends(system: System) -> None:
    asked = int(time.time())
    told = requests.get(system.address(KEY, "format=json&expires=10m"), timeout=TIMEOUT).json()
    found = signer.verify("GET", told["url"], credentials=system.stack.credentials, endpoint=system.endpoint)
    assert found.ok
    assert found.expires_at is not None
    assert told["expires_at"] == f"{found.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    assert asked + 600 <= found.expires_at.timestamp() <= time.time() + 600


# Versions


def test_a_link_opens_the_version_that_it_names(own_system: System) -> None:
    own_system.operator().put_bucket_versioning(oss2.models.BucketVersioningConfig(oss2.BUCKET_VERSIONING_ENABLE))
    old, new = (own_system.put(KEY, content).headers["x-oss-version-id"] for content in (b"old", b"new"))
    assert opened(own_system.link("GET", KEY)) == (200, b"new")
    assert opened(own_system.link("GET", KEY, query={"versionId": old})) == (200, b"old")
    assert opened(own_system.link("GET", KEY, query={"versionId": "0" * 32})) == (404, "NoSuchVersion")
    for version, content in ((old, b"old"), (new, b"new")):
        answer = requests.get(own_system.address(KEY, f"versionId={version}"), timeout=TIMEOUT)
        assert (answer.content, answer.headers["x-oss-version-id"]) == (content, version)


# Signed headers


def test_a_signed_content_type_must_be_sent(system: System) -> None:
    link = system.link("GET", KEY, headers={"Content-Type": "text/plain"})
    assert link.headers == {"Content-Type": "text/plain"}
    assert opened(link) == (200, CONTENT)
    assert opened(link, {}) == (403, "SignatureDoesNotMatch")
    assert opened(link, {"Content-Type": "text/html"}) == (403, "SignatureDoesNotMatch")


def test_a_signed_header_of_ones_own_must_be_sent(system: System) -> None:
    link = system.link("GET", KEY, headers={"X-Tenant": "one two"}, signed_headers=["x-tenant", "host"])
    assert link.headers == {"X-Tenant": "one two"}
    assert opened(link) == (200, CONTENT)
    assert opened(link, {"X-Tenant": "two"}) == (403, "SignatureDoesNotMatch")
    assert opened(link, {"X-Tenant": "one two", "Host": "localhost"}) == (403, "SignatureDoesNotMatch")
    assert opened(link, {}) == (400, "AuthorizationQueryParametersError")


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
def test_a_limit_in_the_query_lets_the_right_one_in_and_cannot_be_changed(
    system: System, query: Mapping[str, str]
) -> None:
    link = system.link("GET", KEY, query=query)
    assert opened(link) == (200, CONTENT)
    for name, value in query.items():
        assert f"{name}={value}" in link.url
        for other in (f"{name}=1", ""):
            altered = link._replace(url=link.url.replace(f"{name}={value}", other))
            assert opened(altered) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ({"x-oss-traffic-limit": "819199"}, (400, "InvalidArgument")),
        ({"x-oss-ac-source-ip": "192.0.2.1"}, (403, "AccessDenied")),
        ({"x-oss-ac-source-ip": "192.0.2.0", "x-oss-ac-subnet-mask": "24"}, (403, "AccessDenied")),
        ({"x-oss-ac-source-ip": "192.0.2.1", "x-oss-ac-forward-allow": "true"}, (403, "AccessDenied")),
    ],
)
def test_a_limit_in_the_query_keeps_others_out(
    system: System, query: Mapping[str, str], refusal: tuple[int, str]
) -> None:
    assert opened(system.link("GET", KEY, query=query)) == refusal


def test_the_service_signs_the_parameters_that_its_policy_offers(own_system: System) -> None:
    own_system.put(KEY, CONTENT)
    query = "x-oss-traffic-limit=819200&response-content-type=text%2Fcsv&response-cache-control=private,%20max-age=60"
    answer = requests.get(own_system.address(KEY, query), timeout=TIMEOUT)
    assert answer.content == CONTENT
    assert answer.headers["Content-Type"] == "text/csv"
    assert answer.headers["Cache-Control"] == "private, max-age=60"
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
def test_a_link_to_every_endpoint_of_oss_opens_there(
    system: System, requires: Requires, endpoint: Endpoint, host: str
) -> None:
    link = system.link("GET", KEY, endpoint=endpoint, signed_headers=["host"])
    assert link.url.startswith(f"https://{host}/exampledir/sub/exampleobject.txt?")
    # The name leads to the stand-in, which speaks no TLS; the scheme is not signed, the host is.
    there = ("--connect-to", f"{host}:80:{urlsplit(system.stack.oss_url).netloc}")
    answer = curl(requires("curl"), *there, link.url.replace("https://", "http://"))
    assert (answer.status, answer.body) == (200, CONTENT)


def test_a_custom_domain_has_the_same_signature_and_no_bucket(system: System) -> None:
    now = time.time()
    domain = Endpoint.custom_domain("https://static.example.com", REGION)
    link, own = (system.link("GET", KEY, endpoint=endpoint, now=now) for endpoint in (domain, system.endpoint))
    assert link.url == own.url.replace(f"{system.stack.oss_url}/{system.stack.bucket}", "https://static.example.com")
    assert opened(own) == (200, CONTENT)
    found = signer.verify(
        "GET", link.url, credentials=system.stack.credentials, endpoint=domain, bucket=system.stack.bucket
    )
    assert found.ok


def test_slashes_are_kept(system: System) -> None:
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
    assert opened(system.link("GET", KEY, credentials=read)) == (200, CONTENT)
    without_token = Credentials.from_environment(dict(zip(names[:2], parts, strict=False)))
    assert opened(system.link("GET", KEY, credentials=without_token)) == (403, "InvalidAccessKeyId")


@pytest.mark.parametrize("runtime", ["python3.10", "python3.12"])
def test_the_service_finds_its_credentials_in_every_runtime(tmp_path: Path, runtime: str) -> None:
    document = yaml.safe_load((ROOT / "s.yaml").read_text(encoding="utf-8"))
    for resource in document["resources"].values():
        resource["props"] |= {"runtime": runtime, "code": str(ROOT)}
    config = tmp_path / "s.yaml"
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    with running(tmp_path / "log", config=config) as system:
        system.put(KEY, CONTENT)
        assert requests.get(system.address(KEY), timeout=TIMEOUT).content == CONTENT


# Other methods


def test_curl_uploads_by_a_link_and_downloads_the_same(system: System, requires: Requires, tmp_path: Path) -> None:
    key, content = "exampledir/uploaded 报告.bin", bytes(range(256)) * 8192
    headers = {"Content-Type": "application/x-example", "x-oss-meta-author": "example"}
    link = system.link("PUT", key, headers=headers)
    sent = [part for pair in link.headers.items() for part in ("-H", ": ".join(pair))]
    program = requires("curl")
    file = tmp_path / "upload"
    file.write_bytes(content)
    assert curl(program, "-T", file, *sent, link.url).status == 200
    assert code(curl(program, "-T", file, link.url).body) == "SignatureDoesNotMatch"
    answer = curl(program, "-L", system.address(key))
    assert answer.body == content
    assert answer.headers["content-type"] == "application/x-example"
    assert answer.headers["x-oss-meta-author"] == "example"


def test_a_link_deletes(system: System, requires: Requires) -> None:
    key = "exampledir/short-lived.txt"
    system.put(key, CONTENT)
    link = system.link("DELETE", key)
    program = requires("curl")
    assert code(curl(program, link.url).body) == "SignatureDoesNotMatch"
    assert curl(program, "-X", "DELETE", link.url).status == 204
    assert opened(system.link("GET", key)) == (404, "NoSuchKey")


def test_a_head_has_a_link_of_its_own(system: System) -> None:
    answer = requests.head(system.link("HEAD", KEY).url, timeout=TIMEOUT)
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(len(CONTENT)))
    assert requests.head(system.link("GET", KEY).url, timeout=TIMEOUT).status_code == 403
    assert opened(system.link("HEAD", KEY)._replace(method="GET")) == (403, "SignatureDoesNotMatch")


def test_links_alone_upload_in_parts(system: System) -> None:
    key = "exampledir/in parts.bin"
    begun = requests.post(system.link("POST", key, query={"uploads": ""}).url, timeout=TIMEOUT).text
    upload = re.search("<UploadId>(.+)</UploadId>", begun)
    assert upload
    parts = [b"a" * 102_400, b"b"]
    listed = ""
    for number, part in enumerate(parts, 1):
        link = system.link("PUT", key, query={"partNumber": str(number), "uploadId": upload[1]})
        etag = requests.put(link.url, data=part, timeout=TIMEOUT).headers["ETag"]
        listed += f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
    done = system.link("POST", key, query={"uploadId": upload[1]})
    document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"
    assert requests.post(done.url, data=document, timeout=TIMEOUT).status_code == 200
    assert requests.get(system.address(key), timeout=TIMEOUT).content == b"".join(parts)
