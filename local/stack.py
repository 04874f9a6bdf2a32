"""The complete system on your own machine, for development: a local OSS, STS and CDN, and the functions of `s.yaml`.

All ports are on 127.0.0.1.

```python
with Stack.start(config=Path("s.yaml"), http_port=0, oss_port=0) as stack:
    requests.get(stack.http_url + "/exampledir/exampleobject.txt")
```
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from handler.core.config import Config, InvalidConfig, Location, Mount, load
from handler.core.config.on_laptop import read_cdn_endpoints
from signer import Credentials
from signer.emulator import EmulatorError, oss, sts
from signer.emulator.alone import DEFAULT_BUCKET
from signer.emulator.folder import add_buckets, storage_folder
from signer.emulator.page import StartPage, is_own_host
from signer.emulator.server import listen, serve, url_of

from . import cdn
from .account import Account
from .errors import LocalError, as_local_errors
from .fc import functions
from .fc.async_invoke import Dispatcher
from .fc.functions import Deployment, Function
from .fc.runtime import Runtime

_ROOT = '--root, or ARGS="--root …" of make run'
_HTTP_PORT = "--http-port, or PORT= of make run"
_OSS_PORT = "--oss-port, or OSS_PORT= of make run"


@dataclass(frozen=True)
class Stack:
    """A running stack. URLs have no slash at their end.

    `function` is the first http function and `http_url` its address; `urls` are the addresses of all http functions by
    name, and `environment` the variables that every function gets besides its own. `notes` are sentences about what
    `s.yaml` holds and cannot run here. `account` has the operator and the roles of the functions.
    `dispatcher` turns new objects and timers into events. `start_page` has no content until it is set.
    """

    http_url: str
    oss_url: str
    sts_url: str
    bucket: str
    region: str
    root: Path
    deployment: Deployment
    function: Function
    environment: Mapping[str, str]
    urls: Mapping[str, str]
    notes: tuple[str, ...]
    account: Account
    runtime: Runtime
    dispatcher: Dispatcher
    start_page: StartPage
    _stamps: dict[Path, tuple[int, int] | None]
    _cleanup: ExitStack

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
        """Starts everything and returns once all ports listen.

        Objects are stored under `root`, or in a temporary folder that is removed at the end. `environment` overrides
        variables of every function and what `${env()}` sees in `s.yaml`. `log` receives what the functions print
        (default: stderr). With `warm`, one instance of each function starts at once, so that a module or an initializer
        that fails is reported here and not to the first visitor. Raises `LocalError`.
        """
        extra = dict(environment or {})
        deployment = functions.read(config, {**os.environ, **extra})
        http, notes = _http_functions(deployment, config)
        first = http[0]
        account = Account()
        with as_local_errors(), ExitStack() as cleanup:
            ports = [http_port] + [0] * (len(http) - 1)
            listeners = [cleanup.enter_context(listen(port, _HTTP_PORT)) for port in ports]
            oss_listener = cleanup.enter_context(listen(oss_port, _OSS_PORT))
            sts_listener = cleanup.enter_context(listen(0))
            extra = {
                "LINK_OSS_ENDPOINT": url_of(oss_listener),
                "LINK_STS_ENDPOINT": url_of(sts_listener),
                "LINK_PUBLIC_URL": url_of(listeners[0]),
                **extra,
            }
            cdns = {
                name: cleanup.enter_context(listen(0)) for name in sorted(_cdns(deployment, extra))
            }
            extra["LINK_CDN_ENDPOINT"] = ",".join(
                f"{name}={url_of(listener)}" for name, listener in cdns.items()
            )
            stamps = _stamps(deployment, extra)
            buckets = _buckets(deployment, first, extra)
            account.set_rights(_configs(deployment, extra))
            folder = cleanup.enter_context(storage_folder(root, _ROOT))
            _create_buckets(folder, buckets, extra["LINK_PUBLIC_URL"])
            oss_app = oss.create_app(
                folder,
                region=first.region,
                credentials=account.principals,
                on_created=lambda created: dispatcher.created(created),
                settings=oss.Settings(
                    serves_packages=lambda bucket, key: any(
                        mount.app_packages and mount.target.contains(Location(bucket, key))
                        for mount in _mounts(deployment, extra)
                    )
                ),
            )
            oss_server = cleanup.enter_context(closing(serve(oss_app, oss_listener)))
            sts_app = sts.create_app(account.principals, account.roles)
            sts_server = cleanup.enter_context(closing(serve(sts_app, sts_listener)))
            origin = cdn.Origin(oss_server.url, first.region, account.cdn())
            for name, listener in cdns.items():
                cdn_app = cdn.create_app(partial(_domain, name, deployment, extra, folder), origin)
                cleanup.enter_context(closing(serve(cdn_app, listener)))
            runtime = Runtime(
                deployment.functions, credentials=account.credentials_of, environment=extra, log=log
            )
            # Entered before the callback, which ends the instances that its threads wait for.
            pool = cleanup.enter_context(ThreadPoolExecutor())
            cleanup.callback(runtime.close)
            dispatcher = cleanup.enter_context(
                closing(Dispatcher(runtime, deployment.functions, log=log))
            )
            names = [each.name for each in deployment.functions if each.runs_locally and warm]
            failures = pool.map(runtime.warm, names)
            # Flask is imported while the functions start.
            from .fc import http_trigger

            for name, failure in zip(names, failures, strict=True):
                if failure is not None:
                    raise LocalError(f"Function {name} failed to start: {failure.error_message}")
            urls = {}
            first_app = http_trigger.create_app(runtime, first)
            start_page = StartPage(first_app, is_own=is_own_host)
            for function, listener in zip(http, listeners, strict=True):
                app = (
                    start_page if function is first else http_trigger.create_app(runtime, function)
                )
                urls[function.name] = cleanup.enter_context(closing(serve(app, listener))).url
            return cls(
                http_url=urls[first.name],
                oss_url=oss_server.url,
                sts_url=sts_server.url,
                bucket=buckets[0],
                region=first.region,
                root=folder,
                deployment=deployment,
                function=first,
                environment=extra,
                urls=urls,
                notes=notes,
                account=account,
                runtime=runtime,
                dispatcher=dispatcher,
                start_page=start_page,
                _stamps=stamps,
                _cleanup=cleanup.pop_all(),
            )

    @property
    def credentials(self) -> Credentials:
        """The operator's: all rights, also to assume every role."""
        return self.account.operator

    @property
    def cdn_urls(self) -> Mapping[str, str]:
        """The addresses of the CDNs, by the names that mounts give them."""
        return read_cdn_endpoints(self.environment)

    def links_toml(self) -> Config | None:
        """What the first http function reads now, None if it has no links.toml. Raises `LocalError`."""
        return _links_toml(self.function, self.environment)

    def links_toml_changed(self) -> bool:
        """Whether a links.toml changed since the start, or since the last call."""
        stamps = _stamps(self.deployment, self.environment)
        changed = stamps != self._stamps
        self._stamps.update(stamps)
        return changed

    def reload(self) -> None:
        """Lets every function read its links.toml again, with its next request. Raises `LocalError` if one is invalid.

        Requests under way end as they began, but rights change at once.
        """
        self.runtime.renew()
        buckets = _buckets(self.deployment, self.function, self.environment)
        self.account.set_rights(_configs(self.deployment, self.environment))
        _create_buckets(self.root, buckets, self.environment["LINK_PUBLIC_URL"])
        if new := _cdns(self.deployment, self.environment) - self.cdn_urls.keys():
            raise LocalError(
                f"The CDN {', '.join(sorted(new))} is new: stop the stack, and start it again."
            )

    def close(self) -> None:
        """Stops servers and workers, and removes a temporary folder."""
        self._cleanup.close()

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _http_functions(deployment: Deployment, config: Path) -> tuple[list[Function], tuple[str, ...]]:
    """The functions to serve, and notes about those that cannot run here."""
    http = [
        function for function in deployment.functions if function.http and function.runs_locally
    ]
    notes = tuple(
        f"Function {function.name} is skipped: runtime {function.runtime} is not available locally."
        for function in deployment.functions
        if not function.runs_locally
    )
    if not http:
        runtimes = " or ".join(functions.PYTHON_RUNTIMES)
        raise LocalError(
            f"{config}: a function with an http trigger and the runtime {runtimes} is required."
        )
    return http, notes


