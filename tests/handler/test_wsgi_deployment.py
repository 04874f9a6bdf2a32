"""deploy/custom-runtime/s.yaml, the settings of its server, and what they say of each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy import check, s_preview
from tests.handler.custom_runtime import ROOT, command, props


@pytest.mark.skipif(not s_preview.INSTALLED_FOR_TESTS.exists(), reason="npm ci in tests/node brings s")
def test_it_can_be_deployed() -> None:
    assert check.check(ROOT / "deploy/custom-runtime/s.yaml") == []


def test_an_instance_has_as_many_threads_as_it_is_sent_requests() -> None:
    arguments = props()["customRuntimeConfig"]["args"]
    assert arguments[arguments.index("--threads") + 1] == str(props()["instanceConcurrency"])


def test_it_is_the_same_function_to_its_visitors() -> None:
    document = yaml.safe_load((ROOT / "s.yaml").read_text("utf-8"))
    built_in, custom = document["resources"]["links_http"]["props"], props()
    for name in ("region", "role", "environmentVariables", "logConfig", "triggers"):
        assert custom[name] == built_in[name], name
    assert custom["instanceLifecycleConfig"] == built_in["instanceLifecycleConfig"]
    # Each is built for its own runtime, in a folder of its own.
    assert custom["code"] != built_in["code"]


def test_the_health_check_asks_the_route_that_does_no_io() -> None:
    assert props()["customRuntimeConfig"]["healthCheckConfig"]["httpGetUrl"] == "/-/health"


def settings(port: str | None) -> dict[str, str]:
    """What gunicorn makes of the command."""
    variables = {"PATH": os.environ["PATH"], **({} if port is None else {"FC_CUSTOM_LISTEN_PORT": port})}
    line = [*command()[:3], "--print-config", *command()[3:]]
    done = subprocess.run(line, cwd=ROOT, env=variables, capture_output=True, text=True, check=True)
    pairs = (line.partition("=") for line in done.stdout.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def test_it_listens_where_the_platform_looks() -> None:
    assert settings("8123")["bind"] == "['0.0.0.0:8123']"
    for unset in (None, ""):
        assert settings(unset)["bind"] == f"['0.0.0.0:{props()['customRuntimeConfig']['port']}']"


def test_the_server_keeps_quiet_and_believes_no_proxy() -> None:
    found = settings("9000")
    assert found["worker_class"] == "gthread"
    assert found["accesslog"] == "None"
    assert found["header_map"] == "drop"
    assert found["forwarder_headers"] == found["forwarded_allow_ips"] == "[]"
    # A frozen instance must not find its worker overdue.
    assert found["timeout"] == "0"
    assert int(found["keepalive"]) >= 600


def test_the_redirect_path_needs_none_of_it() -> None:
    code = "import handler; handler.on_http; import sys; print('flask' in sys.modules or 'gunicorn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(ROOT), capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
