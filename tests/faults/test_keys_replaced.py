"""The keys document is replaced while threads use what is in it: each answer is that of one complete document."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import pytest

from handler.core.context import Invocation
from handler.core.keys import current
from tests.handler.client import KEYS, NOW, context, new_instance
from tests.handler.keys_fixtures import READER, api, document
from tests.local_oss import PLACE, LocalOss, local_oss

THREADS, REPLACED = 4, 24


@pytest.fixture
def oss(tmp_path: Path) -> Iterator[LocalOss]:
    with local_oss(tmp_path / "oss") as started:
        yield started


def test_threads_use_complete_documents_while_others_replace_them(oss: LocalOss) -> None:
    """Two of three documents are valid. They count up in two members, and half a minute passes after each."""
    now = [NOW]
    ended = threading.Event()
    seen = set[int]()
    instance = new_instance(oss.config)

    def put(number: int) -> None:
        names = [api(f"{each}-{number}", f"{READER}{each}") for each in ("one", "two")]
        oss.client.put(
            PLACE, json.dumps(document(api=names)).encode(), content_type="application/json"
        )

    def use() -> None:
        while not ended.is_set():
            keys = current.current_keys(Invocation(instance, context(KEYS), now[0], {})).api
            (number,) = {int(key.id.partition("-")[2]) for key in keys}
            assert [key.id.partition("-")[0] for key in keys] == ["one", "two"]
            seen.add(number)
            time.sleep(0.002)

    put(0)
    with ThreadPoolExecutor(THREADS) as pool:
        users = [pool.submit(use) for _ in range(THREADS)]
        for number, is_valid in zip(range(1, REPLACED), cycle((True, True, False)), strict=False):
            put(number) if is_valid else oss.client.put(
                PLACE, b"{", content_type="application/json"
            )
            now[0] += 30
            time.sleep(0.01)
        ended.set()
        for user in users:
            user.result(60)
    assert len(seen) > 3
