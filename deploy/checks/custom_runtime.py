"""Checks how a custom runtime starts and watches its server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from local.fc.functions import CustomRuntime, Function

from ..runtimes import APP, RUNTIMES, Runtime

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


def faults(function: Function) -> Iterator[str]:
    """A sentence for each setting that does not fit `handler.wsgi`."""
    runtime = RUNTIMES.get(function.runtime)
    if runtime is None or not runtime.custom:
        return
    config = function.custom or CustomRuntime()
    yield from _command(config, runtime, function.concurrency)
    if "GUNICORN_CMD_ARGS" in function.environment:
        yield "environmentVariables.GUNICORN_CMD_ARGS is not allowed: handler.gunicorn_conf sets what gunicorn needs."
    if config.port != PORT:
        yield f"customRuntimeConfig.port must be {PORT} (got {config.port}): handler.gunicorn_conf listens there."
    if config.health != HEALTH:
        yield f"customRuntimeConfig.healthCheckConfig.httpGetUrl must be {HEALTH} (got {config.health or 'none'})."
    if function.initializer is None:
        yield (
            "instanceLifecycleConfig.initializer.handler is missing, so only the first request discovers an invalid "
            "links.toml: write handler.on_initialize."
        )
    if not function.triggers:
        yield "triggers is missing, so nothing calls the function: add an http trigger."


def _command(config: CustomRuntime, runtime: Runtime, concurrency: int) -> Iterator[str]:
    start = [f"/var/fc/lang/python{runtime.python}/bin/python3", "-m", "gunicorn"]
    threads = str(concurrency + SPARE_THREADS)
    line = [*config.command, *config.args]
    options = _options(line[3:-1])
    if (
        # Without a command, Function Compute starts a file called bootstrap.
        not config.command
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
