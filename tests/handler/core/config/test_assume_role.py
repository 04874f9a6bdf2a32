"""[assume_role], and the keys role and region of a mount."""

from __future__ import annotations

from typing import Any

import pytest

from handler.core.cloud.oss import client_for, mount_client
from handler.core.config import AssumeRole, Config
from handler.core.config.load import read
from handler.core.config.rights import session_policy
from handler.core.context import Invocation
from tests.handler.client import KEYS, NOW, ask, context, new_instance
from tests.handler.core.config.tables import A_MOUNT, UPLOADS, document, refusal

ROLE = "acs:ram::1000000000000001:role/links-signer"
OTHER_ROLE = "acs:ram::1000000000000001:role/links-archive"


def config(*mounts: dict[str, Any], region: str = "cn-hangzhou", **table: Any) -> Config:
    tables = [{**A_MOUNT, **mount} for mount in mounts]
    return read(document(*tables, region=region, assume_role={"role": ROLE, **table}), {})


def refused(*mounts: dict[str, Any], **table: Any) -> str:
    tables = [{**A_MOUNT, **mount} for mount in mounts]
    return refusal(document(*tables, assume_role={"role": ROLE, **table}))


# --- the table ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "seconds", "host"),
    [
        ({}, 3600, "sts.cn-hangzhou.aliyuncs.com"),
        ({"region": "ap-southeast-1"}, 3600, "sts.ap-southeast-1.aliyuncs.com"),
        (
            {"endpoint": "sts-vpc.cn-hangzhou.aliyuncs.com"},
            3600,
            "sts-vpc.cn-hangzhou.aliyuncs.com",
        ),
        *(
            ({"duration": written}, seconds, "sts.cn-hangzhou.aliyuncs.com")
            for written, seconds in (("15m", 900), ("12h", 43_200), (3600, 3600))
        ),
    ],
)
def test_a_role_alone_has_the_regions_endpoint_and_one_hour(
    table: dict[str, Any], seconds: int, host: str
) -> None:
    assert config(**table).assume_role == AssumeRole(ROLE, seconds, f"https://{host}")


VALUES: dict[str, list[object]] = {
    "role": [
        "",
        7,
        "links-signer",
        "acs:ram::1000000000000001:user/links-signer",
        f"{ROLE}/session",
        "acs:ram::\u0661\u0662:role/links-signer",
    ],
    "duration": ["14m", 899, "13h", 43_201, True],
    "endpoint": [
        "https://sts.cn-hangzhou.aliyuncs.com",
        "sts.cn-hangzhou.aliyuncs.com/path",
        "STS",
        7,
    ],
    "policy": ["{}"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in VALUES for value in VALUES[name]]
)
def test_an_invalid_or_unknown_key_of_the_table_is_refused_by_name(
    name: str, value: object
) -> None:
    sentence = refused(**{name: value})
    assert sentence.startswith("assume_role: ")
    assert name in sentence
    assert refusal(document(assume_role=[{"role": ROLE}])) == "assume_role must be a table."


# --- on a laptop --------------------------------------------------------------------------------------------------


def test_link_sts_endpoint_sends_the_calls_to_a_local_sts() -> None:
    table = document(assume_role={"role": ROLE})
    assume_role = read(table, {"LINK_STS_ENDPOINT": "http://127.0.0.1:9002"}).assume_role
    assert assume_role == AssumeRole(ROLE, 3600, "http://127.0.0.1:9002")
    # test_file.py has the other addresses.
    assert refusal(table, {"LINK_STS_ENDPOINT": "https://sts.example.com"}).startswith(
        "LINK_STS_ENDPOINT"
    )


# --- mounts -------------------------------------------------------------------------------------------------------


def test_the_role_of_a_mount_requires_the_table_and_must_be_an_arn() -> None:
    own, default = config({"path": "/archive/", "role": OTHER_ROLE}, {"path": "/docs/"}).mounts
    assert (own.role_arn, default.role_arn) == (OTHER_ROLE, "")
    sentence = refusal(document({**A_MOUNT, "role": ROLE}))
    assert sentence == "mount /exampledir/: role requires the table [assume_role]."
    assert "mount /exampledir/: role must be the ARN" in refused({"role": "links-archive"})


