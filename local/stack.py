"""The whole system on a laptop: the OSS stand-in and the functions of `s.yaml`, on the loopback, for development.

```python
with Stack.start(config=Path("s.yaml"), http_port=0, oss_port=0) as stack:
    requests.get(stack.http_url + "/exampledir/exampleobject.txt")
```
"""

from __future__ import annotations

import base64
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import flask

from handler.config import Mount
from signer import Credentials

from . import oss
from .errors import LocalError
from .fc import functions, http_trigger
from .fc.async_invoke import Dispatcher
from .fc.functions import Deployment, Function
from .fc.runtime import Runtime
from .mounts import buckets_of, mounts_of
from .server import listen, serve

DEFAULT_BUCKET = "examplebucket"


class StackError(LocalError):
    """The stack cannot start as it was asked to."""


def temporary_credentials() -> Credentials:
    """Random credentials that look like those of a role: an STS id, and a long token with `+`, `/` and `=` in it."""
    key_id = "STS." + base64.b32encode(secrets.token_bytes(15)).decode()
    token = "CAIS" + base64.b64encode(secrets.token_bytes(430)).decode()
    return Credentials(key_id, secrets.token_urlsafe(33), token)


@dataclass(frozen=True)
class Stack:
    """A running stack. URLs have no slash at their end; `http_url` is the first http function's.

    `function` is the first http function and `mounts` what it may link, `urls` are the addresses of all http functions
    by name, `notes` sentences about what `s.yaml` holds and a laptop does not run. `dispatcher` turns new objects and
    timers into events.
    """

    http_url: str
    oss_url: str
    bucket: str
    region: str
    root: Path
    function: Function
    mounts: tuple[Mount, ...]
    urls: Mapping[str, str]
    notes: tuple[str, ...]
    credentials: Credentials
    runtime: Runtime
    dispatcher: Dispatcher
    _ends: ExitStack

    @classmethod
    def start(
        cls,
        config: Path = Path("s.yaml"),
        *,
        root: Path | None = None,
        http_port: int = 0,
        oss_port: int = 0,
        environment: Mapping[str, str] | None = None,
        log: IO[Any] | int | None = None,
        warm: bool = True,
    ) -> Stack:
        """Starts everything and returns when both ports listen.

        Objects are kept under `root`, or in a temporary folder that goes with the stack. `environment` overrides
        variables of every function and what `${env()}` sees in `s.yaml`. `log` is where what the functions print
        goes (default: stderr). With `warm` one instance of the first http function is started at once, so that a
        module or an initializer that fails is told here and not to the first visitor. Raises `LocalError`.
        """
        extra = dict(environment or {})
        deployment = functions.read(config, {**os.environ, **extra})
        web, notes = _http_functions(deployment, config)
        mounts = mounts_of(web[0], extra)
        buckets = _buckets(deployment, web[0], extra)
        credentials = temporary_credentials()
        with ExitStack() as ends:
            folder = _folder(root, ends)
            ports = [http_port, *(0 for _ in web[1:])]
            listeners = [ends.enter_context(listen(port, "--http-port")) for port in ports]
            oss_listener = ends.enter_context(listen(oss_port, "--oss-port"))
            dispatchers: list[Dispatcher] = []

            def created(found: oss.CreatedObject) -> None:
                for dispatcher in dispatchers:
                    dispatcher.created(found)

            oss_server = serve(_oss_app(folder, web[0].region, credentials, buckets, created), oss_listener)
            ends.callback(oss_server.close)
            runtime = Runtime(
                deployment.functions,
                credentials=lambda: credentials,
                environment={"LINK_OSS_ENDPOINT": oss_server.url, **extra},
                log=log,
            )
            ends.callback(runtime.close)
            dispatcher = Dispatcher(runtime, deployment.functions, log=log)
            ends.callback(dispatcher.close)
            dispatchers.append(dispatcher)
            if warm:
                _warm(runtime, web[0])
            urls = {}
            for function, listener in zip(web, listeners, strict=True):
                server = serve(http_trigger.create_app(runtime, function), listener)
                ends.callback(server.close)
                urls[function.name] = server.url
            return cls(
                http_url=urls[web[0].name],
                oss_url=oss_server.url,
                bucket=buckets[0],
                region=web[0].region,
                root=folder,
                function=web[0],
                mounts=mounts,
                urls=urls,
                notes=notes,
                credentials=credentials,
                runtime=runtime,
                dispatcher=dispatcher,
                _ends=ends.pop_all(),
            )

    def close(self) -> None:
        """Ends servers and workers; a temporary folder is removed."""
        self._ends.close()

    def __enter__(self) -> Stack:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _http_functions(deployment: Deployment, config: Path) -> tuple[list[Function], tuple[str, ...]]:
    """The functions to serve, the first of them at the port asked for, and notes about the others."""
    web = [function for function in deployment.functions if function.http and function.runs_here]
    notes = tuple(
        f"{function.name} is not run: a laptop has no runtime {function.runtime}."
        for function in deployment.functions
        if not function.runs_here
    )
    if not web:
        raise StackError(
            f"{config} has no function with an http trigger on {' or '.join(functions.PYTHON_RUNTIMES)}: add one."
        )
    return web, notes


def _buckets(deployment: Deployment, first: Function, extra: Mapping[str, str]) -> list[str]:
    """Every bucket that `LINK_BUCKET` of a function, `vars.bucket` or a policy names; the first function's leads."""
    ordered = [first, *deployment.functions]
    named = [{**function.environment, **extra}.get("LINK_BUCKET") for function in ordered]
    variable = deployment.variables.get("bucket")
    named.append(variable if isinstance(variable, str) else None)
    for function in ordered:
        named += buckets_of(function, extra)
    return list(dict.fromkeys(name for name in named if name)) or [DEFAULT_BUCKET]


def _folder(root: Path | None, ends: ExitStack) -> Path:
    if root is None:
        return Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="oss-")))
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(f"{root} cannot hold the objects ({error.strerror}): name a folder with --root.") from None
    return root.resolve()


def _oss_app(
    folder: Path,
    region: str,
    credentials: Credentials,
    buckets: list[str],
    created: Callable[[oss.CreatedObject], None],
) -> flask.Flask:
    try:
        return oss.create_app(folder, region=region, credentials=[credentials], buckets=buckets, on_created=created)
    except ValueError as error:
        raise StackError(f"{error} Name another in s.yaml (vars.bucket or LINK_BUCKET).") from None
    except OSError as error:
        raise StackError(f"{folder} cannot hold the objects ({error.strerror}): name a folder with --root.") from None


def _warm(runtime: Runtime, function: Function) -> None:
    failed = runtime.warm(function.name)
    if failed:
        raise StackError(f"The function {function.name} does not start: {failed.error_message}")
