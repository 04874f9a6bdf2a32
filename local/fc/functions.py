"""The functions of a rendered `s.yaml`, checked: what the runtime needs to know about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import s_yaml
from .s_yaml import TemplateError

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
AUTH_TYPES = ("anonymous", "function", "jwt")
PYTHON_RUNTIMES = ("python3.10", "python3.12")

# The component's own defaults and bounds (fc3-schema.json); times in seconds, memory in MB.
DEFAULT_TIMEOUT, MAX_TIMEOUT = 3, 86400
DEFAULT_INITIALIZER_TIMEOUT, MAX_INITIALIZER_TIMEOUT = 3, 300
DEFAULT_MEMORY, MAX_MEMORY = 512, 32768
DEFAULT_RETRIES, MAX_RETRIES = 3, 8
MAX_ENVIRONMENT_BYTES = 4096


@dataclass(frozen=True)
class Initializer:
    """`instanceLifecycleConfig.initializer`: runs once in each instance, `timeout` in seconds."""

    handler: str
    timeout: int


@dataclass(frozen=True)
class Trigger:
    """Any trigger: its `triggerType`, its `triggerConfig`, not checked, and its `sourceArn` or ""."""

    name: str
    kind: str
    config: Mapping[str, Any]
    source: str = ""


@dataclass(frozen=True)
class HttpTrigger:
    name: str
    methods: tuple[str, ...]
    auth_type: str


@dataclass(frozen=True)
class Function:
    """One function of `s.yaml`: `resource` is its key there, `name` its `functionName`.

    `timeout` is in seconds, `memory` in MB; `code` is the folder that comes first on `sys.path`; `instances` is
    `concurrencyConfig.reservedConcurrency`, None for no limit. A failed asynchronous invocation is retried `retries`
    times and then goes to `failure_destination`.
    """

    resource: str
    name: str
    region: str
    runtime: str
    handler: str
    code: Path
    timeout: int = DEFAULT_TIMEOUT
    memory: int = DEFAULT_MEMORY
    role: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    initializer: Initializer | None = None
    triggers: tuple[Trigger, ...] = ()
    http: HttpTrigger | None = None
    instances: int | None = None
    retries: int = DEFAULT_RETRIES
    failure_destination: str = ""

    @property
    def runs_locally(self) -> bool:
        """Custom runtimes and containers do not."""
        return self.runtime in PYTHON_RUNTIMES


@dataclass(frozen=True)
class Deployment:
    """One `s.yaml`: its functions, in order, and its rendered `vars`."""

    functions: tuple[Function, ...]
    variables: Mapping[str, Any]


def read(path: Path, environ: Mapping[str, str]) -> Deployment:
    """The deployment that `path` describes. Raises `TemplateError`, which names the file and the entry."""
    document = s_yaml.load(path, environ)
    functions = []
    for resource, entry in document["resources"].items():
        component = entry.get("component") if isinstance(entry, dict) else None
        if not isinstance(component, str) or component.split("@")[0] != "fc3":
            continue
        try:
            functions.append(_function(resource, _mapping(entry.get("props"), "props"), path.resolve().parent))
        except TemplateError as error:
            raise TemplateError(f"{path}: resources.{resource}: {error}") from None
    if not functions:
        raise TemplateError(f"{path}: at least one resource with `component: fc3` is required.")
    names = [function.name for function in functions]
    for name in names:
        if names.count(name) > 1:
            raise TemplateError(f"{path}: two functions are called {name!r}. Each functionName must be unique.")
    return Deployment(tuple(functions), document["vars"])


def _function(resource: str, props: Mapping[str, Any], folder: Path) -> Function:
    runtime = _string(props, "runtime")
    async_config = _mapping(props.get("asyncInvokeConfig"), "asyncInvokeConfig")
    destinations = _mapping(async_config.get("destinationConfig"), "asyncInvokeConfig.destinationConfig")
    handler = _string(props, "handler") if runtime in PYTHON_RUNTIMES else str(props.get("handler") or "")
    triggers = tuple(_trigger(entry) for entry in _list(props.get("triggers"), "triggers"))
    http = [_http(trigger) for trigger in triggers if trigger.kind == "http"]
    if len(http) > 1:
        raise TemplateError("two http triggers found. Function Compute allows one for each function.")
    return Function(
        resource=resource,
        name=_string(props, "functionName"),
        region=_string(props, "region"),
        runtime=runtime,
        handler=handler,
        code=_code_folder(props.get("code"), handler, folder),
        timeout=_integer(props, "timeout", DEFAULT_TIMEOUT, MAX_TIMEOUT),
        memory=_integer(props, "memorySize", DEFAULT_MEMORY, MAX_MEMORY),
        role=str(props.get("role") or ""),
        environment=_environment(props.get("environmentVariables")),
        initializer=_initializer(props.get("instanceLifecycleConfig")),
        triggers=triggers,
        http=http[0] if http else None,
        instances=_reserved(props.get("concurrencyConfig")),
        retries=_integer(async_config, "maxAsyncRetryAttempts", DEFAULT_RETRIES, MAX_RETRIES, minimum=0),
        failure_destination=str(_mapping(destinations.get("onFailure"), "onFailure").get("destination") or ""),
    )


def _code_folder(code: object, handler: str, folder: Path) -> Path:
    """The folder of `s.yaml` if the handler's sources are there, so that edits need no build; else `code`."""
    first = handler.split(".")[0]
    if first and ((folder / first).is_dir() or (folder / f"{first}.py").is_file()):
        return folder
    source = code.get("src") if isinstance(code, dict) else code
    return (folder / source).resolve() if isinstance(source, str) and source else folder


