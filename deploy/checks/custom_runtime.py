"""Checks how a custom runtime starts and watches its server."""

from __future__ import annotations

from collections.abc import Iterator

from handler.startup import SPARE_THREADS, THREADS
from local.fc.functions import CustomRuntime, Function

from ..runtimes import APP, RUNTIMES

PORT = 9000
HEALTH = "/-/health"
# Of uvicorn. Each decides what the log contains, which requests the application sees, or how a process ends.
ARGS = (
    APP,
    "--host",
    "0.0.0.0",  # noqa: S104
    "--port",
    str(PORT),
    "--http",
    "handler.asgi:Protocol",
    "--loop",
    "asyncio",
    "--ws",
    "none",
    "--lifespan",
    "on",
    "--workers",
    "1",
    "--no-access-log",
    "--log-level",
    "critical",
    "--no-server-header",
    "--no-proxy-headers",
    "--timeout-keep-alive",
    "86400",
    "--timeout-graceful-shutdown",
    "4",
)


def faults(function: Function) -> Iterator[str]:
    """A sentence for each setting that does not fit `handler.asgi`."""
    runtime = RUNTIMES.get(function.runtime)
    if runtime is None or not runtime.custom:
        return
    config = function.custom or CustomRuntime()
    # Without a command, Function Compute starts a file called bootstrap.
    line = [f"/var/fc/lang/python{runtime.python}/bin/python3", "-m", "uvicorn", *ARGS]
    if not config.command or [*config.command, *config.args] != line:
        yield (
            f"customRuntimeConfig: command and args must be {' '.join(line)}, as in deploy/custom-runtime/s.yaml, with "
            f"the Python that the build for {runtime.name} is for."
        )
    threads = THREADS - SPARE_THREADS
    if function.concurrency != threads:
        yield (
            f"instanceConcurrency must be {threads} (got {function.concurrency}), {SPARE_THREADS} less than THREADS in "
            "handler/startup.py, which serve health checks while all others wait: change both together."
        )
    for name in function.environment:
        if name.startswith("UVICORN_"):
            yield f"environmentVariables.{name} is not allowed: args has all options of uvicorn."
    if config.port != PORT:
        yield f"customRuntimeConfig.port must be {PORT} (got {config.port}): the server listens there."
    if config.health != HEALTH:
        yield f"customRuntimeConfig.healthCheckConfig.httpGetUrl must be {HEALTH} (got {config.health or 'none'})."
    if function.initializer is None:
        effect = "only the first request discovers an invalid links.toml"
        yield f"instanceLifecycleConfig.initializer.handler is missing, so {effect}: write handler.on_initialize."
    if not function.triggers:
        yield "triggers is missing, so nothing calls the function: add an http trigger."
