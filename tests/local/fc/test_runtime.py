"""The core of the local Function Compute: one function, one event, one outcome."""

from __future__ import annotations

import json
import os
import re
import select
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any
from unittest.mock import patch

import pytest

from local.fc import invocation
from local.fc.async_invoke import Dispatcher
from local.fc.functions import Function, Initializer
from local.fc.instances import Instance, Pool
from local.fc.runtime import Outcome, Runtime, UnknownFunction
from local.fc.worker import encode_result, find_handler
from signer import Credentials

FUNCTIONS = Path(__file__).parents[1] / "functions"
KEYS = Credentials("STS.EXAMPLE", "secret-EXAMPLE", "token+/EXAMPLE=")


def function(handler: str, **fields: Any) -> Function:
    plain = Function(
        resource="links",
        name="links",
        region="cn-hangzhou",
        runtime="python3.10",
        handler=handler,
        code=FUNCTIONS,
        role="acs:ram::1000000000000001:role/links-reader",
    )
    return replace(plain, **fields)


@contextmanager
def running(
    one: Function,
    credentials: Callable[[Function], Credentials] = lambda _: KEYS,
    environment: dict[str, str] | None = None,
    log: IO[Any] | None = None,
    instances: int = 4,
) -> Iterator[Runtime]:
    with tempfile.TemporaryFile() as silence:
        runtime = Runtime(
            [one],
            credentials=credentials,
            environment=environment,
            log=log or silence,
            instances=instances,
        )
        try:
            yield runtime
        finally:
            runtime.close()


def result_of(one: Function, event: bytes = b"", **options: Any) -> Any:
    with running(one, **options) as runtime:
        outcome = runtime.invoke(one.name, event)
    assert outcome.error_type is None, outcome.error_message
    return json.loads(outcome.payload)


def failure_of(one: Function, event: bytes = b"", **options: Any) -> dict[str, Any]:
    with running(one, **options) as runtime:
        outcome = runtime.invoke(one.name, event)
    assert outcome.error_type == "UnhandledInvocationError"
    failure: dict[str, Any] = json.loads(outcome.payload)
    assert failure["errorMessage"] == outcome.error_message
    return failure


# What a function receives


def test_the_event_arrives_byte_for_byte() -> None:
    event = bytes(range(256)) * 300
    with running(function("shown.event_of")) as runtime:
        assert runtime.invoke("links", event).payload == event


def test_a_function_runs_in_its_own_process_in_its_code_folder_with_an_empty_stdin_and_no_module_of_ours() -> (
    None
):
    shown = result_of(function("shown.process"))
    assert shown["pid"] != os.getpid()
    assert shown["folder"] == shown["path"] == str(FUNCTIONS)
    assert (shown["stdin"], shown["event_type"]) == ("", "bytes")
    modules = {name.split(".")[0] for name in shown["modules"]}
    assert modules.isdisjoint(
        {"local", "handler", "signer", "werkzeug", "requests", "yaml", "http"}
    )


def test_the_context_of_python_3_10_has_credentials_and_the_functions_settings() -> None:
    shown = result_of(function("shown.context_of", memory=256, timeout=7))
    assert shown["credentials"] == {
        "access_key_id": "STS.EXAMPLE",
        "access_key_secret": "secret-EXAMPLE",
        "security_token": "token+/EXAMPLE=",
    }
    assert shown["function"] == {
        "name": "links",
        "handler": "shown.context_of",
        "memory": 256,
        "timeout": 7,
    }
    assert (shown["region"], shown["account_id"], shown["retry_count"]) == (
        "cn-hangzhou",
        "1000000000000001",
        0,
    )
    assert shown["request_id"].startswith("1-")
    assert "EXAMPLE" not in shown["repr"]


