"""Hosts of the OSS page "Regions and endpoints", and invalid addresses."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import product

import pytest

from signer import Endpoint, InvalidEndpoint, explain, verify
from signer.endpoint import KNOWN_REGIONS, closest_region, parse_oss_host
from tests.signer.signing import BUCKET, KEYS, NOW, sign

REGION = "cn-hangzhou"
OVERSEAS = Endpoint.accelerate(REGION, overseas=True)
CONSTRUCTORS: tuple[Callable[..., Endpoint], ...] = (
    Endpoint.public,
    Endpoint.internal,
    Endpoint.accelerate,
    Endpoint.dual_stack,
    partial(Endpoint.custom_domain, "https://static.example.com"),
    partial(Endpoint.path_style, "http://127.0.0.1:9001"),
)


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        (Endpoint.public(REGION), "https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a%20b"),
        (Endpoint.public("us-west-1"), "https://examplebucket.oss-us-west-1.aliyuncs.com/a%20b"),
        (
            Endpoint.internal(REGION),
            "https://examplebucket.oss-cn-hangzhou-internal.aliyuncs.com/a%20b",
        ),
        (Endpoint.accelerate(REGION), "https://examplebucket.oss-accelerate.aliyuncs.com/a%20b"),
        (OVERSEAS, "https://examplebucket.oss-accelerate-overseas.aliyuncs.com/a%20b"),
        (Endpoint.dual_stack(REGION), "https://examplebucket.cn-hangzhou.oss.aliyuncs.com/a%20b"),
        (
            Endpoint.custom_domain("https://static.example.com", REGION),
            "https://static.example.com/a%20b",
        ),
        (
            Endpoint.custom_domain("https://STATIC.example.com/", REGION),
            "https://static.example.com/a%20b",
        ),
        (
            Endpoint.custom_domain("http://static.example.com:8080", REGION),
            "http://static.example.com:8080/a%20b",
        ),
        (
            Endpoint.custom_domain("https://static.example.com:443", REGION),
            "https://static.example.com/a%20b",
        ),
        (
            Endpoint.custom_domain("http://static.example.com:80", REGION),
            "http://static.example.com/a%20b",
        ),
        (
            Endpoint.custom_domain("https://static.example.com:80", REGION),
            "https://static.example.com:80/a%20b",
        ),
        (
            Endpoint.path_style("http://127.0.0.1:9001", REGION),
            "http://127.0.0.1:9001/examplebucket/a%20b",
        ),
        (Endpoint.path_style("http://[::1]:9001", REGION), "http://[::1]:9001/examplebucket/a%20b"),
        (Endpoint.path_style("http://localhost", REGION), "http://localhost/examplebucket/a%20b"),
    ],
)
def test_a_link_has_the_address_of_its_endpoint(endpoint: Endpoint, address: str) -> None:
    link = sign(key="a b", endpoint=endpoint, signed_headers=["host"])

    assert link.url.partition("?")[0] == address
    assert endpoint.host(BUCKET) == address.split("/")[2]
    assert endpoint.url(BUCKET, "a%20b") == address
    assert verify("GET", link.url, credentials=KEYS, endpoint=endpoint, bucket=BUCKET, now=NOW).ok


def test_a_cloud_box_is_named_in_the_scope() -> None:
    for make in CONSTRUCTORS:
        link = sign(endpoint=make("cb-f8z7yvzgwfkl9q0h", product="oss-cloudbox"))
        assert "%2Fcb-f8z7yvzgwfkl9q0h%2Foss-cloudbox%2Faliyun_v4_request" in link.url


@pytest.mark.parametrize(
    "region",
    [
        "",
        "CN-hangzhou",
        "cn_hangzhou",
        "cn-hangzhou.",
        "-cn",
        "cn-",
        "cn/hangzhou",
        "cn\n",
        "é",
        None,
        1,
    ],
)
def test_an_invalid_region_is_refused(region: str) -> None:
    for make in CONSTRUCTORS:
        with pytest.raises(InvalidEndpoint) as caught:
            make(region)
        assert caught.value.value == region


@pytest.mark.parametrize("name", ["oss-cloudbox2", "oss2", "s3", "OSS", "oss ", "", None, 1])
def test_a_product_that_oss_does_not_sign_for_is_refused(name: str) -> None:
    calls: list[Callable[[], object]] = [
        partial(make, REGION, product=name) for make in CONSTRUCTORS
    ]
    calls.append(partial(sign, endpoint=Endpoint.public(REGION)._replace(product=name)))
    for call in calls:
        with pytest.raises(InvalidEndpoint, match="expected oss or oss-cloudbox") as caught:
            call()
        assert caught.value.value == name


def test_the_name_of_an_endpoint_is_refused_with_the_region_in_it() -> None:
    with pytest.raises(InvalidEndpoint, match="remove the prefix, the region is 'cn-hangzhou'"):
        Endpoint.public("oss-cn-hangzhou")


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "static.example.com",
        "//static.example.com",
        "ftp://static.example.com",
        "https://",
        *(
            "https://static.example.com" + end
            for end in ("/prefix", "/?", "?a=1", "#a", ":0", ":65536", ":", "\n")
        ),
        *(
            f"https://{host}"
            for host in ("user@a.example", "a example", ".example.com", "éxample.com")
        ),
        *(f"https://{host}" for host in ("[foo", "[foo]", "foo]", "user:sEXAMPLE@[::1")),
        "https://example.com\\@evil.example",
    ],
)
def test_an_address_must_be_only_scheme_and_host(address: str) -> None:
    for make in (Endpoint.custom_domain, Endpoint.path_style):
        with pytest.raises(InvalidEndpoint, match="expected only scheme and host") as caught:
            make(address, REGION)
        assert "sEXAMPLE" not in str(caught.value)


def test_a_host_of_oss_is_the_endpoint_of_its_region() -> None:
    for url, endpoint in (
        ("https://oss-cn-hangzhou.aliyuncs.com", Endpoint.public(REGION)),
        ("http://OSS-cn-hangzhou.aliyuncs.com/", Endpoint.public(REGION)._replace(scheme="http")),
        ("https://oss-cn-hangzhou-internal.aliyuncs.com", Endpoint.internal(REGION)),
        ("https://oss-accelerate.aliyuncs.com", Endpoint.accelerate(REGION)),
        ("https://oss-accelerate-overseas.aliyuncs.com", OVERSEAS),
        ("https://cn-hangzhou.oss.aliyuncs.com", Endpoint.dual_stack(REGION)),
    ):
        assert Endpoint.custom_domain(url, REGION) == endpoint


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("oss-cn-hzfinance.aliyuncs.com", "cn-hangzhou-finance"),
        ("oss-cn-hzjbp-a-internal.aliyuncs.com", "cn-hangzhou-finance"),
        ("oss-cn-szfinance.aliyuncs.com", "cn-shenzhen-finance-1"),
        ("oss-cn-shanghai-finance-1-pub.aliyuncs.com", "cn-shanghai-finance-1"),
    ],
)
def test_a_host_of_the_finance_cloud_is_signed_for_the_id_of_its_region(
    host: str, region: str
) -> None:
    assert Endpoint.custom_domain(f"https://{host}", region).host(BUCKET) == f"{BUCKET}.{host}"
    with pytest.raises(InvalidEndpoint, match=region):
        Endpoint.custom_domain(f"https://{host}", REGION)


@pytest.mark.parametrize(
    "url",
    [
        "https://oss-us-west-1.aliyuncs.com",
        "https://oss-us-west-1-internal.aliyuncs.com",
        "https://us-west-1.oss.aliyuncs.com:443",
        "https://examplebucket.oss-cn-hangzhou.aliyuncs.com",
        "https://examplebucket.oss-accelerate.aliyuncs.com",
    ],
)
def test_a_host_of_oss_in_another_region_or_with_a_bucket_is_refused(url: str) -> None:
    with pytest.raises(InvalidEndpoint, match=r"aliyuncs\.com"):
        Endpoint.custom_domain(url, REGION)


@pytest.mark.parametrize(
    "host", ["oss-cn-hangzhou", "oss-cn-hangzhou-internal", "oss-accelerate", "cn-hangzhou.oss"]
)
def test_a_host_of_oss_is_never_path_style(host: str) -> None:
    with pytest.raises(InvalidEndpoint, match="OSS refuses a bucket in the path"):
        Endpoint.path_style(f"https://{host}.aliyuncs.com", REGION)


@pytest.mark.parametrize(
    "host",
    [
        "cn-hangzhou-internal.oss-data-acc",
        "oss-cn-hangzhou.oss-object-process",
        "cn-hangzhou.oss-dls",
        "cn-hangzhou-internal.oss-dls",
        "s3.oss-accelerate",
        "oss-internal",
        "oss-cn-internal",
        "cn-hangzhou-internal.oss",
        "oss-cn-hangzhou.oss",
        "oss-cn-",
        "oss",
    ],
)
def test_a_host_of_another_service_has_neither_a_bucket_nor_a_region(host: str) -> None:
    assert parse_oss_host(f"{host}.aliyuncs.com") is None


def test_every_host_of_a_region_is_read_with_and_without_a_bucket() -> None:
    hosts = (
        ("public", "oss-{}"),
        ("public", "s3.oss-{}"),
        ("internal", "oss-{}-internal"),
        ("dual-stack", "{}.oss"),
    )
    for region, (kind, host) in product([*KNOWN_REGIONS, "xx-new-1"], hosts):
        domain = f"{host.format(region)}.aliyuncs.com"
        assert parse_oss_host(domain) == (kind, region, None, domain)
        assert parse_oss_host(f"{BUCKET}.{domain}") == (kind, region, BUCKET, domain)


@pytest.mark.parametrize("region", ["cn-hangzhou-internal", "accelerate", "accelerate-overseas"])
def test_the_name_of_another_endpoint_is_not_a_region(region: str) -> None:
    with pytest.raises(InvalidEndpoint, match="name of an endpoint"):
        Endpoint.public(region)


def test_no_address_is_signed_that_explain_calls_broken() -> None:
    of_oss = (
        "http://oss-{}.aliyuncs.com",
        "https://oss-{}-internal.aliyuncs.com",
        "http://{}.oss.aliyuncs.com",
    )
    names = (
        REGION,
        "xx-new-1",
        "accelerate",
        "accelerate-overseas",
        "cn-hangzhou-internal",
        "127.0.0.1",
        "localhost",
    )
    makes = (Endpoint.custom_domain, Endpoint.path_style)
    for make, form, name, region in product(
        makes, ("https://{}", *of_oss), names, (REGION, "xx-new-1")
    ):
        with suppress(InvalidEndpoint):
            endpoint = make(form.format(name), region)
            bucket = BUCKET if endpoint.addressing == "custom" else None
            found = explain(sign(endpoint=endpoint).url, now=NOW, bucket=bucket, inside=True)
            assert found.findings == (), endpoint


def test_a_misspelt_region_is_told_from_a_new_one() -> None:
    assert closest_region("cn-hangzou") == closest_region("cn-hangzuo") == "cn-hangzhou"
    assert closest_region("cn-shangai") == "cn-shanghai"
    assert closest_region("ap-southeast1") == "ap-southeast-1"
    assert closest_region("xcn-hangzou") == "cn-hangzhou"
    assert closest_region("us-ewst-2") == "us-west-1"
    assert closest_region("cn-guiyang") is None
    assert closest_region("moon-base-9") is None
    assert {closest_region(region) for region in KNOWN_REGIONS} == set(KNOWN_REGIONS)


@pytest.mark.parametrize("create", CONSTRUCTORS)
@pytest.mark.parametrize(
    ("region", "meant"),
    [
        ("cn-hangzou", "cn-hangzhou"),
        ("ap-southeast1", "ap-southeast-1"),
        ("cn-wuhan", "cn-wuhan-lr"),
    ],
)
def test_a_misspelt_region_is_warned_of_and_makes_an_endpoint(
    create: Callable[..., Endpoint], region: str, meant: str
) -> None:
    expected = rf"Unknown region '{region}' \(did you mean {meant}\?\): OSS refuses"
    with pytest.warns(UserWarning, match=expected) as warned:
        assert create(region).region == region
    assert len(warned) == 1


@pytest.mark.parametrize(
    "region", ["eu-central-2", "us-ewst-2", "cn-guiyang", "xx-new-1", *KNOWN_REGIONS]
)
def test_neither_a_new_region_nor_a_known_one_is_warned_of(region: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for create in CONSTRUCTORS:
            assert create(region).region == region


def test_a_process_is_warned_of_a_region_once() -> None:
    program = """
