"""Whatever is killed, no notice is lost, and each is repeated at most once for each kill that met it."""

from __future__ import annotations

import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from handler.notices.sinks import KINDS
from tests.handler.notices.kills import SINKS, WINDOW, Delivery, Kill, Outage, Record, Scale, experiment

# After a message arrived: seconds until the sink has answered and all its notices are marked, on a busy machine.
MARKING = 10.0
PACED, LATE = 20, 3.0  # messages that keep their sink's pace, of which the first may arrive that many seconds late
BUFFERED = 1.0  # seconds that a message of a killed instance is still on its way

FULL = Scale(objects=2000, instance_kills=200, oss_kills=40, seconds=780)
SMOKE = Scale(objects=60, instance_kills=10, oss_kills=2, seconds=12, tick=4, last_tick=30)


class Repeat(NamedTuple):
    """A notice whose `first` delivery was followed by another. `cause` is what prevented the mark: the number of an
    instance, an outage, or None for what must not happen.
    """

    object: str
    first: Delivery
    cause: int | Outage | None


def by_notice(record: Record) -> dict[tuple[str, str], list[Delivery]]:
    """The deliveries of each sink and object, in order."""
    notices: dict[tuple[str, str], list[Delivery]] = defaultdict(list)
    for delivery in sorted(record.deliveries, key=lambda delivery: delivery.at):
        for name in delivery.objects:
            notices[delivery.sink, name].append(delivery)
    return notices


def repeats(record: Record) -> Iterator[Repeat]:
    for (_, name), deliveries in by_notice(record).items():
        used: set[int | Outage] = set()
        for first in deliveries[:-1]:
            causes = [cause for cause in causes_of(record, first) if cause not in used]
            cause = causes[0] if causes else None
            if cause is not None:
                used.add(cause)
            yield Repeat(name, first, cause)


def causes_of(record: Record, delivery: Delivery) -> Iterator[int | Outage]:
    """What may have prevented that a delivery was marked: an outage of OSS, or the death of its instance."""
    for outage in record.outages:
        if outage.began <= delivery.at + MARKING and delivery.at <= outage.ended:
            yield outage
    kill = record.kills.get(delivery.instance)
    if kill is not None and kill.is_busy and -BUFFERED <= kill.at - delivery.at <= MARKING:
        yield delivery.instance


def faults(record: Record) -> list[str]:
    """What contradicts the guarantee, as sentences."""
    notices = by_notice(record)
    sentences = [
        f"lost: {name} at {sink}" for name in record.submitted for sink in SINKS if (sink, name) not in notices
    ]
    in_flight: dict[tuple[str, int, int | Outage], set[Delivery]] = defaultdict(set)
    for name, first, cause in repeats(record):
        if cause is None:
            sentences.append(f"repeated although nothing was killed: {name} at {first.sink}")
        else:
            in_flight[first.sink, first.instance, cause].add(first)
    for (sink, instance, cause), messages in in_flight.items():
        if len(messages) > SINKS[sink].parallel:
            killed = "OSS" if isinstance(cause, Outage) else "it"
            sentences.append(
                f"{len(messages)} messages of instance {instance} to {sink} repeated when {killed} was killed"
            )
    for sink, kind in SINKS.items():
        interval = KINDS[kind.kind].MIN_INTERVAL
        times = sorted(delivery.at for delivery in record.deliveries if delivery.sink == sink)
        paces = [later - at for at, later in zip(times, times[PACED:], strict=False)]
        if interval and min(paces, default=PACED * interval) < PACED * interval - LATE:
            sentences.append(f"too fast: {PACED} messages to {sink} in {min(paces):.1f} s")
    sentences += [f"left: {name}" for name in record.left if name.split("/")[0] in ("outbox", "dead")]
    sentences += [f"internal error: {line['fault']}" for line in record.log if "fault" in line]
    return sentences


def waits(record: Record) -> dict[tuple[str, str], float]:
    """Seconds from the last kill until each notice that was still waiting then had arrived."""
    return {
        notice: deliveries[0].at - record.last_kill
        for notice, deliveries in by_notice(record).items()
        if deliveries[0].at > record.last_kill
    }