def test_the_credentials_of_python_3_12_are_in_the_environment_and_not_in_the_context() -> None:
    assert result_of(function("shown.context_of", runtime="python3.12"))["credentials"] is None
    variables = invocation.environment(
        function("shown.environment", runtime="python3.12"), KEYS, {}, {}
    )
    assert variables["ALIBABA_CLOUD_ACCESS_KEY_ID"] == "STS.EXAMPLE"
    assert variables["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] == "secret-EXAMPLE"
    assert variables["ALIBABA_CLOUD_SECURITY_TOKEN"] == "token+/EXAMPLE="


def test_a_function_without_a_role_has_no_credentials_anywhere() -> None:
    assert set(result_of(function("shown.context_of", role=""))["credentials"].values()) == {""}
    assert "ALIBABA_CLOUD" not in "".join(
        invocation.environment(function("shown.environment"), None, {}, {})
    )


def test_each_invocation_has_fresh_credentials_while_the_environment_keeps_the_first() -> None:
    current = [Credentials("STS.FIRST", "s", "t")]
    with running(function("shown.context_of"), credentials=lambda _: current[0]) as runtime:
        first = json.loads(runtime.invoke("links", b"").payload)
        current[0] = Credentials("STS.SECOND", "s", "t")
        second = json.loads(runtime.invoke("links", b"").payload)
    assert first["credentials"]["access_key_id"] == "STS.FIRST"
    assert second["credentials"]["access_key_id"] == "STS.SECOND"


def test_the_environment_is_the_functions_own_and_not_the_machines() -> None:
    own = function(
        "shown.environment",
        environment={"LINK_BUCKET": "examplebucket", "LINK_CONFIG": "links.toml"},
    )
    extra = {"LINK_OSS_ENDPOINT": "http://127.0.0.1:9001", "LINK_CONFIG": "other.toml"}
    host = {"OSS_ACCESS_KEY_ID": "LTAI5tEXAMPLE", "PATH": "/bin"}
    variables = invocation.environment(own, KEYS, host, extra)
    assert "OSS_ACCESS_KEY_ID" not in variables
    assert variables["FC_INSTANCE_ID"].startswith("c-")
    assert (
        variables.items()
        >= {
            **extra,
            "PATH": "/bin",
            "LINK_BUCKET": "examplebucket",
            "FC_REGION": "cn-hangzhou",
            "FC_FUNCTION_NAME": "links",
            "FC_ACCOUNT_ID": "1000000000000001",
            "FC_FUNC_CODE_PATH": str(FUNCTIONS),
        }.items()
    )


def test_what_a_function_prints_goes_to_the_log_and_not_into_its_result() -> None:
    with tempfile.TemporaryFile() as log:
        with running(function("shown.printing"), log=log) as runtime:
            outcome = runtime.invoke("links", b"", request_id="1-example")
        log.seek(0)
        assert log.read() == b"audit 1-example\n"
    assert outcome == Outcome("1-example", b"printed")


# What a function returns


def test_a_string_is_returned_unchanged_and_any_other_value_as_json() -> None:
    for string in ("plain", '{"statusCode": 200}', "你好", ""):
        assert encode_result(string) == encode_result(string.encode()) == string.encode()
    for value in (None, 1, True, [1, "two"], {"a": {"b": None}}):
        assert json.loads(encode_result(value)) == value
    with pytest.raises(TypeError, match="bytes"):
        encode_result({"body": b""})


# How a function fails


def test_an_exception_is_reported_with_its_stack_and_logged_and_the_instance_is_reused() -> None:
    with tempfile.TemporaryFile() as log:
        with running(function("faults.raising"), log=log, instances=1) as runtime:
            outcomes = [runtime.invoke("links", b"") for _ in range(2)]
        log.seek(0)
        assert log.read().count(b"ValueError: the event does not suit me") == 2
    for outcome in outcomes:
        assert (outcome.error_type, outcome.error_message) == (
            "UnhandledInvocationError",
            "the event does not suit me",
        )
        place = [f'File "{FUNCTIONS / "faults.py"}"', "line 12", "in raising"]
        assert json.loads(outcome.payload) == {
            "errorMessage": "the event does not suit me",
            "errorType": "ValueError",
            "stackTrace": [[*place, 'raise ValueError("the event does not suit me")']],
        }


def test_a_process_that_exits_is_an_error_and_is_replaced() -> None:
    with running(function("faults.leaving"), instances=1) as runtime:
        for _ in range(2):
            outcome = runtime.invoke("links", b"")
            assert outcome.error_message == "Process exited unexpectedly before completing request"


def test_a_function_that_hangs_is_killed_at_its_timeout_and_replaced() -> None:
    with running(function("faults.hanging", timeout=1), instances=1) as runtime:
        before = json.loads(runtime.invoke("links", b"").payload)
        hung = runtime.invoke("links", b"hang")
        after = json.loads(runtime.invoke("links", b"").payload)
    assert hung.error_type == "UnhandledInvocationError"
    assert hung.error_message == "Function time out after 1 seconds"
    assert before != after
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)


def test_child_processes_end_with_the_function(tmp_path: Path) -> None:
    fifo, reader = readable_fifo(tmp_path)
    with running(function("faults.hanging_with_a_child", timeout=1)) as runtime:
        outcome = runtime.invoke("links", str(fifo).encode())
    assert outcome.error_message == "Function time out after 1 seconds"
    assert read_within(reader) == b"x"
    assert read_within(reader) == b""