def links_toml_path(function: Function, extra: Mapping[str, str]) -> Path:
    variables = {**function.environment, **extra}
    return Path(function.code, variables.get("LINK_CONFIG") or "links.toml")


def _links_toml(function: Function, extra: Mapping[str, str]) -> Config | None:
    """The configuration that a function reads, None if it has none. Raises `LocalError` for an invalid one."""
    path = links_toml_path(function, extra)
    try:
        return load.load(str(path), {**function.environment, **extra}) if path.is_file() else None
    except InvalidConfig as error:
        raise LocalError(error.sentence) from None


def _configs(
    deployment: Deployment, extra: Mapping[str, str]
) -> list[tuple[Function, Config | None]]:
    return [
        (function, _links_toml(function, extra))
        for function in deployment.functions
        if function.runs_locally
    ]


def _mounts(deployment: Deployment, extra: Mapping[str, str]) -> list[Mount]:
    return [mount for _, config in _configs(deployment, extra) if config for mount in config.mounts]


def _cdns(deployment: Deployment, extra: Mapping[str, str]) -> set[str]:
    """The CDNs that check links of mounts."""
    return {mount.cdn for mount in _mounts(deployment, extra) if mount.cdn}


def _domain(
    name: str, deployment: Deployment, extra: Mapping[str, str], folder: Path
) -> cdn.Domain:
    return cdn.read_domain(
        name, (config for _, config in _configs(deployment, extra) if config), folder
    )


