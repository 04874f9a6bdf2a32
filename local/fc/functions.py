"""The functions of a rendered `s.yaml`, checked: what the runtime needs to know about each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from signer.emulator.ram import ACCOUNT

from . import s_yaml, schema
from .s_yaml import TemplateError

PYTHON_RUNTIMES = ("python3.10", "python3.12")
EVENT_HANDLER = "handler.on_event"

# The component's own defaults (fc3-schema.json); times in seconds, memory in MB.
DEFAULT_TIMEOUT = 3
DEFAULT_INITIALIZER_TIMEOUT = 3
DEFAULT_MEMORY = 512
DEFAULT_RETRIES = 3
DEFAULT_EVENT_AGE = 18_000
MAX_ENVIRONMENT_BYTES = 4096


class InvalidFunction(TemplateError):
    """`faults` are sentences: what fc3 or Function Compute does not accept in its props."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = tuple(faults)


class Initializer(NamedTuple):
    """`instanceLifecycleConfig.initializer`: runs once in each instance, `timeout` in seconds."""

    handler: str
    timeout: int


class Trigger(NamedTuple):
    """Any trigger: its `triggerType`, its `triggerConfig`, its `sourceArn` and `invocationRole` or ""."""

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
    """`logConfig`: `begin_rule` is its `logBeginRule`, by which lines are joined, or ""."""

    project: str
    logstore: str
    begin_rule: str = ""
    request_metrics: bool = True


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
    `concurrency` requests at a time. A failed asynchronous invocation is retried `retries` times, for at most
    `max_event_age` seconds; `destinations` are ARNs by `onFailure` and `onSuccess`; `qualifier` is that of
    `asyncInvokeConfig`, None without one. `prop_names` are those of all props, also without a field here.
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
    internet_access: bool = True
    retries: int = DEFAULT_RETRIES
    max_event_age: int = DEFAULT_EVENT_AGE
    qualifier: str | None = None
    destinations: Mapping[str, str] = field(default_factory=dict)
    log: Log | None = None
    domain: Domain | None = None
    custom: CustomRuntime | None = None
    prop_names: frozenset[str] = frozenset()

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
            functions.append(function_of(resource, entry.get("props"), path.resolve().parent))
        except InvalidFunction as error:
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
    resources = document.get("resources") or {}
    if not isinstance(resources, dict):
        raise TemplateError("resources must be a mapping, with one `name: value` on each line.")
    return {
        name: entry
        for name, entry in resources.items()
        if isinstance(entry, dict) and str(entry.get("component")).split("@")[0] == "fc3"
    }


def function_of(resource: str, props: object, folder: Path) -> Function:
    """A function from its rendered props in the `s.yaml` of a folder. Raises `InvalidFunction`."""
    if faults := [*dict.fromkeys(schema.faults(props))]:
        raise InvalidFunction(faults)
    return _read(resource, cast("Mapping[str, Any]", props), folder)


