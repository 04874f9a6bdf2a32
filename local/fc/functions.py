"""The functions of a rendered `s.yaml`, checked: what the runtime needs to know of each."""

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
DEFAULT_TIMEOUT, LONGEST_TIMEOUT = 3, 86400
DEFAULT_INITIALIZER_TIMEOUT, LONGEST_INITIALIZER_TIMEOUT = 3, 300
DEFAULT_MEMORY = 512
DEFAULT_RETRIES, MOST_RETRIES = 3, 8
ENVIRONMENT_BYTES = 4096


@dataclass(frozen=True)
class Initializer:
    """`instanceLifecycleConfig.initializer`: runs once in each instance, `timeout` in seconds."""

    handler: str
    timeout: int


@dataclass(frozen=True)
class Trigger:
    """Any trigger: `kind` is `http`, `oss`, `timer`, `mns_topic` or `eventbridge`; `config` is as it stands.

    `source` is its `sourceArn`, empty where there is none.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    source: str = ""


@dataclass(frozen=True)
class HttpTrigger:
    """An `http` trigger, checked."""

    name: str
    methods: tuple[str, ...]
    auth_type: str


@dataclass(frozen=True)
class Function:
    """One function of `s.yaml`: `resource` is its key there, `name` its `functionName`.

    `timeout` is in seconds, `memory` in MB, `code` the folder that is first on `sys.path`; `instances` is
    `concurrencyConfig.reservedConcurrency`, None where there is no ceiling. `retries` is how often an asynchronous
    invocation that failed is tried again, `failure_destination` where it goes then.
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
    def runs_here(self) -> bool:
        """Whether this package can run it; custom runtimes and containers it cannot."""
        return self.runtime in PYTHON_RUNTIMES


@dataclass(frozen=True)
class Deployment:
    """All of one `s.yaml`: its functions, in order, and its rendered `vars`."""

    functions: tuple[Function, ...]
    variables: Mapping[str, Any]


def read(path: Path, environ: Mapping[str, str]) -> Deployment:
    """The deployment that `path` describes. Raises `TemplateError`, whose text names the file and the entry."""
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
        raise TemplateError(f"{path}: no resource has `component: fc3`, so there is no function to run.")
    names = [function.name for function in functions]
    for name in names:
        if names.count(name) > 1:
            raise TemplateError(f"{path}: two functions are called {name!r}: give each its own functionName.")
    return Deployment(tuple(functions), document["vars"])


def _function(resource: str, props: Mapping[str, Any], folder: Path) -> Function:
    runtime = _string(props, "runtime")
    background = _mapping(props.get("asyncInvokeConfig"), "asyncInvokeConfig")
    destinations = _mapping(background.get("destinationConfig"), "asyncInvokeConfig.destinationConfig")
    handler = _string(props, "handler") if runtime in PYTHON_RUNTIMES else str(props.get("handler") or "")
    triggers = tuple(_trigger(entry) for entry in _list(props.get("triggers"), "triggers"))
    web = [_http(trigger) for trigger in triggers if trigger.kind == "http"]
    if len(web) > 1:
        raise TemplateError("it has two http triggers: Function Compute allows one for each function.")
    return Function(
        resource=resource,
        name=_string(props, "functionName"),
        region=_string(props, "region"),
        runtime=runtime,
        handler=handler,
        code=_code_folder(props.get("code"), handler, folder),
        timeout=_whole(props, "timeout", DEFAULT_TIMEOUT, LONGEST_TIMEOUT),
        memory=_whole(props, "memorySize", DEFAULT_MEMORY, 32768),
        role=str(props.get("role") or ""),
        environment=_environment(props.get("environmentVariables")),
        initializer=_initializer(props.get("instanceLifecycleConfig")),
        triggers=triggers,
        http=web[0] if web else None,
        instances=_reserved(props.get("concurrencyConfig")),
        retries=_whole(background, "maxAsyncRetryAttempts", DEFAULT_RETRIES, MOST_RETRIES, least=0),
        failure_destination=str(_mapping(destinations.get("onFailure"), "onFailure").get("destination") or ""),
    )


def _code_folder(code: object, handler: str, folder: Path) -> Path:
    """The sources beside `s.yaml` where they hold the handler, so that an edit is seen without a build; else `code`."""
    first = handler.split(".")[0]
    if first and ((folder / first).is_dir() or (folder / f"{first}.py").is_file()):
        return folder
    source = code.get("src") if isinstance(code, dict) else code
    return (folder / source).resolve() if isinstance(source, str) and source else folder


def _environment(entry: object) -> Mapping[str, str]:
    variables = _mapping(entry, "environmentVariables")
    for name, value in variables.items():
        if not isinstance(name, str) or name.startswith("FC_"):
            raise TemplateError(f"environmentVariables.{name}: a name may not begin with FC_.")
        if not isinstance(value, str):
            raise TemplateError(f"environmentVariables.{name} is no string: put its value in quotes.")
    if sum(len(name.encode()) + len(value.encode()) for name, value in variables.items()) > ENVIRONMENT_BYTES:
        raise TemplateError(f"environmentVariables hold more than {ENVIRONMENT_BYTES} bytes: make them shorter.")
    return dict(variables)


def _initializer(entry: object) -> Initializer | None:
    hook = _mapping(entry, "instanceLifecycleConfig").get("initializer")
    if hook is None:
        return None
    hook = _mapping(hook, "instanceLifecycleConfig.initializer")
    timeout = _whole(hook, "timeout", DEFAULT_INITIALIZER_TIMEOUT, LONGEST_INITIALIZER_TIMEOUT)
    return Initializer(_string(hook, "handler"), timeout)


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
        raise TemplateError(f"trigger {trigger.name}: authType is one of {', '.join(AUTH_TYPES)}.")
    methods = _list(trigger.config.get("methods"), "methods")
    if not methods or any(method not in METHODS for method in methods):
        raise TemplateError(f"trigger {trigger.name}: methods is a list of {', '.join(METHODS)}.")
    return HttpTrigger(trigger.name, tuple(methods), auth_type)


def _reserved(entry: object) -> int | None:
    config = _mapping(entry, "concurrencyConfig")
    return _whole(config, "reservedConcurrency", 1, 100000) if "reservedConcurrency" in config else None


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TemplateError(f"{name} is no mapping: write one `name: value` a line below it.")
    return value


def _list(value: object, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise TemplateError(f"{name} is no list: begin each entry with a dash.")
    return value


def _string(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise TemplateError(f"{name} is missing: give it a text.")
    return value


def _whole(entry: Mapping[str, Any], name: str, default: int, most: int, least: int = 1) -> int:
    value = entry.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise TemplateError(f"{name} is a whole number from {least} to {most}, not {value!r}.")
    return value
