"""The functions of a rendered `s.yaml`, checked: what the runtime needs to know about each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from signer.emulator.ram import ACCOUNT

from . import s_yaml
from .s_yaml import TemplateError

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
AUTH_TYPES = ("anonymous", "function", "jwt")
PYTHON_RUNTIMES = ("python3.10", "python3.12")
EVENT_HANDLER = "handler.on_event"

# The component's own defaults and bounds (fc3-schema.json); times in seconds, memory in MB.
DEFAULT_TIMEOUT = 3
MAX_TIMEOUT = 86400
DEFAULT_INITIALIZER_TIMEOUT = 3
MAX_INITIALIZER_TIMEOUT = 300
DEFAULT_MEMORY = 512
MAX_MEMORY = 32768
DEFAULT_RETRIES = 3
MAX_RETRIES = 8
MAX_CONCURRENCY = 200
MAX_PORT = 65535
MAX_ENVIRONMENT_BYTES = 4096


class Initializer(NamedTuple):
    """`instanceLifecycleConfig.initializer`: runs once in each instance, `timeout` in seconds."""

    handler: str
    timeout: int


class Trigger(NamedTuple):
    """Any trigger: its `triggerType`, its `triggerConfig`, not checked, its `sourceArn` and `invocationRole` or ""."""

    name: str
    kind: str
    config: Mapping[str, Any]
    source: str = ""
    caller: str = ""

    @property
    def bucket(self) -> str:
        """The bucket whose events an oss trigger takes."""
        return self.source.rpartition(":")[2]


class HttpTrigger(NamedTuple):
    name: str
    methods: tuple[str, ...]
    auth_type: str


class Log(NamedTuple):
    """`logConfig`."""

    project: str
    logstore: str


class Domain(NamedTuple):
    """`customDomain`: its certificate is `certConfig`, `path` and `qualifier` are those of its route."""

    name: str
    protocol: str
    certificate: Mapping[str, str]
    path: str
    qualifier: str


class CustomRuntime(NamedTuple):
    """`customRuntimeConfig`: `health` is the path of the health check, or ""."""

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    port: int = 9000
    health: str = ""


@dataclass(frozen=True)
class Function:
    """One function of `s.yaml`: `resource` is its key there, `name` its `functionName`.

    `timeout` is in seconds, `memory` in MB; `code` is the folder that comes first on `sys.path`, `package` what
    `s.yaml` says of it; `instances` is `concurrencyConfig.reservedConcurrency`, None for no limit; an instance handles
    `concurrency` requests at a time. A failed asynchronous invocation is retried `retries` times; `destinations` are
    ARNs by `onFailure` and `onSuccess`; `qualifier` is that of `asyncInvokeConfig`, None without one. `given` are the
    names of all props, also of those without a field here.
    """

    resource: str
    name: str
    region: str
    runtime: str
    handler: str
    code: Path
    package: str = ""
    timeout: int = DEFAULT_TIMEOUT
    memory: int = DEFAULT_MEMORY
    cpu: float | None = None
    role: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    initializer: Initializer | None = None
    triggers: tuple[Trigger, ...] = ()
    http: HttpTrigger | None = None
    instances: int | None = None
    concurrency: int = 1
    retries: int = DEFAULT_RETRIES
    qualifier: str | None = None
    destinations: Mapping[str, str] = field(default_factory=dict)
    log: Log | None = None
    domain: Domain | None = None
    custom: CustomRuntime | None = None
    given: frozenset[str] = frozenset()

    @property
    def role_arn(self) -> str:
        """s.yaml has the name of a role, or its ARN."""
        return self.role if ":" in self.role else f"acs:ram::{ACCOUNT}:role/{self.role}"

    @property
    def is_built_in(self) -> bool:
        """Whether Function Compute itself calls its handler."""
        return self.runtime in PYTHON_RUNTIMES

    @property
    def runs_locally(self) -> bool:
        """Containers do not, and custom runtimes only with a command."""
        return self.is_built_in or bool(self.custom and self.custom.command)

    @property
    def entry(self) -> str:
        """Its handler, or in a custom runtime that of its initializer: the code that it runs."""
        return self.handler or (self.initializer.handler if self.initializer else "")

    @property
    def takes_events(self) -> bool:
        """By its handler, or in a custom runtime, which serves requests as well, by its triggers."""
        if self.is_built_in:
            return self.handler == EVENT_HANDLER
        return any(trigger.kind != "http" for trigger in self.triggers)


class Deployment(NamedTuple):
    """One `s.yaml`: its functions, in order, and its rendered `vars`."""

    functions: tuple[Function, ...]
    variables: Mapping[str, Any]


def read(path: Path, environ: Mapping[str, str]) -> Deployment:
    """The deployment that `path` describes. Raises `TemplateError`, which names the file and the entry."""
    document = s_yaml.load(path, environ)
    functions = []
    for resource, entry in functions_in(document).items():
        try:
            functions.append(
                function_of(resource, mapping(entry.get("props"), "props"), path.resolve().parent)
            )
        except TemplateError as error:
            raise TemplateError(f"{path}: resources.{resource}: {error}") from None
    if not functions:
        raise TemplateError(f"{path}: at least one resource with `component: fc3` is required.")
    for name, count in Counter(function.name for function in functions).items():
        if count > 1:
            raise TemplateError(
                f"{path}: two functions are called {name!r}. Each functionName must be unique."
            )
    return Deployment(tuple(functions), document["vars"])


def functions_in(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The resources of a rendered `s.yaml` that are functions, whatever the version of their component."""
    return {
        name: entry
        for name, entry in mapping(document.get("resources"), "resources").items()
        if isinstance(entry, dict) and str(entry.get("component")).split("@")[0] == "fc3"
    }