def test_closing_the_runtime_ends_a_running_invocation(tmp_path: Path) -> None:
    fifo, reader = readable_fifo(tmp_path)
    with (
        running(function("faults.hanging_with_a_child", timeout=600)) as runtime,
        ThreadPoolExecutor() as threads,
    ):
        invocation = threads.submit(runtime.invoke, "links", str(fifo).encode())
        assert read_within(reader) == b"x"
        runtime.close()
        assert invocation.result(timeout=10).error_type == "UnhandledInvocationError"
        assert read_within(reader) == b""
        assert runtime.invoke("links", b"").error_type == "UnhandledInvocationError"


def test_an_unknown_function_is_refused_with_the_known_names() -> None:
    with (
        running(function("shown.event_of")) as runtime,
        pytest.raises(
            UnknownFunction,
            match=r"Function 'other' not found \(functions that run locally: links\)",
        ),
    ):
        runtime.invoke("other", b"")


# The initializer


def test_the_initializer_runs_once_before_the_first_invocation_of_an_instance() -> None:
    one = function("started.how_often", initializer=Initializer("started.initialize", 3))
    with running(one, instances=1) as runtime:
        assert [json.loads(runtime.invoke("links", b"").payload) for _ in range(2)] == [
            ["links"],
            ["links"],
        ]


def test_a_failing_initializer_fails_each_start_and_a_warm_instance_serves_the_first_invocation(
    tmp_path: Path,
) -> None:
    one = function(
        "started.how_often",
        initializer=Initializer("started.refuse", 3),
        environment={"STARTED_IN": str(tmp_path)},
    )
    with running(one, instances=1) as runtime:
        for start in (runtime.warm("links"), runtime.invoke("links", b"")):
            assert start is not None
            assert start.error_message == "links.toml: the mount names no bucket"
        (tmp_path / "good").touch()
        assert runtime.warm("links") is None
        (tmp_path / "good").unlink()
        assert runtime.invoke("links", b"").error_type is None
        assert (tmp_path / "attempts").read_text() == "xxx"


# The loader


def test_a_function_may_come_from_a_module_level_getattr_of_a_package() -> None:
    with running(function("late.on_http")) as runtime:
        assert runtime.invoke("links", b"").payload == b"late but here"


def test_a_submodule_is_loaded_under_its_full_name_without_its_package() -> None:
    assert result_of(function("late.words.parent_is_imported")) is False
    with running(function("late.words.own_name")) as runtime:
        assert runtime.invoke("links", b"").payload == b"late.words"


def test_a_submodule_that_needs_its_package_does_not_load() -> None:
    failure = failure_of(function("late.inner.on_http"))
    assert failure["errorType"] == "ImportError"
    assert "no known parent package" in failure["errorMessage"]


def test_a_handler_that_is_not_found_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FUNCTIONS)
    for handler, kind, sentence in (
        (
            "late.missing.handler",
            ModuleNotFoundError,
            "there is no module late.missing. Correct it in s.yaml.",
        ),
        (
            "shown.event_off",
            AttributeError,
            "shown has no such function. Did you mean shown.event_of?",
        ),
        ("late.missing", AttributeError, "late has no such function. Correct it in s.yaml."),
        ("answers.not_a_function", TypeError, "answers.not_a_function"),
        ("nodot", ImportError, "Invalid handler 'nodot' (expected module.function)."),
    ):
        with patch.dict(sys.modules), pytest.raises(kind, match=re.escape(sentence)):
            find_handler(handler)


# The last one is beside the worker.
@pytest.mark.parametrize(
    ("handler", "kind"),
    [("unloadable.handler", "RuntimeError"), ("instances.handler", "ModuleNotFoundError")],
)
def test_a_handler_that_does_not_load_fails_each_invocation_and_a_mistyped_one_is_a_sentence_in_the_log(
    handler: str, kind: str
) -> None:
    with tempfile.TemporaryFile() as log:
        failure = failure_of(function(handler), log=log)
        log.seek(0)
        logged = log.read().decode()
    assert failure["errorType"] == kind
    if kind == "RuntimeError":  # of the module's own
        assert "Traceback" in logged
        assert "local: links failed to start: " in logged
    else:
        assert logged == f"local: links failed to start: {failure['errorMessage']}\n"


def test_after_a_renewal_every_request_has_a_new_instance(tmp_path: Path) -> None:
    with running(function("shown.event_of")) as runtime:
        runtime.invoke("links", b"")
        before = runtime.processes("links")
        runtime.renew()
        assert runtime.processes("links") == ()
        runtime.invoke("links", b"")
        assert set(runtime.processes("links")).isdisjoint(before)