def _stamps(deployment: Deployment, extra: Mapping[str, str]) -> dict[Path, tuple[int, int] | None]:
    """When each links.toml was changed, and its size; None if it does not exist."""
    stamps: dict[Path, tuple[int, int] | None] = {}
    for function in deployment.functions:
        path = links_toml_path(function, extra)
        try:
            status = path.stat()
            stamps[path] = status.st_mtime_ns, status.st_size
        except OSError:
            stamps[path] = None
    return stamps


def _buckets(deployment: Deployment, first: Function, extra: Mapping[str, str]) -> list[str]:
    """Every bucket that `LINK_BUCKET`, `vars.bucket` or a links.toml names; the one of the first function leads."""
    ordered = [first, *deployment.functions]
    names = [{**function.environment, **extra}.get("LINK_BUCKET") for function in ordered]
    variable = deployment.variables.get("bucket")
    names.append(variable if isinstance(variable, str) else None)
    for function in ordered:
        if links_toml := _links_toml(function, extra):
            names += [mount.target.bucket for mount in links_toml.mounts]
            names += [location.bucket for location in links_toml.mounts.reserved]
    return list(dict.fromkeys(name for name in names if name)) or [DEFAULT_BUCKET]


def _create_buckets(folder: Path, names: list[str], pages: str) -> None:
    """`pages` is the origin of those that upload: as in OSS, a bucket allows none by itself."""
    try:
        add_buckets(folder, names, _ROOT, pages)
    except EmulatorError as error:
        advice = ""
        if error.code == "invalid_bucket":
            advice = " Name another in s.yaml (vars.bucket or LINK_BUCKET)."
        raise LocalError(f"{error}{advice}", code=error.code) from None