def function_of(resource: str, props: Mapping[str, Any], folder: Path) -> Function:
    """A function from its rendered props in the `s.yaml` of a folder. Raises `TemplateError`, which names the entry."""
    runtime = _string(props, "runtime")
    async_config = mapping(props.get("asyncInvokeConfig"), "asyncInvokeConfig")
    destinations = mapping(
        async_config.get("destinationConfig"), "asyncInvokeConfig.destinationConfig"
    )
    handler = (
        _string(props, "handler") if runtime in PYTHON_RUNTIMES else str(props.get("handler") or "")
    )
    triggers = tuple(_trigger(entry) for entry in _list(props.get("triggers"), "triggers"))
    http = [_http(trigger) for trigger in triggers if trigger.kind == "http"]
    if len(http) > 1:
        raise TemplateError(
            "two http triggers found. Function Compute allows one for each function."
        )
    limits = mapping(props.get("concurrencyConfig"), "concurrencyConfig")
    code = props.get("code")
    initializer = _initializer(props.get("instanceLifecycleConfig"))
    return Function(
        resource=resource,
        name=_string(props, "functionName"),
        region=_string(props, "region"),
        runtime=runtime,
        handler=handler,
        code=_code_folder(code, handler or (initializer.handler if initializer else ""), folder),
        package=code if isinstance(code, str) else "",
        timeout=_integer(props, "timeout", DEFAULT_TIMEOUT, MAX_TIMEOUT),
        memory=_integer(props, "memorySize", DEFAULT_MEMORY, MAX_MEMORY),
        cpu=props.get("cpu"),
        role=str(props.get("role") or ""),
        environment=_environment(props.get("environmentVariables")),
        initializer=initializer,
        triggers=triggers,
        http=http[0] if http else None,
        instances=_integer(limits, "reservedConcurrency", 1, 100000)
        if "reservedConcurrency" in limits
        else None,
        concurrency=_integer(props, "instanceConcurrency", 1, MAX_CONCURRENCY),
        retries=_integer(
            async_config, "maxAsyncRetryAttempts", DEFAULT_RETRIES, MAX_RETRIES, minimum=0
        ),
        qualifier=str(async_config.get("qualifier") or "") if async_config else None,
        destinations={
            name: str(mapping(destinations[name], name).get("destination") or "")
            for name in ("onFailure", "onSuccess")
            if destinations.get(name)
        },
        log=_log(props.get("logConfig")),
        domain=_domain(mapping(props.get("customDomain"), "customDomain")),
        custom=_custom_runtime(mapping(props.get("customRuntimeConfig"), "customRuntimeConfig")),
        given=frozenset(props),
    )


def _code_folder(code: object, handler: str, folder: Path) -> Path:
    """Where the handler's sources are, so that edits need no build: beside `s.yaml` or links.toml; else `code`."""
    first = handler.split(".")[0]
    for sources in (folder, s_yaml.project_folder(folder / "s.yaml")):
        if first and ((sources / first).is_dir() or (sources / f"{first}.py").is_file()):
            return sources
    source = code.get("src") if isinstance(code, dict) else code
    return (folder / source).resolve() if isinstance(source, str) and source else folder


