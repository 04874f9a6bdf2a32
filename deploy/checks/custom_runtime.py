"""Checks how a custom runtime starts and watches its server."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..runtimes import RUNTIMES
from .functions import Props, mapping

# As in handler.gunicorn_conf and handler.wsgi, which cannot be loaded without the packages of a custom runtime.
PORT = 9000
SPARE_THREADS = 4
HEALTH = "/-/health"
_PYTHON = re.compile(r"/var/fc/lang/python([0-9.]+)/.*|python[0-9.]*")


def faults(props: Props) -> Iterator[str]:
    """A sentence for each setting that does not fit `handler.wsgi`."""
    runtime = RUNTIMES.get(props["runtime"])
    if runtime is None or not runtime.custom:
        return
    config = mapping(props.get("customRuntimeConfig"))
    command = [*(config.get("command") or []), *(config.get("args") or [])]
    if not any("gunicorn" in part for part in command):
        yield "customRuntimeConfig.command must start gunicorn: a custom runtime serves HTTP itself."
        return
    python = _PYTHON.fullmatch(command[0])
    if python and python[1] != runtime.python:
        yield (
            f"customRuntimeConfig.command starts {command[0]}, but the build for {runtime.name} is for Python "
            f"{runtime.python}: start /var/fc/lang/python{runtime.python}/bin/python3."
        )
    threads, expected = _option(command, "--threads"), str(props.get("instanceConcurrency", 1) + SPARE_THREADS)
    if threads != expected:
        yield (
            f"customRuntimeConfig: --threads must be {expected}, {SPARE_THREADS} more than instanceConcurrency (got "
            f"{threads or 'none'}): they serve health checks while all others wait."
        )
    if config.get("port", PORT) != PORT:
        yield f"customRuntimeConfig.port must be {PORT} (got {config['port']}): handler.gunicorn_conf listens there."
    health = mapping(config.get("healthCheckConfig")).get("httpGetUrl")
    if health != HEALTH:
        yield f"customRuntimeConfig.healthCheckConfig.httpGetUrl must be {HEALTH} (got {health or 'none'})."
    if not mapping(mapping(props.get("instanceLifecycleConfig")).get("initializer")).get("handler"):
        yield (
            "instanceLifecycleConfig.initializer.handler is missing, so only the first request discovers an invalid "
            "links.toml: write handler.on_initialize."
        )


def _option(command: list[str], name: str) -> str | None:
    """The value of an option, written --name VALUE or --name=VALUE."""
    for part, following in zip(command, [*command[1:], None], strict=True):
        if part == name:
            return following
        if part.startswith(f"{name}="):
            return part.removeprefix(f"{name}=")
    return None
