"""The stack: an OSS that checks signatures and the functions of an `s.yaml`, started and stopped together."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import IO, Any

import pytest
import requests

from local.errors import LocalError
from local.stack import Stack
from signer import Credentials
from signer.emulator import client

ROOT = Path(__file__).parents[2]
FUNCTIONS = Path(__file__).parent / "functions"


def config(
    folder: Path,
    *functions: str,
    variables: str = "bucket: reports",
    last_runtime: str = "python3.10",
) -> Path:
    """An s.yaml whose functions have the required props and `functions`, further props in YAML's flow style."""
    lines = [f"vars: {{{variables}}}", "resources:"]
    for number, props in enumerate(functions):
        runtime = last_runtime if number == len(functions) - 1 else "python3.10"
        required = f"functionName: f{number}, region: cn-beijing, runtime: {runtime}, code: {FUNCTIONS}, role: reader"
        lines.append(f"  f{number}: {{component: fc3, props: {{{required}, {props}}}}}")
    path = folder / "s.yaml"
    path.write_text("\n".join(lines))
    return path


WEB = "triggers: [{triggerName: web, triggerType: http, triggerConfig: {authType: anonymous, methods: [GET]}}]"


def test_each_start_has_new_credentials_that_look_like_those_of_a_role(tmp_path: Path) -> None:
    path = config(tmp_path, f"handler: shown.context_of, {WEB}")
    seen: list[Credentials] = []
    for _ in range(2):
        with Stack.start(config=path) as stack:
            received = requests.get(stack.http_url, timeout=20).json()["credentials"]
            seen += [stack.credentials, Credentials(**received)]
        assert seen[-1].access_key_id.startswith("STS.")
        assert len(seen[-1].security_token or "") > 500
    assert len({keys.access_key_secret for keys in seen}) == 4


def test_its_buckets_allow_the_pages_of_its_own_service_and_keep_the_rules_of_others(
    tmp_path: Path,
) -> None:
    path = config(tmp_path, f"handler: shown.environment, {WEB}")
    rule = "<CORSRule><AllowedOrigin>https://a.example.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"

    def allowed(stack: Stack, origin: str, method: str) -> bool:
        headers = {"Origin": origin, "Access-Control-Request-Method": method}
        return requests.options(f"{stack.oss_url}/{stack.bucket}/a", headers=headers, timeout=20).ok

    with Stack.start(config=path, root=tmp_path / "oss", warm=False) as stack:
        origins = {
            "service": stack.http_url,
            "localhost": stack.http_url.replace("127.0.0.1", "localhost"),
            "no": "null",
        }
        assert [name for name, origin in origins.items() if allowed(stack, origin, "PUT")] == [
            "service"
        ]
        document = f"<CORSConfiguration>{rule}</CORSConfiguration>".encode()
        assert (
            client.request(stack, "PUT", stack.bucket, None, document, query={"cors": ""}).status
            == 200
        )
        assert not allowed(stack, stack.http_url, "PUT")
    with Stack.start(config=path, root=tmp_path / "oss", warm=False) as stack:
        assert allowed(stack, stack.http_url, "PUT")
        assert allowed(stack, "https://a.example.com", "GET")


def test_the_bucket_is_that_of_the_function_or_else_of_vars(tmp_path: Path) -> None:
    for props, variables, bucket in (
        ("environmentVariables: {LINK_BUCKET: own-bucket}", "bucket: reports", "own-bucket"),
        ("environmentVariables: {LINK_BUCKET: ''}", "bucket: reports", "reports"),
        ("timeout: 3", "bucket: reports", "reports"),
        ("timeout: 3", "", "examplebucket"),
    ):
        path = config(tmp_path, f"handler: shown.event_of, {props}, {WEB}", variables=variables)
        with Stack.start(config=path, root=tmp_path / "objects", warm=False) as stack:
            assert (stack.bucket, stack.region) == (bucket, "cn-beijing")
            assert (tmp_path / "objects" / bucket).is_dir()


