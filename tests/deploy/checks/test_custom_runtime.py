"""A custom runtime starts and watches the server as handler.asgi needs, and has the settings of s.yaml."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from deploy.checks import custom_runtime
from deploy.checks.custom_runtime import ARGS
from handler import asgi, startup
from tests.deploy.checks import shipped
from tests.deploy.checks.shipped import Props

COMMAND = ["/var/fc/lang/python3.10/bin/python3", "-m", "uvicorn"]


def faults(props: Props) -> list[str]:
    return list(custom_runtime.faults(shipped.read(props)))


def expected(runtime: str = "custom.debian10", version: str = "3.10") -> str:
    line = f"/var/fc/lang/python{version}/bin/python3 -m uvicorn {' '.join(ARGS)}"
    return (
        f"customRuntimeConfig: command and args must be {line}, as in deploy/custom-runtime/s.yaml, with the Python "
        f"that the build for {runtime} is for."
    )


@pytest.mark.shipped_files
def test_it_has_the_same_settings_as_the_built_in_runtime() -> None:
    built_in, custom = shipped.web(), shipped.custom()
    for name in ("region", "environmentVariables", "triggers", "instanceLifecycleConfig"):
        assert custom[name] == built_in[name], name
    assert custom["logConfig"]["project"] == built_in["logConfig"]["project"]
    # Each is built for its runtime, in its own folder.
    assert custom["code"] != built_in["code"]


@pytest.mark.shipped_files
def test_the_server_has_as_many_threads_as_the_function_says() -> None:
    class Started(Exception):
        pass

    async def receive() -> Mapping[str, Any]:
        if "threads" in state:
            raise Started
        return {"type": "lifespan.startup"}

    async def send(message: Mapping[str, Any]) -> None:
        assert message["type"] == "lifespan.startup.complete"

    state: dict[str, Any] = {}
    with pytest.raises(Started):
        asyncio.run(asgi.app({"type": "lifespan", "state": state}, receive, send))
    assert (
        startup.THREADS
        == state["threads"]._max_workers
        == shipped.custom()["instanceConcurrency"] + 4
    )


@pytest.mark.parametrize(
    ("runtime", "program", "version"),
    [
        ("custom.debian11", "/var/fc/lang/python3.10/bin/python3", "3.12"),
        ("custom.debian10", "/var/fc/lang/python3.12/bin/python3", "3.10"),
        ("custom.debian10", "python3", "3.10"),
    ],
)
def test_another_python_than_the_one_of_the_build_is_a_fault(
    runtime: str, program: str, version: str
) -> None:
    props = {**shipped.custom(command=[program, "-m", "uvicorn"]), "runtime": runtime}
    assert faults(props) == [expected(runtime, version)]
    own = f"/var/fc/lang/python{version}/bin/python3"
    assert faults({**shipped.custom(command=[own, "-m", "uvicorn"]), "runtime": runtime}) == []


@pytest.mark.parametrize(
    ("command", "args"),
    [
        (["/code/start"], []),
        ([], [*COMMAND, *ARGS]),
        (None, [*ARGS]),
        (["sh", "-c", " ".join([*COMMAND, *ARGS])], None),
        (COMMAND, None),
        (COMMAND, ["other:app", *ARGS[1:]]),
        (COMMAND, [*ARGS, "--reload"]),
    ],
)
def test_a_command_that_does_not_start_this_server_is_a_fault(
    command: object, args: object
) -> None:
    assert faults(shipped.custom(command=command, args=args)) == [expected()]


def test_the_environment_must_not_set_options_of_the_server() -> None:
    props = shipped.custom()
    props["environmentVariables"]["UVICORN_ROOT_PATH"] = "/x"
    assert faults(props) == [
        "environmentVariables.UVICORN_ROOT_PATH is not allowed: args has all options of uvicorn."
    ]


def test_a_function_that_nothing_calls_is_a_fault() -> None:
    assert faults({**shipped.custom(), "triggers": []}) == [
        "triggers is missing, so nothing calls the function: add an http trigger."
    ]


def test_threads_are_four_more_than_concurrent_requests() -> None:
    assert faults({**shipped.custom(), "instanceConcurrency": 21}) == [
        "instanceConcurrency must be 20 (got 21), 4 less than THREADS in handler/startup.py, which "
        "serve health checks while all others wait: change both together."
    ]


def test_the_port_the_health_check_and_the_initializer_are_those_of_the_server() -> None:
    assert faults(shipped.custom(port=8080)) == [
        "customRuntimeConfig.port must be 9000 (got 8080): the server listens there."
    ]
    assert faults(shipped.custom(healthCheckConfig=None)) == [
        "customRuntimeConfig.healthCheckConfig.httpGetUrl must be /-/health (got none)."
    ]
    assert faults({**shipped.custom(), "instanceLifecycleConfig": {}}) == [
        "instanceLifecycleConfig.initializer.handler is missing, so only the first request discovers an invalid "
        "links.toml: write handler.on_initialize."
    ]
