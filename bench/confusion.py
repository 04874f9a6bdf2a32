"""How often `explain` names what broke a link: each kind of breakage, with and without OSS's answer and the secret."""

from __future__ import annotations

from .details import Details
from .figures import Bound, Figure, Spread

COUNT = 30  # links of each kind
REQUIRED = 99.0  # percent, of each kind


def measure(details: Details) -> list[Figure]:
    """The lowest rate of all kinds. Raises `RuntimeError` if a working link has a finding."""
    from tests.signer.diagnosis.breakages import confusion, working_links

    table = confusion(COUNT)
    rates = {}
    for (name, mode), row in table.items():
        expected = name.partition("/")[0]
        rates[f"{name} ({mode})"] = 100 * row.get(expected, 0) / COUNT
        others = ", ".join(f"{code} {times}" for code, times in sorted(row.items()) if code != expected)
        details.line(f"  {name:<58} {mode:<7} {row.get(expected, 0):>4}/{COUNT}  {others}".rstrip())
    fine, total = working_links(10 * COUNT)
    if fine < total:
        raise RuntimeError(f"explain has findings on {total - fine} of {total} working links.")
    lowest = min(rates, key=lambda kind: rates[kind])
    details.line(
        f"  {len(rates)} kinds of {COUNT} links, the lowest: {lowest}; {total} working links without a finding"
    )
    return [Figure("explain, lowest hit rate", "%", Spread.of([rates[lowest]]), bound=Bound(REQUIRED, 100.0, True))]
