"""Rights on the laptop: each function has those of a deployment, and its mounts' sessions are of the local STS."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import oss2
import pytest
import requests

from handler.core.cloud.sts import StsUnavailable, assume_role
from handler.core.config.rights import policy, session_policy
from local import rights
from local.account import OPERATOR, Account, make_roles
from local.errors import LocalError
from local.fc.functions import Function, HttpTrigger
from local.stack import Stack
from signer import Credentials, Endpoint, presign
from signer.common.sts import MAX_POLICY
from signer.emulator.ram import ACCOUNT
from tests.handler.client import make_config

ROOT = Path(__file__).parents[2]
SIGNER = f"acs:ram::{ACCOUNT}:role/links-signer"
HTTP_ROLE = f"acs:ram::{ACCOUNT}:role/links-http-dev-role"
LINKS = f"""
region = "cn-hangzhou"
keys = "oss://examplebucket/a/keys.json"

[assume_role]
role = "{SIGNER}"
duration = "2h"

[[mount]]
path = "/a/"
target = "oss://examplebucket/a/"
access = "anonymous"
max_expires = "12h"
"""
OTHER = '\n[[mount]]\npath = "/b/"\ntarget = "oss://examplebucket/b/"\nrole = "acs:ram::1000000000000001:role/other"\n'


def function(handler: str = "handler.on_http", **changes: Any) -> Function:
    http = HttpTrigger("http", ("GET",), "anonymous")
    values = {
        "role": "links-role",
        "http": http if handler == "handler.on_http" else None,
        **changes,
    }
    return Function("links", "links", "cn-hangzhou", "python3.10", handler, ROOT, **values)


def layers(account: Account, key: Credentials) -> tuple[Any, ...]:
    principal = account.principals.find(key.access_key_id)
    assert principal is not None
    return principal.layers


# --- roles ------------------------------------------------------------------------------------------------------------


def test_a_function_has_the_policy_of_its_deployment() -> None:
    config = make_config(LINKS)
    roles = make_roles(
        [(function(), config), (function("handler.on_event", role="events-role"), config)]
    )
    web = rights.role_statements(config, web=True, events=False)
    assert roles[f"acs:ram::{ACCOUNT}:role/links-role"].policies == (policy(web),)
    assert rights.role_statements(config, web=False, events=True) != web
    assert roles[SIGNER].max_session_duration == 7200
    # The event function has no notice, and so opens no session.
    assert roles[SIGNER].trusted == {OPERATOR, f"acs:ram::{ACCOUNT}:role/links-role"}


def test_only_functions_of_this_project_with_a_links_toml_are_limited() -> None:
    config = make_config(LINKS)
    for handler, links, is_limited in (
        ("handler.on_http", config, True),
        ("handler.on_http", None, False),
        ("other.handler", config, False),
    ):
        account, one = Account(), function(handler)
        account.set_rights([(one, links)])
        (layer,) = layers(account, account.credentials_of(one))
        assert (layer[0].statements[0].actions != ("*",)) is is_limited


def test_a_function_gets_new_credentials_before_the_old_ones_expire() -> None:
    now = [1_764_000_000.0]
    account, one = Account(lambda: now[0]), function()
    account.set_rights([(one, None)])
    key = account.credentials_of(one)
    principal = account.principals.find(key.access_key_id)
    assert principal is not None
    assert (principal.arn, principal.expires_at) == (
        f"acs:ram::{ACCOUNT}:assumed-role/links-role/links",
        now[0] + 36 * 3600,
    )
    now[0] += 35 * 3600
    assert account.credentials_of(one) == key
    now[0] += 1
    assert account.credentials_of(one) != key


def test_a_key_that_ram_cannot_express_is_an_error() -> None:
    config = make_config(
        'region = "cn-hangzhou"\n[[mount]]\npath = "/a/"\ntarget = "oss://examplebucket/a*/"\n'
    )
    with pytest.raises(LocalError, match=r"must not contain \* or \?"):
        make_roles([(function(), config)])


# --- the running stack ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("account")


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    links = folder / "links.toml"
    links.write_text(LINKS)
    environment = {"LINK_CONFIG": str(links)}
    with (
        (folder / "log").open("w+b") as log,
        Stack.start(ROOT / "s.yaml", environment=environment, log=log) as running,
    ):
        endpoint = Endpoint.path_style(running.oss_url, running.region)
        for key in ("a/1.txt", "a/keys.json", "b/2.txt"):
            link = presign(
                "PUT", running.bucket, key, credentials=running.credentials, endpoint=endpoint
            )
            assert requests.put(link.url, data=b'{"version": 1}', timeout=20).status_code == 200
        yield running


def test_an_official_sdk_with_the_sessions_credentials_is_refused_outside_the_mount(
    stack: Stack,
) -> None:
    answer = requests.get(f"{stack.http_url}/a/1.txt?format=json&expires=12h", timeout=20)
    assert answer.status_code == 200, answer.text
    key_id = parse_qs(urlsplit(answer.json()["url"]).query)["x-oss-credential"][0].partition("/")[0]
    session = stack.account.principals.find(key_id)
    assert session is not None
    provider = oss2.credentials.StaticCredentialsProvider(*session.credentials[:3])
    bucket: Any = oss2.Bucket(
        oss2.ProviderAuthV4(provider), stack.oss_url, stack.bucket, region=stack.region
    )
    assert bucket.get_object("a/1.txt").status == 200
    for key, ec in (
        ("b/2.txt", "0003-00000202"),
        ("a/keys.json", "0003-00000201"),
        ("a/1.txt", "0003-00000202"),
    ):
        with pytest.raises(oss2.exceptions.AccessDenied) as caught:
            bucket.put_object(key, b"") if key == "a/1.txt" else bucket.get_object(key)
        error: Any = caught.value
        assert (error.status, error.details["EC"]) == (403, ec)


def test_the_operator_may_assume_every_role_and_a_function_only_those_of_its_mounts(
    stack: Stack,
) -> None:
    def assume(role: str, keys: Credentials) -> Credentials:
        return assume_role(stack.sts_url, role, "operator", "", 3600, keys, time.time()).credentials

    own = stack.account.credentials_of(stack.function)
    assert assume(SIGNER, own)
    assert assume(SIGNER, stack.credentials)
    assert assume(HTTP_ROLE, stack.credentials)
    with pytest.raises(StsUnavailable, match="NoPermission"):
        assume(HTTP_ROLE, own)
    # What only its sessions may.
    endpoint = Endpoint.path_style(stack.oss_url, stack.region)
    link = presign("GET", stack.bucket, "a/1.txt", credentials=own, endpoint=endpoint)
    assert requests.get(link.url, timeout=20).headers["x-oss-ec"] == "0003-00000202"


def test_a_redirect_with_the_longest_policy_fits_into_the_headers_of_function_compute(
    folder: Path, stack: Stack
) -> None:
    """What is reserved makes the policy longer, up to STS's 2,048 bytes."""
    name = "z" * 60
    sinks = "".join(
        f'[[sink]]\nname = "s{n}"\ntarget = "oss://examplebucket/a/{name}{n:02}/"\n'
        for n in range(19)
    )
    config = make_config(LINKS + sinks)
    policy = session_policy(config, config.mounts[0])
    padding = "x" * (MAX_POLICY - len(policy))
    longest = LINKS + sinks.replace("00/", f"00{padding}/")
    assert len(session_policy(make_config(longest), make_config(longest).mounts[0])) == 2048
    (folder / "links.toml").write_text(longest)
    stack.reload()
    try:
        answer = requests.get(f"{stack.http_url}/a/1.txt", timeout=20)
    finally:
        (folder / "links.toml").write_text(LINKS)
        stack.reload()
    assert answer.status_code == 200
    (redirect,) = answer.history
    assert 3000 < sum(len(name) + len(value) + 4 for name, value in redirect.headers.items()) < 8192
