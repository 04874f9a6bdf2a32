"""What a process keeps between calls: one object of each kind, made at its first use."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from handler.core.cloud.http_client import Connections
from handler.core.cloud.oss import client_for
from handler.core.cloud.oss_clock import OssMemory
from handler.core.cloud.sessions import Sessions
from handler.core.context import Invocation
from handler.core.keys.current import KeysMemory
from tests.handler.client import NOW, context, new_instance

THREADS = 8


def test_each_instance_has_one_object_of_each_kind() -> None:
    one, other = new_instance(), new_instance()
    for kind in (Connections, KeysMemory, Sessions, OssMemory):
        assert one.memory(kind) is one.memory(kind)
        assert type(one.memory(kind)) is kind
        assert one.memory(kind) is not other.memory(kind)


def test_the_calls_of_an_instance_share_its_connections() -> None:
    instance = new_instance()
    clients = [client_for(Invocation(instance, context(), NOW, {})) for _ in range(2)]
    assert clients[0].connections is clients[1].connections


def test_of_the_objects_of_many_threads_one_is_kept() -> None:
    started = Barrier(THREADS)

    class Slow:
        def __init__(self) -> None:
            started.wait(30)

    instance = new_instance()
    with ThreadPoolExecutor(THREADS) as pool:
        made = list(pool.map(lambda _: instance.memory(Slow), range(THREADS)))
    assert {id(each) for each in made} == {id(instance.memory(Slow))}


def test_no_module_of_the_handler_keeps_what_an_instance_should() -> None:
    """Modules hold constants, functions and classes, and no object of a kind."""
    kinds = (Connections, KeysMemory, Sessions, OssMemory)
    modules = [
        module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "handler"
    ]
    kept = [
        f"{module.__name__}.{name}"
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, kinds)
    ]
    assert modules
    assert kept == []