def test_each_http_function_has_its_own_port_and_the_others_can_be_invoked_or_have_a_note(
    tmp_path: Path,
) -> None:
    named = f"handler: shown.environment, environmentVariables: {{LINK_NAME: ours}}, {WEB}"
    others = (
        f"handler: shown.environment, {WEB}",
        "handler: late.words.own_name",
        f"handler: x.y, {WEB}",
    )
    path = config(tmp_path, named, *others, last_runtime="custom.debian10")
    with Stack.start(config=path, environment={"LINK_NAME": "theirs", "EXTRA": "1"}) as stack:
        assert list(stack.urls) == ["f0", "f1"]
        assert stack.urls["f0"] == stack.http_url
        for name, address in stack.urls.items():
            variables = requests.get(address, timeout=20).json()
            # Shares and pages need no other public URL on this machine.
            assert (variables["FC_FUNCTION_NAME"], variables["LINK_PUBLIC_URL"]) == (
                name,
                stack.http_url,
            )
            assert variables["LINK_OSS_ENDPOINT"] == stack.oss_url
            assert (variables["LINK_NAME"], variables["EXTRA"]) == ("theirs", "1")
        assert stack.runtime.invoke("f2", b"").payload == b"late.words"
        assert stack.notes == (
            "Function f3 is skipped: runtime custom.debian10 is not available locally.",
        )


# What cannot start


def test_a_failing_initializer_is_reported_at_the_start(tmp_path: Path, log: IO[bytes]) -> None:
    hook = "instanceLifecycleConfig: {initializer: {handler: started.refuse}}"
    variables = f"environmentVariables: {{STARTED_IN: {tmp_path}}}"
    path = config(tmp_path, f"handler: started.how_often, {hook}, {variables}, {WEB}")
    with pytest.raises(
        LocalError, match=r"Function f0 failed to start: links\.toml: the mount names no bucket"
    ):
        Stack.start(config=path, log=log)
    with Stack.start(config=path, log=log, warm=False) as stack:
        assert requests.get(stack.http_url, timeout=20).status_code == 502


# links.toml changes

FEW = """
region = "cn-beijing"
[[mount]]
path = "/a/"
target = "oss://first-bucket/a/"
access = "anonymous"
"""


def test_a_changed_links_toml_is_read_again_and_an_invalid_one_fails_requests_until_it_is_corrected(
    tmp_path: Path, log: IO[bytes]
) -> None:
    links = tmp_path / "links.toml"
    links.write_text(FEW)
    with Stack.start(ROOT / "s.yaml", environment={"LINK_CONFIG": str(links)}, log=log) as stack:
        assert not stack.links_toml_changed()
        address = f"{stack.http_url}/b/x?format=json"
        assert requests.get(address, timeout=20).status_code == 404
        links.write_text(FEW.replace("access", "acess"))
        assert stack.links_toml_changed()
        with pytest.raises(LocalError, match="did you mean 'access'"):
            stack.reload()
        assert requests.get(address, timeout=20).status_code == 502
        links.unlink()
        assert stack.links_toml_changed()
        links.write_text(FEW.replace("/a/", "/b/").replace("first-bucket", "second-bucket"))
        assert stack.links_toml_changed()
        assert not stack.links_toml_changed()
        stack.reload()
        assert requests.get(address, timeout=20).status_code == 200
        assert (stack.root / "second-bucket/.oss/bucket.json").is_file()
    log.seek(0)
    assert b"Traceback" not in log.read()


@pytest.mark.parametrize(
    ("trigger", "options", "sentence"),
    [
        (
            "",
            {},
            r"a function with an http trigger and the runtime python3\.10 or python3\.12 is required",
        ),
        (WEB, {"root": Path(__file__)}, "Objects cannot be stored in"),
        (
            WEB,
            {"environment": {"MY_BUCKET": "No_Bucket"}},
            r"'No_Bucket'.* \(vars\.bucket or LINK_BUCKET\)\.",
        ),
    ],
)
def test_what_cannot_run_is_refused(
    trigger: str, options: Any, sentence: str, tmp_path: Path
) -> None:
    variables = "bucket: \"${env('MY_BUCKET', 'reports')}\""  # of the stack
    with pytest.raises(LocalError, match=sentence):
        Stack.start(
            config=config(tmp_path, f"handler: shown.event_of, {trigger}", variables=variables),
            **options,
        )


def test_after_a_failed_start_the_ports_are_free_again(tmp_path: Path, log: IO[bytes]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    with pytest.raises(LocalError):
        Stack.start(
            config=config(tmp_path, f"handler: unloadable.handler, {WEB}"),
            http_port=number,
            log=log,
        )
    with Stack.start(
        config=config(tmp_path, f"handler: shown.event_of, {WEB}"), http_port=number
    ) as stack:
        assert stack.http_url == f"http://127.0.0.1:{number}"
