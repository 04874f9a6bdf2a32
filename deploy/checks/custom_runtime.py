"""Checks how a custom runtime starts and watches its server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from ..runtimes import RUNTIMES, Runtime
from .functions import APP, Props, mapping

# As in handler.gunicorn_conf and handler.wsgi, which cannot be loaded without the packages of a custom runtime.
PORT = 9000
SPARE_THREADS = 4
HEALTH = "/-/health"
GUNICORN_CONFIG = "python:handler.gunicorn_conf"
_SHORT = {"-b": "--bind", "-c": "--config", "-k": "--worker-class", "-t": "--timeout", "-w": "--workers"}
# gunicorn also accepts the beginning of a long name.
_LONG = (*_SHORT.values(), "--threads")
# Each would replace what handler.gunicorn_conf sets.
_REFUSED = ("--bind", "--workers", "--worker-class", "--timeout")


def faults(props: Props) -> Iterator[str]:
    """A sentence for each setting that does not fit `handler.wsgi`."""
    runtime = RUNTIMES.get(props["runtime"])
    if runtime is None or not runtime.custom:
        return
    config = mapping(props.get("customRuntimeConfig"))
    yield from _command(config.get("command") or [], config.get("args") or [], runtime, props)
    if "GUNICORN_CMD_ARGS" in mapping(props.get("environmentVariables")):
        yield "environmentVariables.GUNICORN_CMD_ARGS is not allowed: handler.gunicorn_conf sets what gunicorn needs."
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
    if not props.get("triggers"):
        yield "triggers is missing, so nothing calls the function: add an http trigger."


def _command(command: Sequence[str], args: Sequence[str], runtime: Runtime, props: Props) -> Iterator[str]:
    start = [f"/var/fc/lang/python{runtime.python}/bin/python3", "-m", "gunicorn"]
    threads = str(props.get("instanceConcurrency", 1) + SPARE_THREADS)
    line = [*command, *args]
    options = _options(line[3:-1])
    if (
        # Without a command, Function Compute starts a file called bootstrap.
        not command
        or line[:3] != start
        or line[3:][-1:] != [APP]
        or options.get("--config") != GUNICORN_CONFIG
        or _has_other_app(line[3:-1])
    ):
        expected = " ".join([*start, "-c", GUNICORN_CONFIG, "--threads", threads, APP])
        yield (
            f"customRuntimeConfig: command and args must be {expected}, with the Python that the build for "
            f"{runtime.name} is for, and without a shell. More options of gunicorn may stand before {APP}."
        )
    elif options.get("--threads") != threads:
        yield (
            f"customRuntimeConfig: --threads must be {threads}, {SPARE_THREADS} more than instanceConcurrency (got "
            f"{options.get('--threads') or 'none'}): they serve health checks while all others wait."
        )
    for name in _REFUSED:
        if name in options:
            yield f"customRuntimeConfig: {name} is not allowed, because handler.gunicorn_conf sets it: remove it."


def _options(arguments: Sequence[str]) -> dict[str, str]:
    """The options by their long names, of which the last counts: --name VALUE, --name=VALUE, -n VALUE or -nVALUE."""
    options = {}
    for argument, following in pairwise([*arguments, ""]):
        if argument.startswith("--"):
            name, _, value = argument.partition("=")
            name = next((known for known in _LONG if known.startswith(name)), name)
        elif argument.startswith("-"):
            name, value = _SHORT.get(argument[:2], argument[:2]), argument[2:]
        else:
            continue
        options[name] = value or following
    return options


def _has_other_app(arguments: Sequence[str]) -> bool:
    """Whether an argument is neither an option nor follows one: gunicorn would serve that."""
    return any(
        not argument.startswith("-") and not (before.startswith("-") and "=" not in before)
        for before, argument in pairwise(["", *arguments])
    )
