"""The stack: an OSS that checks signatures and the functions of an `s.yaml`, started and ended together."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import IO

import pytest
import requests

from local import sample
from local.fc.s_yaml import TemplateError
from local.server import PortTaken
from local.stack import Stack, StackError
from signer import Credentials, Endpoint, presign

ROOT = Path(__file__).parents[2]
FUNCTIONS = Path(__file__).parent / "functions"


def config(folder: Path, *functions: str, variables: str = "bucket: reports", last_runtime: str = "python3.10") -> Path:
    """An s.yaml whose functions have the given props in YAML's flow style, beyond the least that is needed."""
    lines = [f"vars: {{{variables}}}", "resources:"]
    for number, props in enumerate(functions):
        runtime = last_runtime if number == len(functions) - 1 else "python3.10"
        least = f"functionName: f{number}, region: cn-beijing, runtime: {runtime}, code: {FUNCTIONS}, role: reader"
        lines.append(f"  f{number}: {{component: fc3, props: {{{least}, {props}}}}}")
    path = folder / "s.yaml"
    path.write_text("\n".join(lines))
    return path


WEB = "triggers: [{triggerName: web, triggerType: http, triggerConfig: {authType: anonymous, methods: [GET]}}]"


@pytest.fixture
def log() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        yield file


def test_the_repositorys_own_functions_hand_out_a_link_that_the_stand_in_accepts(log: IO[bytes]) -> None:
    with Stack.start(config=ROOT / "s.yaml", log=log) as stack:
        address = sample.put(stack)
        assert address == stack.http_url + "/exampledir/exampleobject.txt"
        answer = requests.get(address, timeout=20)
        (redirect,) = answer.history
        forged = requests.get(redirect.headers["Location"].replace("exampleobject", "another"), timeout=20)
        unsigned = requests.get(redirect.headers["Location"].partition("?")[0], timeout=20)
    assert (redirect.status_code, answer.status_code, answer.content) == (302, 200, sample.CONTENT)
    assert redirect.headers["Location"].startswith(f"{stack.oss_url}/{stack.bucket}/exampledir/")
    assert (forged.status_code, unsigned.status_code) == (403, 403)
    log.seek(0)
    assert json.loads(log.readline())["status"] == 302


def test_the_sample_never_replaces_what_is_stored(log: IO[bytes], tmp_path: Path) -> None:
    with Stack.start(config=ROOT / "s.yaml", log=log, root=tmp_path) as stack:
        address = sample.put(stack)
        assert address is not None
        link = presign(
            "PUT",
            stack.bucket,
            "exampledir/exampleobject.txt",
            credentials=stack.credentials,
            endpoint=Endpoint.path_style(stack.oss_url, stack.region),
        )
        requests.put(link.url, data=b"mine", headers=dict(link.headers), timeout=20).raise_for_status()
        assert sample.put(stack) == address
        assert requests.get(address, timeout=20).content == b"mine"


def test_what_is_stored_under_a_root_is_there_at_the_next_start(log: IO[bytes], tmp_path: Path) -> None:
    with Stack.start(config=ROOT / "s.yaml", log=log, root=tmp_path / "samples") as stack:
        sample.put(stack)
    with Stack.start(config=ROOT / "s.yaml", log=log, root=tmp_path / "samples") as stack:
        answer = requests.get(stack.http_url + "/exampledir/exampleobject.txt", timeout=20)
    assert answer.content == sample.CONTENT


def test_without_a_root_the_objects_go_with_the_stack(tmp_path: Path) -> None:
    with Stack.start(config=config(tmp_path, f"handler: shown.event_of, {WEB}")) as stack:
        assert stack.root.is_dir()
    assert not stack.root.exists()


def test_credentials_are_new_at_each_start_and_look_like_those_of_a_role(tmp_path: Path) -> None:
    path = config(tmp_path, f"handler: shown.context_of, {WEB}")
    seen: list[Credentials] = []
    for _ in range(2):
        with Stack.start(config=path) as stack:
            given = requests.get(stack.http_url, timeout=20).json()["credentials"]
            seen.append(stack.credentials)
        assert Credentials(**given) == stack.credentials
        assert stack.credentials.access_key_id.startswith("STS.")
        assert len(stack.credentials.security_token or "") > 500
    assert not set(seen[0]) & set(seen[1]) - {None}


def test_a_function_is_told_where_the_stand_in_is(tmp_path: Path) -> None:
    path = config(tmp_path, f"handler: shown.environment, environmentVariables: {{LINK_NAME: ours}}, {WEB}")
    with Stack.start(config=path, environment={"LINK_NAME": "theirs", "EXTRA": "1"}) as stack:
        variables = requests.get(stack.http_url, timeout=20).json()
    assert variables["LINK_OSS_ENDPOINT"] == stack.oss_url
    assert (variables["LINK_NAME"], variables["EXTRA"]) == ("theirs", "1")


def test_s_yaml_sees_the_given_environment(tmp_path: Path) -> None:
    path = config(tmp_path, f"handler: shown.event_of, {WEB}", variables="bucket: \"${env('LINK_BUCKET', 'none')}\"")
    with Stack.start(config=path, environment={"LINK_BUCKET": "given-bucket"}) as stack:
        assert stack.bucket == "given-bucket"