def test_a_renewal_lets_a_busy_instance_finish_its_request(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with running(function("meeting.both", timeout=20)) as runtime, ThreadPoolExecutor() as threads:
        events = [json.dumps({"fifo": str(fifo), "mode": mode}).encode() for mode in ("r", "w")]
        first = threads.submit(runtime.invoke, "links", events[0])
        with fifo.open("wb"):  # opens once the function reads
            before = runtime.processes("links")
            runtime.renew()
        first.result(30)
        assert set(runtime.processes("links")).isdisjoint(before)


def loaded(instance: Instance) -> None:
    """Nothing is left to do for it."""


def test_a_renewal_while_an_instance_starts_replaces_it_after_its_request() -> None:
    def start() -> Instance:
        if not started:
            pool.renew()
        started.append(Instance(FUNCTIONS, {}))
        return started[-1]

    started: list[Instance] = []
    pool = Pool(start, loaded, 1)
    for _ in range(3):
        with pool.lease():
            pass
    pool.close()
    assert len(started) == 2


def test_a_missing_code_folder_is_reported(tmp_path: Path) -> None:
    failure = failure_of(function("shown.event_of", code=tmp_path / "build"))
    message = f"the module 'shown' is not beside s.yaml, and the code folder {tmp_path / 'build'} does not exist."
    assert failure["errorMessage"].startswith(message)
    assert "Correct the handler 'shown.event_of' in s.yaml" in failure["errorMessage"]


# Instances


def test_two_concurrent_requests_run_in_two_instances(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with running(function("meeting.both", timeout=20)) as runtime, ThreadPoolExecutor() as threads:
        events = [json.dumps({"fifo": str(fifo), "mode": mode}).encode() for mode in ("r", "w")]
        outcomes = list(threads.map(lambda event: runtime.invoke("links", event), events))
    assert [outcome.payload for outcome in outcomes] == [b"met", b"met"]


def test_an_instance_handles_one_request_at_a_time_and_the_others_wait(tmp_path: Path) -> None:
    one = function("meeting.alone", instances=1)
    with running(one) as runtime, ThreadPoolExecutor(16) as threads:
        outcomes = list(
            threads.map(
                lambda _: runtime.invoke("links", str(tmp_path / "lock").encode()), range(100)
            )
        )
    assert {outcome.error_message for outcome in outcomes} == {None}
    assert len({outcome.payload for outcome in outcomes}) == 1


def test_a_close_ends_an_instance_that_loads(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "slow.py").write_text(
        f"import signal\nwith open({str(fifo)!r}, 'w') as f:\n    f.write('x')\nsignal.pause()\n"
    )
    slow = function("slow.on_event", code=tmp_path)
    with ThreadPoolExecutor() as threads, running(slow) as runtime:
        failure = threads.submit(runtime.warm, "links")
        assert fifo.read_text() == "x"
        runtime.close()
        outcome = failure.result(30)
    assert outcome is not None
    assert outcome.error_message == "Process exited unexpectedly before completing request"


def test_an_idle_instance_that_died_is_replaced_before_the_next_request() -> None:
    pool = Pool(lambda: Instance(FUNCTIONS, {}), loaded, 1)
    with pool.lease() as first:
        pass
    with pool.lease() as second:
        assert second is first
    first.stop()
    with pool.lease() as third:
        assert third.is_alive
        assert third is not first
    pool.close()
    assert not third.is_alive


def test_a_hundred_concurrent_requests_start_no_more_instances_than_allowed() -> None:
    with (
        running(function("faults.hanging"), instances=3) as runtime,
        ThreadPoolExecutor(100) as threads,
    ):
        outcomes = list(threads.map(lambda _: runtime.invoke("links", b""), range(100)))
    assert {outcome.error_type for outcome in outcomes} == {None}
    assert 1 <= len({outcome.payload for outcome in outcomes}) <= 3


def test_an_asynchronous_invocation_returns_at_once_and_runs_in_the_background(
    tmp_path: Path,
) -> None:
    fifo, reader = readable_fifo(tmp_path)
    one = function("faults.hanging_with_a_child", timeout=600)
    with running(one) as runtime:
        dispatcher = Dispatcher(runtime, (one,))
        assert dispatcher.submit(one, str(fifo).encode()).startswith("1-")
        assert read_within(reader) == b"x"
        assert not dispatcher.wait(0)
        dispatcher.close()


def readable_fifo(folder: Path) -> tuple[Path, int]:
    """A FIFO and its reading end, which reads b"" once no process holds the writing end."""
    fifo = folder / "held"
    os.mkfifo(fifo)
    return fifo, os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)


def read_within(reader: int, seconds: float = 20) -> bytes:
    assert select.select([reader], [], [], seconds)[0], "nothing was written in time"
    return os.read(reader, 1)
