"""Checks how a custom runtime starts and watches its server."""

from __future__ import annotations

from collections.abc import Iterator

from handler.startup import SPARE_THREADS, THREADS

from ..runtimes import RUNTIMES
from .functions import APP, Props, mapping

PORT = 9000
HEALTH = "/-/health"
# Of uvicorn. Each decides what the log contains, which requests the application sees, or how a process ends.
ARGS = (
    *(APP, "--host", "0.0.0.0", "--port", str(PORT), "--http", "handler.asgi:Protocol", "--loop", "asyncio"),  # noqa: S104
    *("--ws", "none", "--lifespan", "on", "--workers", "1", "--no-access-log", "--log-level", "critical"),
    *("--no-server-header", "--no-proxy-headers", "--timeout-keep-alive", "86400", "--timeout-graceful-shutdown", "4"),
)


def faults(props: Props) -> Iterator[str]:
    """A sentence for each setting that does not fit `handler.asgi`."""
    runtime = RUNTIMES.get(props["runtime"])
    if runtime is None or not runtime.custom:
        return
    config = mapping(props.get("customRuntimeConfig"))
    # Without a command, Function Compute starts a file called bootstrap.
    command, args = [f"/var/fc/lang/python{runtime.python}/bin/python3", "-m", "uvicorn"], list(ARGS)
    if config.get("command") != command or config.get("args") != args:
        yield (
            f"customRuntimeConfig: command and args must be {' '.join([*command, *args])}, as in "
            f"deploy/custom-runtime/s.yaml, with the Python that the build for {runtime.name} is for."
        )
    concurrency, threads = props.get("instanceConcurrency") or 1, THREADS - SPARE_THREADS
    if concurrency != threads:
        yield (
            f"instanceConcurrency must be {threads} (got {concurrency}), {SPARE_THREADS} less than THREADS in "
            "handler/startup.py, which serve health checks while all others wait: change both together."
        )
    for name in mapping(props.get("environmentVariables")):
        if name.startswith("UVICORN_"):
            yield f"environmentVariables.{name} is not allowed: args has all options of uvicorn."
    if config.get("port", PORT) != PORT:
        yield f"customRuntimeConfig.port must be {PORT} (got {config['port']}): the server listens there."
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
