"""A custom runtime starts and watches the server as handler.wsgi needs."""

from __future__ import annotations

import pytest

from deploy.checks import custom_runtime
from handler import gunicorn_conf, wsgi
from tests.deploy.checks import shipped
from tests.deploy.checks.shipped import Props


def faults(props: Props) -> list[str]:
    return list(custom_runtime.faults(props))


def python(path: str) -> list[str]:
    return [path, "-m", "gunicorn"]


def threads(*arguments: str) -> list[str]:
    return [*arguments, "handler.wsgi:app"]


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
    ],
)
def test_another_python_than_the_one_of_the_build_is_a_fault(runtime: str, program: str, version: str) -> None:
    props = {**shipped.custom(command=python(program)), "runtime": runtime}
    assert faults(props) == [
        f"customRuntimeConfig.command starts {program}, but the build for {runtime} is for Python {version}: start "
        f"/var/fc/lang/python{version}/bin/python3."
    ]
    own = f"/var/fc/lang/python{version}/bin/python3"
    assert faults({**shipped.custom(command=python(own)), "runtime": runtime}) == []


@pytest.mark.parametrize(
    ("arguments", "value"),
    [(("--threads", "20"), "20"), (("--threads=25",), "25"), ((), "none"), (("--threads",), "handler.wsgi:app")],
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
    health = {"httpGetUrl": "/health"}
    assert faults(shipped.custom(healthCheckConfig=health)) == [
        "customRuntimeConfig.healthCheckConfig.httpGetUrl must be /-/health (got /health)."
    ]
    assert faults({**shipped.custom(), "instanceLifecycleConfig": {}}) == [
        "instanceLifecycleConfig.initializer.handler is missing, so only the first request discovers an invalid "
        "links.toml: write handler.on_initialize."
    ]


def test_another_server_than_gunicorn_is_a_fault() -> None:
    assert faults(shipped.custom(command=["/code/start"], args=[])) == [
        "customRuntimeConfig.command must start gunicorn: a custom runtime serves HTTP itself."
    ]