def _read(resource: str, props: Mapping[str, Any], folder: Path) -> Function:
    """From props that have passed the schema."""
    runtime = props["runtime"]
    async_config = props.get("asyncInvokeConfig", {})
    destinations = async_config.get("destinationConfig", {})
    handler = props.get("handler", "")
    triggers = tuple(map(_trigger, props.get("triggers", [])))
    http = [
        HttpTrigger(trigger.name, tuple(trigger.config["methods"]), trigger.config["authType"])
        for trigger in triggers
        if trigger.kind == "http"
    ]
    if len(http) > 1:
        raise InvalidFunction(
            ["two http triggers found. Function Compute allows one for each function."]
        )
    initializer = _initializer(props.get("instanceLifecycleConfig", {}).get("initializer"))
    code = props.get("code")
    return Function(
        resource=resource,
        name=props["functionName"],
        region=props["region"],
        runtime=runtime,
        handler=handler,
        code=_code_folder(code, handler or (initializer.handler if initializer else ""), folder),
        package=code if isinstance(code, str) else "",
        timeout=props.get("timeout", DEFAULT_TIMEOUT),
        memory=props.get("memorySize", DEFAULT_MEMORY),
        cpu=props.get("cpu"),
        role=props.get("role", ""),
        environment=_environment(props.get("environmentVariables", {})),
        initializer=initializer,
        triggers=triggers,
        http=http[0] if http else None,
        instances=props.get("concurrencyConfig", {}).get("reservedConcurrency"),
        concurrency=props.get("instanceConcurrency", 1),
        internet_access=props.get("internetAccess", True),
        max_event_age=async_config.get("maxAsyncEventAgeInSeconds", DEFAULT_EVENT_AGE),
        retries=async_config.get("maxAsyncRetryAttempts", DEFAULT_RETRIES),
        qualifier=async_config.get("qualifier", "") if async_config else None,
        destinations={
            name: destinations[name].get("destination", "")
            for name in ("onFailure", "onSuccess")
            if name in destinations
        },
        log=_log(props.get("logConfig", "auto")),
        domain=_domain(props.get("customDomain")),
        custom=_custom_runtime(props.get("customRuntimeConfig")),
        prop_names=frozenset(props),
    )


def _code_folder(code: object, handler: str, folder: Path) -> Path:
    """Where the handler's sources are, so that edits need no build: beside `s.yaml` or links.toml; else `code`."""
    first = handler.split(".")[0]
    for sources in (folder, s_yaml.project_folder(folder / "s.yaml")):
        if first and ((sources / first).is_dir() or (sources / f"{first}.py").is_file()):
            return sources
    source = code.get("src") if isinstance(code, dict) else code
    return (folder / source).resolve() if isinstance(source, str) and source else folder


def _log(config: Any) -> Log | None:
    """None also for auto, which may choose others at each deployment."""
    if config == "auto":
        return None
    return Log(
        project=config["project"],
        logstore=config["logstore"],
        begin_rule=config.get("logBeginRule", ""),
        request_metrics=config.get("enableRequestMetrics", True),
    )


def _domain(config: Mapping[str, Any] | None) -> Domain | None:
    if config is None:
        return None
    route = config["route"]
    return Domain(
        name=config["domainName"],
        protocol=config["protocol"],
        certificate=config.get("certConfig", {}),
        path=route["path"],
        qualifier=route.get("qualifier", "LATEST"),
    )


def _custom_runtime(config: Mapping[str, Any] | None) -> CustomRuntime | None:
    if config is None:
        return None
    return CustomRuntime(
        command=tuple(config.get("command", ())),
        args=tuple(config.get("args", ())),
        port=config.get("port", CustomRuntime().port),
        health=config.get("healthCheckConfig", {}).get("httpGetUrl", ""),
    )


def _environment(variables: Mapping[str, str]) -> Mapping[str, str]:
    if reserved := [name for name in variables if name.startswith("FC_")]:
        raise InvalidFunction(
            [f"environmentVariables.{name}: names must not begin with FC_." for name in reserved]
        )
    size = sum(len(name.encode()) + len(value.encode()) for name, value in variables.items())
    if size >= MAX_ENVIRONMENT_BYTES:
        total = f"{MAX_ENVIRONMENT_BYTES} bytes in total (got {size})"
        raise InvalidFunction([f"environmentVariables must be smaller than {total}."])
    return dict(variables)


def _initializer(config: Mapping[str, Any] | None) -> Initializer | None:
    if config is None:
        return None
    if "handler" not in config:
        raise InvalidFunction(["instanceLifecycleConfig.initializer.handler is missing."])
    return Initializer(config["handler"], config.get("timeout", DEFAULT_INITIALIZER_TIMEOUT))


def _trigger(config: Mapping[str, Any]) -> Trigger:
    return Trigger(
        name=config["triggerName"],
        kind=config["triggerType"],
        config=config["triggerConfig"],
        source=config.get("sourceArn", ""),
        caller=config.get("invocationRole", ""),
    )