def summary(record: Record) -> str:
    causes: Counter[tuple[str, str]] = Counter()
    met: set[int] = set()
    messages: dict[Outage, set[Delivery]] = defaultdict(set)
    for repeat in repeats(record):
        kind = "OSS" if isinstance(repeat.cause, Outage) else "an instance" if repeat.cause else "nothing"
        causes[repeat.first.sink, kind] += 1
        if isinstance(repeat.cause, Outage):
            messages[repeat.cause].add(repeat.first)
        elif repeat.cause is not None:
            met.add(repeat.cause)
    counts = ", ".join(f"{sink} {count} for {kind}" for (sink, kind), count in sorted(causes.items()))
    arrived = by_notice(record)
    overall = max(
        deliveries[0].at - record.submitted[name] - (WINDOW if sink == "digest" else 0)
        for (sink, name), deliveries in arrived.items()
    )
    most = max(map(len, messages.values()), default=0)
    after = waits(record)
    return (
        f"{len(record.submitted)} objects, {len(SINKS)} sinks, {len(record.deliveries)} messages\n"
        f"  killed: {len(record.kills)} instances ({sum(kill.is_busy for kill in record.kills.values())} at work; "
        f"{len(met)} between a message and its mark), {len(record.outages)} OSS ({len(messages)} before a mark)\n"
        f"  repeated: {sum(causes.values())} of {len(arrived)} notices ({counts}); "
        f"for one kill of OSS {most} messages at most\n"
        f"  waiting at the last kill: {len(after)}, the longest for {max(after.values(), default=0):.0f} s after it; "
        f"longest wait of all: {overall:.0f} s\n"
        f"  an event was run {record.tries} times at most, for {record.longest:.0f} s at most; "
        f"failed invocations: {dict(record.codes)}"
    )


@pytest.mark.long
@pytest.mark.parametrize("scale", [SMOKE, FULL], ids=["smoke", "full"])
def test_kills_lose_nothing_and_repeat_only_what_they_met(
    scale: Scale, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("KILLS_SEED") or random.randrange(1_000_000))
    began = time.time()

    def report(line: str) -> None:
        with capsys.disabled():
            print(f"  {line}", flush=True)

    report(f"\n  KILLS_SEED={seed}")
    with experiment(scale, seed, tmp_path, report) as started:
        record = started.run()
    report(f"{summary(record)}\n  {time.time() - began:.0f} s in all")
    assert not faults(record), "\n".join(faults(record)[:50])
    assert len(record.submitted) == scale.objects
    assert (len(record.kills), len(record.outages)) == (scale.instance_kills, scale.oss_kills)
    assert record.longest < 120


ONE = Delivery("webhook", 1, 100.0, frozenset({"object-00001"}))


def everywhere(*deliveries: Delivery, **facts: object) -> Record:
    """A record in which every other sink received the object, too."""
    others = [Delivery(sink, 9, 100.0, ONE.objects) for sink in SINKS if sink != "webhook"]
    record = Record(submitted={"object-00001": 99.0}, deliveries=[*deliveries, *others])
    for name, value in facts.items():
        setattr(record, name, value)
    return record


REPEATED = (ONE, ONE._replace(instance=2, at=140.0))


@pytest.mark.parametrize(
    "record",
    [
        everywhere(ONE),
        everywhere(*REPEATED, kills={1: Kill(100.2, True)}),
        everywhere(*REPEATED, outages=[Outage(99.0, 101.0)]),
        everywhere(*REPEATED, ONE._replace(instance=3, at=180.0), kills={1: Kill(100.2, True), 2: Kill(140.1, True)}),
    ],
)
def test_a_repeat_for_each_kill_is_no_fault(record: Record) -> None:
    assert faults(record) == []


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (everywhere(), "lost"),
        (everywhere(*REPEATED), "repeated although"),
        (everywhere(*REPEATED, kills={1: Kill(150.0, True)}), "repeated although"),
        (everywhere(*REPEATED, kills={1: Kill(100.2, False)}), "repeated although"),
        (everywhere(*REPEATED, kills={2: Kill(140.0, True)}), "repeated although"),
        (everywhere(*REPEATED, outages=[Outage(130.0, 131.0)]), "repeated although"),
        (everywhere(*REPEATED, ONE._replace(at=180.0), kills={1: Kill(100.2, True)}), "repeated although"),
        (everywhere(ONE, left=["outbox/webhook/0000000001-000000-0"]), "left"),
        (everywhere(ONE, log=[{"fault": "KeyError"}]), "internal error"),
    ],
)
def test_the_experiment_finds(record: Record, fault: str) -> None:
    assert [sentence.startswith(fault) for sentence in faults(record)] == [True]


def test_the_experiment_finds_robots_that_are_too_fast() -> None:
    for interval, is_fault in ((3.0, False), (2.8, True)):
        sent = [Delivery("dingtalk", 1, 100 + number * interval, frozenset({str(number)})) for number in range(21)]
        assert bool(faults(Record(deliveries=sent))) is is_fault


@pytest.mark.parametrize("facts", [{"kills": {0: Kill(100.5, True)}}, {"outages": [Outage(100.2, 101.5)]}])
@pytest.mark.parametrize(("sink", "parallel"), [("webhook", 8), ("digest", 1), ("feishu", 1), ("dingtalk", 1)])
def test_the_experiment_finds_more_repeats_than_were_in_flight(
    facts: dict[str, object], sink: str, parallel: int
) -> None:
    for extra in (0, 1):
        names = [frozenset({f"object-{number:05}"}) for number in range(parallel + extra)]
        sent = [Delivery(sink, instance, 100.0 + instance * 40, name) for instance in (0, 1) for name in names]
        record = Record(deliveries=sent)
        for fact, value in facts.items():
            setattr(record, fact, value)
        assert len(faults(record)) == extra