@pytest.mark.parametrize(
    ("props", "variables", "bucket"),
    [
        ("environmentVariables: {LINK_BUCKET: own-bucket}", "bucket: reports", "own-bucket"),
        ("environmentVariables: {LINK_BUCKET: ''}", "bucket: reports", "reports"),
        ("timeout: 3", "bucket: reports", "reports"),
        ("timeout: 3", "", "examplebucket"),
    ],
)
def test_the_bucket_is_the_functions_then_that_of_vars(tmp_path: Path, props: str, variables: str, bucket: str) -> None:
    path = config(tmp_path, f"handler: shown.event_of, {props}, {WEB}", variables=variables)
    with Stack.start(config=path, root=tmp_path / "objects") as stack:
        assert stack.bucket == bucket
        assert stack.region == "cn-beijing"
        assert (tmp_path / "objects" / bucket).is_dir()


def test_every_bucket_that_a_mount_names_is_there(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(
        dedent("""
            region = "cn-beijing"
            [[mount]]
            path = "/a/"
            target = "oss://second-bucket/a/"
            access = "anonymous"
        """)
    )
    variables = f"environmentVariables: {{LINK_BUCKET: first-bucket, LINK_CONFIG: {tmp_path / 'policy.toml'}}}"
    path = config(tmp_path, f"handler: shown.event_of, {variables}, {WEB}")
    with Stack.start(config=path, root=tmp_path / "objects") as stack:
        assert (stack.bucket, [mount.path for mount in stack.mounts]) == ("first-bucket", ["/a/"])
        assert (tmp_path / "objects" / "second-bucket").is_dir()
        assert sample.put(stack) == stack.http_url + "/a/exampleobject.txt"


def test_each_http_function_has_a_port_of_its_own_and_the_others_can_be_invoked(tmp_path: Path) -> None:
    path = config(
        tmp_path, f"handler: shown.environment, {WEB}", f"handler: late.on_http, {WEB}", "handler: late.words.own_name"
    )
    with Stack.start(config=path) as stack:
        assert list(stack.urls) == ["f0", "f1"]
        assert stack.urls["f0"] == stack.http_url
        assert requests.get(stack.urls["f0"], timeout=20).json()["FC_FUNCTION_NAME"] == "f0"
        assert requests.get(stack.urls["f1"], timeout=20).text == "late but here"
        assert stack.runtime.invoke("f2", b"").payload == b"late.words"


def test_a_runtime_that_a_laptop_lacks_is_noted(tmp_path: Path) -> None:
    path = config(tmp_path, f"handler: shown.event_of, {WEB}", f"handler: x.y, {WEB}", last_runtime="custom.debian10")
    with Stack.start(config=path) as stack:
        assert stack.notes == ("f1 is not run: a laptop has no runtime custom.debian10.",)
        assert list(stack.urls) == ["f0"]


# What does not start


def test_an_initializer_that_fails_is_told_at_the_start(tmp_path: Path, log: IO[bytes]) -> None:
    hook = "instanceLifecycleConfig: {initializer: {handler: started.refuse}}"
    variables = f"environmentVariables: {{STARTED_IN: {tmp_path}}}"
    path = config(tmp_path, f"handler: started.how_often, {hook}, {variables}, {WEB}")
    with pytest.raises(StackError, match=r"f0 does not start: links\.toml: the mount names no bucket"):
        Stack.start(config=path, log=log)
    with Stack.start(config=path, log=log, warm=False) as stack:
        assert requests.get(stack.http_url, timeout=20).status_code == 502


def test_the_repositorys_own_policy_is_checked_at_the_start(tmp_path: Path, log: IO[bytes]) -> None:
    bad = tmp_path / "links.toml"
    bad.write_text('region = "cn-hangzhou"\nmounts = 1\n')
    with pytest.raises(StackError, match="the key 'mounts' is not known"):
        Stack.start(config=ROOT / "s.yaml", log=log, environment={"LINK_CONFIG": str(bad)})


@pytest.mark.parametrize("port", ["http_port", "oss_port"])
def test_a_port_that_is_taken_is_told_with_its_option(tmp_path: Path, port: str) -> None:
    path = config(tmp_path, f"handler: shown.event_of, {WEB}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {number} cannot be used .* --{port.replace('_', '-')}"):
            Stack.start(config=path, **{port: number})


def test_a_config_without_an_http_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no function with an http trigger"):
        Stack.start(config=config(tmp_path, "handler: shown.event_of"))


def test_a_missing_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="does not exist"):
        Stack.start(config=tmp_path / "s.yaml")


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = config(tmp_path, f"handler: shown.event_of, {WEB}")
    with pytest.raises(StackError, match="cannot hold the objects"):
        Stack.start(config=path, root=path)


def test_a_bucket_name_that_oss_has_not_is_refused(tmp_path: Path) -> None:
    path = config(tmp_path, f"handler: shown.event_of, {WEB}", variables="bucket: No_Bucket")
    with pytest.raises(StackError, match="Invalid bucket name 'No_Bucket'"):
        Stack.start(config=path)


def test_after_a_failed_start_the_ports_are_free_again(tmp_path: Path, log: IO[bytes]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    with pytest.raises(StackError):
        Stack.start(config=config(tmp_path, f"handler: unloadable.handler, {WEB}"), http_port=number, log=log)
    with Stack.start(config=config(tmp_path, f"handler: shown.event_of, {WEB}"), http_port=number) as stack:
        assert stack.http_url == f"http://127.0.0.1:{number}"
