"""Whenever a process is killed, the next one goes on: nothing is lost, half written or counted twice."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from queue import SimpleQueue
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import requests

from tests.faults.jobs import CONTENT, Jobs, Run, jobs
from tests.faults.paths import clear_uploads, record_id, shared, upload_page
from tests.faults.service import CALLER, JSON, Service
from tests.handler.notice_fixtures import created

KILLS = 200
NONCE = "nonce-EXAMPLE-000000000"


class Killed(NamedTuple):
    """What a job works on, and what must hold once a second process has done it again.

    `check` gets the arguments, the result of the first process (None if it was killed), and that of the second.
    """

    job: str
    prepare: Callable[[Service], dict[str, Any]]
    check: Callable[[Service, dict[str, Any], dict[str, Any] | None, dict[str, Any]], None]


def uses_of(service: Service, url: str) -> list[bytes | None]:
    folder = f"uses/{record_id(url)}/"
    return [service.read(f".links/state/{folder}{name}") for name in service.names(folder)]


def check_use(service: Service, arguments: dict[str, Any], first: dict[str, Any] | None, last: dict[str, Any]) -> None:
    url = arguments["url"]
    assert last["status"] == 200
    assert requests.get(last["url"], timeout=30).content == b"content"
    uses = uses_of(service, url)
    if "nonce" in arguments:
        assert uses == [NONCE.encode()]
    else:
        # What was counted although nobody got the link is one use at most.
        assert len(uses) in ((1, 2) if first is None else (2,))
    left = service.share(url, headers=JSON)
    assert left.json.get("uses_left", 0) == 2 - len(uses)


def check_last_use(
    service: Service, arguments: dict[str, Any], first: dict[str, Any] | None, last: dict[str, Any]
) -> None:
    assert len(uses_of(service, arguments["url"])) == 1
    granted = [result["status"] for result in (first, last) if result is not None].count(200)
    assert granted == 1 if first is not None else granted <= 1
    assert last["status"] in (200, 410)


def check_make(service: Service, arguments: dict[str, Any], first: dict[str, Any] | None, last: dict[str, Any]) -> None:
    assert last["status"] == 201
    for name in service.names("shares/"):
        assert json.loads(service.read(f".links/state/shares/{name}") or b"")["version"] == 1
    assert service.share(last["url"], headers=JSON).json["uses_left"] == 1


def prepare_revoke(service: Service) -> dict[str, Any]:
    return {"share_id": record_id(shared(max_uses=1)(service))}


def check_revoke(
    service: Service, arguments: dict[str, Any], first: dict[str, Any] | None, last: dict[str, Any]
) -> None:
    assert last["status"] == 204
    assert service.request(f"/-/shares/{arguments['share_id']}", key=CALLER).json["revoked"] is True


def prepare_upload(service: Service) -> dict[str, Any]:
    clear_uploads(service)
    return {"path": f"/in/{next(service.numbers)}.bin"}


def check_upload(
    service: Service, arguments: dict[str, Any], first: dict[str, Any] | None, last: dict[str, Any]
) -> None:
    """OSS accepts the object once: the second process finds it, or sends it."""
    assert last["status"] in ((200, 409) if first is None else (409,)), (first, last)
    assert service.read(f"inbox{urlsplit(arguments['path']).path.removeprefix('/in')}") == CONTENT
    # Parts that nobody can complete any more are those of the killed process.
    assert len(service.upload_folders()) <= 1


def check_abort(
    service: Service, arguments: dict[str, Any], first: dict[str, Any] | None, last: dict[str, Any]
) -> None:
    assert last["status"] == 204
    assert service.read(f"inbox{arguments['path'].removeprefix('/in')}") is None
    assert len(service.upload_folders()) <= (first is None)


def check_page(service: Service, arguments: dict[str, Any], first: dict[str, Any] | None, last: dict[str, Any]) -> None:
    url = arguments["url"]
    assert (last["number"], last["status"] in ((200, 409) if first is None else (409,))) == (1, True)
    folder = f"inbox/{record_id(url)}/"
    assert service.keys(folder) == [f"{folder}1-a.bin"]
    assert service.read(f"{folder}1-a.bin") == CONTENT
    assert service.share(url, headers=JSON).json["files_left"] == 1


def prepare_page(service: Service) -> dict[str, Any]:
    return {"url": upload_page(service, max_size=len(CONTENT)), "nonce": NONCE}


def prepare_notice(service: Service) -> dict[str, Any]:
    key = f"reports/{next(service.numbers)}.txt"
    return {"event": created(key).decode()}


def check_notice(
    service: Service, arguments: dict[str, Any], first: dict[str, Any] | None, last: dict[str, Any]
) -> None:
    key = json.loads(arguments["event"])["events"][0]["oss"]["object"]["key"]
    contents = [json.loads(service.read(name) or b"") for name in service.keys(".links/notices/")]
    assert [content["key"] for content in contents].count(key) == 1


WORK = {
    "a use": Killed("use", lambda service: {"url": shared(max_uses=2)(service), "nonce": NONCE}, check_use),
    "a use without a nonce": Killed("use", lambda service: {"url": shared(max_uses=2)(service)}, check_use),
    "the last use": Killed("use", lambda service: {"url": shared(max_uses=1)(service)}, check_last_use),
    "making a share": Killed("make", lambda service: {"path": f"/reports/{service.new_object('reports')}"}, check_make),
    "revoking a share": Killed("revoke", prepare_revoke, check_revoke),
    "a PUT": Killed("put", prepare_upload, check_upload),
    "a form": Killed("form", prepare_upload, check_upload),
    "a file of an upload page": Killed("page", prepare_page, check_page),
    "a multipart upload": Killed("multipart", prepare_upload, check_upload),
    "an upload that is aborted": Killed("abort", prepare_upload, check_abort),
    "a notice to OSS": Killed("notice", prepare_notice, check_notice),
}


@pytest.fixture(scope="module")
def running_jobs(shared_service: Service) -> Iterator[Jobs]:
    with jobs(shared_service.faults.url) as running:
        yield running


def seconds_of(service: Service, running: Jobs, work: Killed) -> float:
    """How long the job takes."""
    durations = []
    for _ in range(3):
        run = running.start(work.job, **work.prepare(service))
        assert run.result() is not None
        durations.append(time.monotonic() - run.began)
    return median(durations)


def kill_at(service: Service, running: Jobs, work: Killed, moment: Callable[[Run], None]) -> bool:
    """Lets `moment` kill a job; whether it was still at work."""
    arguments = work.prepare(service)
    service.faults.disarm()
    run = running.start(work.job, **arguments)
    moment(run)
    first = run.result()
    service.faults.disarm()
    work.check(service, arguments, first, running.run(work.job, **arguments))
    return first is None


@pytest.mark.long
def test_at_random_moments(shared_service: Service, running_jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("KILLS_SEED") or random.randrange(1_000_000))
    chance = random.Random(seed)
    durations = {name: seconds_of(shared_service, running_jobs, work) for name, work in WORK.items()}
    killed = 0
    for name in islice(cycle(WORK), 10 * KILLS):
        seconds = chance.uniform(0, durations[name])

        def moment(run: Run, seconds: float = seconds) -> None:
            time.sleep(max(0.0, run.began + seconds - time.monotonic()))
            run.kill()

        try:
            killed += kill_at(shared_service, running_jobs, WORK[name], moment)
        except AssertionError as error:
            raise AssertionError(f"KILLS_SEED={seed}: {name}, killed after {seconds:.4f} s: {error}") from error
        if killed == KILLS:
            break
    with capsys.disabled():
        print(f"\n  KILLS_SEED={seed}: {killed} processes were killed at work", flush=True)
    assert killed == KILLS


def calls_of(service: Service, running: Jobs, work: Killed) -> int:
    arguments = work.prepare(service)
    service.faults.disarm()
    running.run(work.job, **arguments)
    return len(service.faults.calls)


@pytest.mark.parametrize("fault", ["reset", "reset after"], ids=["before OSS has it", "after OSS has done it"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "the last use" else pytest.mark.long) for name in WORK]
)
def test_at_each_call_of_oss(shared_service: Service, running_jobs: Jobs, name: str, fault: str) -> None:
    work = WORK[name]
    count = calls_of(shared_service, running_jobs, work)
    assert count
    for number in range(count):
        arguments = work.prepare(shared_service)
        victim: SimpleQueue[Run] = SimpleQueue()
        shared_service.faults.arm(fault, number, act=lambda victim=victim: victim.get().kill())  # type: ignore[misc]
        run = running_jobs.start(work.job, **arguments)
        victim.put(run)
        first = run.result()
        shared_service.faults.disarm()
        assert first is None
        work.check(shared_service, arguments, first, running_jobs.run(work.job, **arguments))
