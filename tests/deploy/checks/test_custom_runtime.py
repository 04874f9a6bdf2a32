"""A custom runtime starts and watches the server as handler.wsgi needs."""

from __future__ import annotations

import pytest

from deploy.checks import custom_runtime
from handler import gunicorn_conf, wsgi
from tests.deploy.checks import shipped
from tests.deploy.checks.shipped import Props


def faults(props: Props) -> list[str]:
    return list(custom_runtime.faults(shipped.read(props)))


START = ["/var/fc/lang/python3.10/bin/python3", "-m", "gunicorn"]
CONFIG = ["-c", "python:handler.gunicorn_conf"]
THREADS = ["--threads", "24"]
APP = "handler.wsgi:app"


def expected(runtime: str = "custom.debian10", version: str = "3.10") -> str:
    return (
        f"customRuntimeConfig: command and args must be /var/fc/lang/python{version}/bin/python3 -m gunicorn -c "
        "python:handler.gunicorn_conf --threads 24 handler.wsgi:app, with the Python that the build for "
        f"{runtime} is for, and without a shell. More options of gunicorn may stand before handler.wsgi:app."
    )


def threads(*arguments: str) -> list[str]:
    return [*CONFIG, *arguments, APP]


def test_the_shipped_functions_are_fine() -> None:
    for props in (shipped.custom(), *shipped.functions().values()):
        assert faults(props) == []


def test_the_values_are_those_of_the_server() -> None:
    assert custom_runtime.SPARE_THREADS == wsgi.SPARE_THREADS
    assert gunicorn_conf.bind.endswith(f":{custom_runtime.PORT}")


@pytest.mark.parametrize(
    ("runtime", "program", "version"),
    [
        ("custom.debian11", "/var/fc/lang/python3.10/bin/python3", "3.12"),
        ("custom.debian10", "/var/fc/lang/python3.12/bin/python3", "3.10"),
        ("custom.debian10", "python3", "3.10"),
        ("custom.debian10", "/usr/bin/python3", "3.10"),
    ],
)
def test_another_python_than_the_one_of_the_build_is_a_fault(runtime: str, program: str, version: str) -> None:
    props = {**shipped.custom(command=[program, "-m", "gunicorn"]), "runtime": runtime}
    assert faults(props) == [expected(runtime, version)]
    own = f"/var/fc/lang/python{version}/bin/python3"
    assert faults({**shipped.custom(command=[own, "-m", "gunicorn"]), "runtime": runtime}) == []


@pytest.mark.parametrize(
    ("command", "args"),
    [
        (["/code/start"], []),
        ([], [*START, *CONFIG, *THREADS, APP]),
        ([], [*CONFIG, *THREADS, APP]),
        (None, [*CONFIG, *THREADS, APP]),
        (["sh", "-c", " ".join([*START, *CONFIG, *THREADS, APP])], None),
        (START, [*THREADS, APP]),
        (START, [*CONFIG, *THREADS]),
        (START, None),
        (START, ["-c", "python:handler.server", *THREADS, APP]),
        (START, [*CONFIG, "--config=mine.py", *THREADS, APP]),
        (START, [*CONFIG, "--conf", "mine.py", *THREADS, APP]),
        (START, [*CONFIG, "-cmine.py", *THREADS, APP]),
        (START, [*CONFIG, *THREADS, "other:app"]),
        (START, [*CONFIG, *THREADS, "other:app", APP]),
        (START, ["other:app", *CONFIG, *THREADS, APP]),
    ],
)
def test_a_command_that_does_not_start_this_server_is_a_fault(command: object, args: object) -> None:
    assert faults(shipped.custom(command=command, args=args)) == [expected()]
    assert faults(shipped.custom(command=START, args=[*CONFIG, *THREADS, APP])) == []


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--bind", "0.0.0.0:8080"], "--bind"),
        (["--bind=0.0.0.0:8080"], "--bind"),
        (["--bin=0.0.0.0:8080"], "--bind"),
        (["-b", "0.0.0.0:8080"], "--bind"),
        (["-b0.0.0.0:8080"], "--bind"),
        (["--workers", "4"], "--workers"),
        (["-w4"], "--workers"),
        (["-k", "gevent"], "--worker-class"),
        (["-t", "30"], "--timeout"),
    ],
)
def test_an_option_that_replaces_what_the_configuration_sets_is_a_fault(arguments: list[str], name: str) -> None:
    assert faults(shipped.custom(args=threads(*THREADS, *arguments))) == [
        f"customRuntimeConfig: {name} is not allowed, because handler.gunicorn_conf sets it: remove it."
    ]


def test_other_options_of_gunicorn_are_allowed_but_not_in_its_environment_variable() -> None:
    props = shipped.custom(args=threads("--worker-tmp-dir", "/dev/shm", "--preload", *THREADS, "--backlog=64"))  # noqa: S108
    assert faults(props) == []
    props["environmentVariables"]["GUNICORN_CMD_ARGS"] = "--bind 0.0.0.0:8080"
    assert faults(props) == [
        "environmentVariables.GUNICORN_CMD_ARGS is not allowed: handler.gunicorn_conf sets what gunicorn needs."
    ]


def test_a_function_that_nothing_calls_is_a_fault() -> None:
    assert faults({**shipped.custom(), "triggers": []}) == [
        "triggers is missing, so nothing calls the function: add an http trigger."
    ]


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (("--threads", "20"), "20"),
        (("--threads=25",), "25"),
        ((), "none"),
        (("--threads",), "none"),
        (("--threads=24", "--threads", "1"), "1"),
        (("--threads=24", "--thr=2"), "2"),
    ],
)
def test_threads_are_four_more_than_concurrent_requests(arguments: tuple[str, ...], value: str) -> None:
    assert faults(shipped.custom(args=threads(*arguments))) == [
        f"customRuntimeConfig: --threads must be 24, 4 more than instanceConcurrency (got {value}): they serve health "
        "checks while all others wait."
    ]
    assert faults(shipped.custom(args=threads("--threads=24"))) == []


def test_one_request_at_a_time_is_the_default() -> None:
    props = shipped.custom(args=threads("--threads=5"))
    del props["instanceConcurrency"]
    assert faults(props) == []


def test_the_port_the_health_check_and_the_initializer_are_those_of_the_server() -> None:
    assert faults(shipped.custom(port=8080)) == [
        "customRuntimeConfig.port must be 9000 (got 8080): handler.gunicorn_conf listens there."
    ]
    for health, value in (({"httpGetUrl": "/health"}, "/health"), ({}, "none"), (None, "none")):
        assert faults(shipped.custom(healthCheckConfig=health)) == [
            f"customRuntimeConfig.healthCheckConfig.httpGetUrl must be /-/health (got {value})."
        ]
    assert faults({**shipped.custom(), "instanceLifecycleConfig": {}}) == [
        "instanceLifecycleConfig.initializer.handler is missing, so only the first request discovers an invalid "
        "links.toml: write handler.on_initialize."
    ]