def _log(entry: object) -> Log | None:
    """None also for auto, which may choose others at each deployment."""
    config = mapping(None if entry == "auto" else entry, "logConfig")
    return Log(_string(config, "project"), _string(config, "logstore")) if config else None


def _domain(config: Mapping[str, Any]) -> Domain | None:
    if not config:
        return None
    certificate = mapping(config.get("certConfig"), "customDomain.certConfig")
    route = mapping(config.get("route"), "customDomain.route")
    path = str(route.get("path") or "")
    qualifier = str(route.get("qualifier") or "LATEST")
    return Domain(
        name=_string(config, "domainName"),
        protocol=_string(config, "protocol"),
        certificate=certificate,
        path=path,
        qualifier=qualifier,
    )


def _custom_runtime(config: Mapping[str, Any]) -> CustomRuntime | None:
    if not config:
        return None
    command, args = (tuple(map(str, _list(config.get(name), name))) for name in ("command", "args"))
    health = mapping(config.get("healthCheckConfig"), "healthCheckConfig").get("httpGetUrl")
    port = _integer(config, "port", CustomRuntime().port, MAX_PORT)
    return CustomRuntime(command, args, port, str(health or ""))


def _environment(entry: object) -> Mapping[str, str]:
    variables = mapping(entry, "environmentVariables")
    for name, value in variables.items():
        if not isinstance(name, str) or name.startswith("FC_"):
            raise TemplateError(f"environmentVariables.{name}: names must not begin with FC_.")
        if not isinstance(value, str):
            raise TemplateError(
                f"environmentVariables.{name} must be a string. Put the value in quotes."
            )
    size = sum(len(name.encode()) + len(value.encode()) for name, value in variables.items())
    if size >= MAX_ENVIRONMENT_BYTES:
        total = f"{MAX_ENVIRONMENT_BYTES} bytes in total (got {size})"
        raise TemplateError(f"environmentVariables must be smaller than {total}.")
    return dict(variables)


def _initializer(entry: object) -> Initializer | None:
    initializer = mapping(entry, "instanceLifecycleConfig").get("initializer")
    if initializer is None:
        return None
    initializer = mapping(initializer, "instanceLifecycleConfig.initializer")
    timeout = _integer(initializer, "timeout", DEFAULT_INITIALIZER_TIMEOUT, MAX_INITIALIZER_TIMEOUT)
    return Initializer(_string(initializer, "handler"), timeout)


def _trigger(entry: object) -> Trigger:
    trigger = mapping(entry, "triggers")
    return Trigger(
        name=_string(trigger, "triggerName"),
        kind=_string(trigger, "triggerType"),
        config=mapping(trigger.get("triggerConfig"), "triggerConfig"),
        source=str(trigger.get("sourceArn") or ""),
        caller=str(trigger.get("invocationRole") or ""),
    )


def _http(trigger: Trigger) -> HttpTrigger:
    auth_type = trigger.config.get("authType")
    if auth_type not in AUTH_TYPES:
        raise TemplateError(
            f"trigger {trigger.name}: authType must be one of {', '.join(AUTH_TYPES)}."
        )
    methods = _list(trigger.config.get("methods"), "methods")
    if not methods or any(method not in METHODS for method in methods):
        raise TemplateError(
            f"trigger {trigger.name}: methods must be a list of {', '.join(METHODS)}."
        )
    return HttpTrigger(trigger.name, tuple(methods), auth_type)


def mapping(value: object, name: str) -> Mapping[str, Any]:
    """An empty one for None. Raises `TemplateError` for anything else that is not a mapping."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TemplateError(f"{name} must be a mapping, with one `name: value` on each line.")
    return value


def _list(value: object, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise TemplateError(f"{name} must be a list, with a dash before each entry.")
    return value


def _string(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise TemplateError(f"{name} is required and must be a string.")
    return value


def _integer(
    entry: Mapping[str, Any], name: str, default: int, maximum: int, minimum: int = 1
) -> int:
    value = entry.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise TemplateError(
            f"{name} must be an integer from {minimum} to {maximum}, not {value!r}."
        )
    return value