@pytest.mark.parametrize(
    ("kind", "host"),
    [
        ("public", "examplebucket.oss-ap-southeast-1.aliyuncs.com"),
        ("https://static.example.com", "static.example.com"),
    ],
)
def test_links_of_a_mount_in_another_region_have_its_endpoint_and_scope(
    kind: str, host: str
) -> None:
    response = ask(
        config=read(document({**A_MOUNT, "region": "ap-southeast-1", "endpoint": kind}), {})
    )
    assert response.url.startswith(f"https://{host}/exampledir/a.txt?")
    assert "/ap-southeast-1/oss/aliyun_v4_request" in response.parameters["x-oss-credential"]


@pytest.mark.parametrize(
    ("changes", "domain"),
    [
        ({}, "oss-cn-hangzhou-internal.aliyuncs.com"),
        ({"region": "cn-hangzhou"}, "oss-cn-hangzhou-internal.aliyuncs.com"),
        ({"region": "ap-southeast-1"}, "oss-ap-southeast-1.aliyuncs.com"),
    ],
)
def test_the_functions_own_calls_to_another_region_go_by_the_public_endpoint(
    changes: dict[str, str], domain: str
) -> None:
    loaded = read(document({**A_MOUNT, **changes}), {})
    invocation = Invocation(new_instance(loaded), context(), NOW, {})
    client = mount_client(invocation, loaded.mounts[0])
    assert (client.endpoint.domain, client.endpoint.region) == (
        domain,
        changes.get("region", "cn-hangzhou"),
    )
    # The service's own objects stay in the region of the top level, and are read with the function's role.
    own = client_for(invocation)
    assert (own.endpoint.domain, own.credentials) == ("oss-cn-hangzhou-internal.aliyuncs.com", KEYS)


def test_max_expires_may_be_up_to_the_duration_and_cache_up_to_half_of_it() -> None:
    (mount,) = config({"max_expires": "12h", "expires": "12h"}, duration="12h").mounts
    assert (mount.expires, mount.max_expires) == (43_200, 43_200)
    keys = {"max_expires": "12h", "cache": "1h"}
    assert "cache" in refusal(document({**A_MOUNT, **keys}))
    assert config(keys, duration="2h").mounts[0].cache == 3600
    sentence = refused({"max_expires": "1h", "cache": "10m"}, duration="15m")
    assert sentence.startswith("mount /exampledir/: cache (600 s) must be at most half of duration")


# --- the session policy -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", ["c", "é", "季"])
def test_a_session_policy_of_exactly_2048_bytes_is_accepted(letter: str) -> None:
    def with_target(length: int) -> dict[str, Any]:
        sink = {"name": "manifest", "target": f"oss://examplebucket/{'b' * (length - 700)}/"}
        return document(
            {**A_MOUNT, "target": "oss://examplebucket/", "whole_bucket": True},
            {**A_MOUNT, "path": "/long/", "target": f"oss://otherbucket/{'a' * 700}/"},
            assume_role={"role": ROLE},
            sink=[
                sink,
                {
                    **sink,
                    "name": "second",
                    "target": f"oss://examplebucket/{letter * (900 // len(letter.encode()))}/",
                },
            ],
            notice=[{"on": "created", "mount": "/long/", "to": ["manifest", "second"]}],
        )

    def size_of(length: int) -> int:
        loaded = read(with_target(length), {})
        mount = next(mount for mount in loaded.mounts if mount.path == "/exampledir/")
        return len(session_policy(loaded, mount).encode())

    fitting = 1000 + 2048 - size_of(1000)
    assert size_of(fitting) == 2048
    sentence = refusal(with_target(fitting + 1))
    assert sentence.startswith(
        "mount /exampledir/: the session policy has 2049 bytes and exceeds STS's limit"
    )
    assert "use a shorter target" in sentence


# --- without the table --------------------------------------------------------------------------------------------


def test_without_the_table_nothing_of_it_is_read() -> None:
    loaded = read(
        document({**A_MOUNT, **UPLOADS}, credential_life="2h"),
        {"LINK_STS_ENDPOINT": "not an address"},
    )
    (mount,) = loaded.mounts
    assert (loaded.assume_role, loaded.credential_life, loaded.mounts.reserved) == (None, 7200, ())
    assert (mount.role_arn, mount.region, mount.own_endpoint) == (
        "",
        "cn-hangzhou",
        loaded.own_endpoint,
    )
    assert not loaded.cors_by_function