def _environment(entry: object) -> Mapping[str, str]:
    variables = _mapping(entry, "environmentVariables")
    for name, value in variables.items():
        if not isinstance(name, str) or name.startswith("FC_"):
            raise TemplateError(f"environmentVariables.{name}: names must not begin with FC_.")
        if not isinstance(value, str):
            raise TemplateError(f"environmentVariables.{name} must be a string. Put the value in quotes.")
    if sum(len(name.encode()) + len(value.encode()) for name, value in variables.items()) > MAX_ENVIRONMENT_BYTES:
        raise TemplateError(f"environmentVariables exceeds {MAX_ENVIRONMENT_BYTES} bytes in total.")
    return dict(variables)


def _initializer(entry: object) -> Initializer | None:
    initializer = _mapping(entry, "instanceLifecycleConfig").get("initializer")
    if initializer is None:
        return None
    initializer = _mapping(initializer, "instanceLifecycleConfig.initializer")
    timeout = _integer(initializer, "timeout", DEFAULT_INITIALIZER_TIMEOUT, MAX_INITIALIZER_TIMEOUT)
    return Initializer(_string(initializer, "handler"), timeout)


def _trigger(entry: object) -> Trigger:
    trigger = _mapping(entry, "triggers")
    return Trigger(
        _string(trigger, "triggerName"),
        _string(trigger, "triggerType"),
        _mapping(trigger.get("triggerConfig"), "triggerConfig"),
        str(trigger.get("sourceArn") or ""),
    )


def _http(trigger: Trigger) -> HttpTrigger:
    auth_type = trigger.config.get("authType")
    if auth_type not in AUTH_TYPES:
        raise TemplateError(f"trigger {trigger.name}: authType must be one of {', '.join(AUTH_TYPES)}.")
    methods = _list(trigger.config.get("methods"), "methods")
    if not methods or any(method not in METHODS for method in methods):
        raise TemplateError(f"trigger {trigger.name}: methods must be a list of {', '.join(METHODS)}.")
    return HttpTrigger(trigger.name, tuple(methods), auth_type)


def _reserved(entry: object) -> int | None:
    config = _mapping(entry, "concurrencyConfig")
    return _integer(config, "reservedConcurrency", 1, 100000) if "reservedConcurrency" in config else None


def _mapping(value: object, name: str) -> Mapping[str, Any]:
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


def _integer(entry: Mapping[str, Any], name: str, default: int, maximum: int, minimum: int = 1) -> int:
    value = entry.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise TemplateError(f"{name} must be an integer from {minimum} to {maximum}, not {value!r}.")
    return value
