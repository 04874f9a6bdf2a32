"""The event function: takes Function Compute's events, sends notices with links, and returns a JSON summary.

An invocation fails, and is retried, if an event is malformed or a notice could not be written, once everything else was
done. A written notice is safe, whatever becomes of its sink.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from secrets import token_hex

from . import startup
from .core import audit
from .core.config import NoticeRule
from .core.context import Instance, Invocation, timeout
from .core.errors import HandlerError
from .core.outbox import Notice
from .notices import sender
from .notices.rules import matching_notices
from .notices.sending import Sending
from .notices.sinks.client import Network
from .notices.sources.event import ParsedEvent, read_event
from .notices.sources.items import CreatedObject, InvalidEntry, SkippedRecord, TimerTick
from .notices.tally import Tally
from .notices.timing import RESERVE
from .notices.titles import with_titles

MAX_FAULTS = 5  # sentences in one failure


class InvocationFailed(HandlerError):
    """The invocation must be retried; the sentence says why, and shows nothing that was sent."""

    code = "invocation_failed"


def on_event(event: bytes | str, context: object) -> dict[str, object]:
    """The event function: the summary of what became of the event. Raises `InvocationFailed`."""
    try:
        return answer(event, context, startup.instance, network=Network())
    finally:
        startup.end_after_answer(context)


def answer(
    event: bytes | str, context: object, load_instance: Callable[[], Instance], *, network: Network
) -> dict[str, object]:
    """`on_event` in an instance. Always writes the audit line."""
    started = time.perf_counter()
    request_id = getattr(context, "request_id", None)
    if not isinstance(request_id, str) or not request_id:
        request_id = token_hex(12)
    fields: dict[str, object] = {
        "request_id": audit.string(request_id),
        "event": None,
        "code": None,
    }
    failure: HandlerError | None = None
    summary: dict[str, object] = {}
    try:
        instance = load_instance()
        deadline = instance.clock.monotonic() + max(timeout(context) - RESERVE, 1.0)
        parsed = read_event(event)
        fields["event"] = "+".join(parsed.sources) or None
        invocation = Invocation(instance, context, instance.clock.now(), fields)
        summary, failure = _process(parsed, Sending(invocation, network, deadline))
    except HandlerError as error:
        failure = error
    except Exception as error:
        fields["fault"] = audit.fault(error)
        failure = InvocationFailed(
            f"Internal error: see the log of request {request_id}.", code="internal_error"
        )
    fields |= summary
    fields["code"] = failure.code if failure is not None else None
    fields["milliseconds"] = round((time.perf_counter() - started) * 1000, 3)
    audit.write(fields)
    if failure is not None:
        # A new exception, so that neither causes nor frames with values come along.
        raise InvocationFailed(failure.sentence, code=failure.code) from None
    return summary


def _process(
    event: ParsedEvent, sending: Sending
) -> tuple[dict[str, object], InvocationFailed | None]:
    """The summary, and the failure to raise."""
    config = sending.invocation.config
    tally = sending.tally
    faults = list[str]()
    matches: list[tuple[NoticeRule, Notice]] = []
    items = 0
    for item in event.items:
        items += not isinstance(item, (TimerTick, InvalidEntry))
        if isinstance(item, InvalidEntry):
            faults.append(item.sentence)
        elif isinstance(item, SkippedRecord):
            tally.skip(item.reason)
        elif isinstance(item, CreatedObject) and config.mounts.is_reserved(item.bucket, item.key):
            tally.skip("own_object")
        elif not isinstance(item, TimerTick):
            try:
                matched = list(matching_notices(config, item))
            except HandlerError as error:
                faults.append(error.sentence)
                continue
            matches += [(rule, notice) for rule, notice in matched if notice is not None]
            tally.skip("unlinkable", sum(notice is None for _, notice in matched))
            tally.skip("no_notice", not matched)
    sender.send(sending, with_titles(sending, matches))
    is_tick = any(isinstance(item, TimerTick) for item in event.items)
    waiting = sender.send_due(sending) if is_tick else {}
    summary: dict[str, object] = {
        "items": items,
        "links": sending.issuer.count,
        "notices": tally.counts["sent"],
        "skipped": sum(tally.skipped.values()),
        "reasons": dict(tally.skipped),
        "repeated": tally.counts["repeated"],
        "queued": len(tally.written - tally.removed),
    }
    if tally.counts["not_marked"]:
        summary["not_marked"] = tally.counts["not_marked"]
    failed = sorted(tally.failed | tally.unwritten)
    if failed:
        summary["failed"] = [{"sink": sink, "code": code} for sink, code in failed]
    if tally.dead:
        summary["dead"] = [
            {"sink": sink, "code": code, "notices": n}
            for (sink, code), n in sorted(tally.dead.items())
        ]
    if tally.causes:
        summary["cause"] = "; ".join(sorted(tally.causes))
    if is_tick and waiting is not None:
        summary["waiting"] = waiting
    return summary, _failure(tally, faults)


def _failure(tally: Tally, faults: list[str]) -> InvocationFailed | None:
    sentences = faults[:MAX_FAULTS]
    if len(faults) > MAX_FAULTS:
        sentences.append(f"{len(faults) - MAX_FAULTS} more entries are invalid.")
    if tally.unwritten:
        sinks = ", ".join(f"{sink} ({code})" for sink, code in sorted(tally.unwritten))
        sentences.insert(
            0, f"Notices could not be written: {sinks}. What was written is not written twice."
        )
    if not sentences:
        return None
    codes = {code for _, code in tally.unwritten} or {"bad_event"}
    return InvocationFailed(
        " ".join(sentences), code=codes.pop() if len(codes) == 1 else "notices_failed"
    )
