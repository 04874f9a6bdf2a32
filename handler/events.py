"""Function Compute's events in, a JSON summary out: links make themselves, and people are told.

An invocation that fails is tried again by the platform, which is why all that went wrong is raised at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex

from . import audit, startup
from .config import Config
from .context import Invocation
from .errors import HandlerError, Problem
from .notices import notice, sources
from .notices.notice import Notice
from .notices.sender import Tally, Teller
from .notices.sinks.client import Network
from .notices.sources import Created, Event, Fault, Skipped, Tick, Wanted
from .times import Clock

TIMEOUT = 60.0  # seconds, where the context names none
RESERVE = 5.0  # seconds of the function's time that are kept for marks and the answer


class InvocationFailed(HandlerError):
    """The invocation is to be tried again; the sentence says why and shows nothing of what was sent."""

    code = "invocation_failed"


def on_event(event: bytes | str, context: object) -> dict[str, object]:
    """The event function: what the event was made of, and what became of it. Raises `InvocationFailed`."""
    return answer(event, context, startup.config, network=Network(), clock=Clock())


def answer(
    event: bytes | str, context: object, policy: Callable[[], Config], *, network: Network, clock: Clock
) -> dict[str, object]:
    """`on_event` in a world of one's choice; `policy` is asked once. The line of audit is written in any case."""
    began = clock.monotonic()
    given_id = getattr(context, "request_id", None)
    request_id = given_id if isinstance(given_id, str) and given_id else token_hex(12)
    facts: dict[str, object] = {"request_id": audit.string(request_id), "event": None, "code": None}
    failure: HandlerError | None = None
    summary: dict[str, object] = {}
    try:
        rules = policy()
        deadline = began + max(_timeout(context) - RESERVE, 1.0)
        found = sources.read(event, request_id)
        facts["event"] = "+".join(found.sources) or None
        invocation = Invocation(rules, context, clock.now(), facts)
        summary, failure = _follow(found, invocation, network, clock, deadline)
    except HandlerError as error:
        failure = error
    except Exception as error:
        facts["fault"] = audit.fault(error)
        failure = InvocationFailed(
            f"Something went wrong here: the log tells where, under the request {request_id}.", code="internal_error"
        )
    facts |= summary
    facts["code"] = failure.code if failure is not None else None
    facts["milliseconds"] = round((clock.monotonic() - began) * 1000, 3)
    audit.write(facts)
    if failure is not None:
        # Raised anew, so that neither causes nor frames with values go along.
        raise InvocationFailed(failure.sentence, code=failure.code) from None
    return summary


def _follow(
    event: Event, invocation: Invocation, network: Network, clock: Clock, deadline: float
) -> tuple[dict[str, object], InvocationFailed | None]:
    """The summary, and what is to be raised after all that could be told was told."""
    giver = notice.Giver(invocation)
    teller = Teller(invocation, giver, token_hex(12), network, clock, deadline)
    tally, faults = teller.tally, []
    wanted: list[Notice] = []
    items = 0
    for item in event.items:
        items += not isinstance(item, (Tick, Fault))
        if isinstance(item, Fault):
            faults.append(item.sentence)
        elif isinstance(item, Skipped):
            tally.skip(item.why)
        elif isinstance(item, (Created, Wanted)):
            try:
                wanted += _notices(item, invocation.config, tally)
            except Problem as problem:
                faults.append(problem.sentence)
    teller.tell(wanted)
    if any(isinstance(item, Tick) for item in event.items):
        teller.send_digests()
    if giver.unlinkable:
        tally.skip("unlinkable", len(giver.unlinkable))
    summary: dict[str, object] = {
        "items": items,
        "links": giver.count,
        "notices": tally.counts["told"],
        "skipped": sum(tally.skipped.values()),
        "reasons": dict(tally.skipped),
        "repeated": tally.counts["repeated"],
        "queued": tally.counts["queued"],
    }
    if tally.counts["not_marked"]:
        summary["not_marked"] = tally.counts["not_marked"]
    if tally.failed:
        summary["failed"] = [{"sink": sink, "code": code} for sink, code in sorted(tally.failed)]
    return summary, _failure(tally, faults)


def _notices(item: Created | Wanted, policy: Config, tally: Tally) -> list[Notice]:
    if isinstance(item, Created) and policy.is_reserved(item.bucket, item.key):
        tally.skip("own_object")
        return []
    found = list(notice.matches(policy, item))
    if not found:
        tally.skip("no_notice")
    return found


def _failure(tally: Tally, faults: list[str]) -> InvocationFailed | None:
    sentences = []
    if tally.failed:
        sinks = ", ".join(f"{sink} ({code})" for sink, code in sorted(tally.failed))
        sentences.append(f"Not told: {sinks}. What was told is not told again.")
    sentences += faults[:5]
    if len(faults) > 5:
        sentences.append(f"{len(faults) - 5} more entries cannot be understood.")
    if not sentences:
        return None
    codes = sorted({code for _, code in tally.failed})
    code = "bad_event" if not tally.failed else codes[0] if len(codes) == 1 else "notices_failed"
    return InvocationFailed(" ".join(sentences), code=code)


def _timeout(context: object) -> float:
    found = getattr(getattr(context, "function", None), "timeout", None)
    return float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else TIMEOUT