from signer import Endpoint
for _ in range(3):
    Endpoint.public("cn-hangzou")
    Endpoint.internal("cn-hangzou")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.count("did you mean cn-hangzhou?") == 1


@pytest.mark.parametrize(
    ("address", "region", "expected"),
    [
        ("", "cn-hangzhou", Endpoint.public("cn-hangzhou")),
        ("oss-cn-beijing-internal.aliyuncs.com", "", Endpoint.internal("cn-beijing")),
        ("https://oss-accelerate.aliyuncs.com", "cn-beijing", Endpoint.accelerate("cn-beijing")),
        ("http://127.0.0.1:9001", "cn-x", Endpoint.path_style("http://127.0.0.1:9001", "cn-x")),
        ("http://[::1]:9001", "cn-x", Endpoint.path_style("http://[::1]:9001", "cn-x")),
        (
            "static.example.com",
            "cn-x",
            Endpoint.custom_domain("https://static.example.com", "cn-x"),
        ),
    ],
)
def test_the_environment_names_an_endpoint(address: str, region: str, expected: Endpoint) -> None:
    assert Endpoint.from_environment({"OSS_ENDPOINT": address, "OSS_REGION": region}) == expected


@pytest.mark.parametrize("address", ["", "https://static.example.com", "https://a/b"])
def test_an_environment_without_a_region_or_with_a_path_is_refused(address: str) -> None:
    with pytest.raises(InvalidEndpoint, match=r"OSS_REGION is not set|only scheme and host"):
        Endpoint.from_environment({"OSS_ENDPOINT": address})
