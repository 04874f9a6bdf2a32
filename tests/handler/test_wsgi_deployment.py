"""deploy/custom-runtime/s.yaml and the settings of its server fit each other and s.yaml."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
import yaml

from deploy import check, s_preview
from handler import gunicorn_conf, wsgi
from tests.handler.custom_runtime import ROOT, command, props

pytestmark = pytest.mark.shipped_files


@pytest.mark.skipif(not s_preview.INSTALLED_FOR_TESTS.exists(), reason="npm ci in tests/node brings s")
def test_it_can_be_deployed() -> None:
    assert check.check(ROOT / "deploy/custom-runtime/s.yaml").faults == []


def test_an_instance_has_a_thread_for_each_concurrent_request_and_some_for_health_checks() -> None:
    arguments = props()["customRuntimeConfig"]["args"]
    threads = int(arguments[arguments.index("--threads") + 1])
    assert threads == props()["instanceConcurrency"] + wsgi.SPARE_THREADS


def test_it_has_the_same_settings_as_the_built_in_runtime() -> None:
    document = yaml.safe_load((ROOT / "s.yaml").read_text("utf-8"))
    built_in, custom = document["resources"]["links_http"]["props"], props()
    for name in ("region", "role", "environmentVariables", "logConfig", "triggers"):
        assert custom[name] == built_in[name], name
    assert custom["instanceLifecycleConfig"] == built_in["instanceLifecycleConfig"]
    # Each is built for its runtime, in its own folder.
    assert custom["code"] != built_in["code"]


def test_the_health_check_requests_a_route_without_io() -> None:
    assert props()["customRuntimeConfig"]["healthCheckConfig"]["httpGetUrl"] == "/-/health"


def settings(port: str | None) -> dict[str, str]:
    """The settings that gunicorn reads from the command."""
    variables = {"PATH": os.environ["PATH"], **({} if port is None else {"FC_CUSTOM_LISTEN_PORT": port})}
    arguments = [*command()[:3], "--print-config", *command()[3:]]
    process = subprocess.run(arguments, cwd=ROOT, env=variables, capture_output=True, text=True, check=True)
    pairs = (line.partition("=") for line in process.stdout.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def test_it_listens_on_the_port_that_the_platform_expects() -> None:
    assert settings("8123")["bind"] == "['0.0.0.0:8123']"
    for unset in (None, ""):
        assert settings(unset)["bind"] == f"['0.0.0.0:{props()['customRuntimeConfig']['port']}']"


def test_the_server_logs_no_requests_and_trusts_no_proxy() -> None:
    values = settings("9000")
    assert values["worker_class"] == "gthread"
    assert values["accesslog"] == "None"
    assert values["header_map"] == "drop"
    assert values["forwarder_headers"] == values["forwarded_allow_ips"] == "[]"
    # An instance that was frozen must not kill its worker.
    assert values["timeout"] == "0"
    assert int(values["keepalive"]) >= 600


def test_the_built_in_runtime_loads_neither_flask_nor_gunicorn() -> None:
    code = "import handler; handler.on_http; import sys; print('flask' in sys.modules or 'gunicorn' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], cwd=Path(ROOT), capture_output=True, text=True, check=True)
    assert process.stdout == "False\n"


@pytest.mark.parametrize(
    ("headers", "is_closed"),
    [
        ([("CONTENT-LENGTH", "1048576")], False),
        ([("CONTENT-LENGTH", "1048577")], True),
        ([("CONTENT-LENGTH", "1048577"), ("X-FC-CONTROL-PATH", "/http-invoke")], True),
        ([("CONTENT-LENGTH", "1048577"), ("X-FC-CONTROL-PATH", "/invoke")], False),
        ([], False),
    ],
)
def test_the_connection_of_a_body_that_is_too_large_is_closed_unless_it_is_an_event(
    headers: list[tuple[str, str]], is_closed: bool
) -> None:
    request = Mock(headers=headers)
    gunicorn_conf.pre_request(None, request)
    assert request.force_close.called == is_closed
