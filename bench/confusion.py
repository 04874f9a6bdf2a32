"""The confusion table of `explain`: how a link was broken, and which finding came first."""

from __future__ import annotations

import sys

COUNT = 100
GOAL = 0.99


def main(count: int = COUNT) -> int:
    """Prints a line for each breakage and mode, with its wrong findings, one for working links, and one for each mode.

    The exit status is 1 if the goal is missed.
    """
    from tests.signer.diagnosis.breakages import confusion, working_links

    table = confusion(count)
    missed = 0
    shares: dict[str, list[float]] = {}
    print(
        f"explain: {count} links of each kind; bare = the link alone, xml = with OSS's answer, secret = with the "
        "secret, both = with answer and secret"
    )
    print(f"  {'broken by':<58} {'mode':<7} {'right':>6}  other findings")
    for (name, mode), row in table.items():
        expected = name.partition("/")[0]
        right = row.get(expected, 0)
        missed += right < GOAL * count
        shares.setdefault(mode, []).append(right / count)
        others = ", ".join(f"{code} {times}" for code, times in sorted(row.items()) if code != expected)
        print(f"  {name:<58} {mode:<7} {right:>4}/{count}  {others}".rstrip())
    fine, total = working_links(10 * count)
    print(f"  {'(a working link: no finding)':<58} {'all':<7} {fine}/{total}")
    for mode, found in shares.items():
        print(f"  {f'(all {len(found)} kinds)':<58} {mode:<7} {sum(found) / len(found):.2%}")
    goal = "reached" if not missed and fine == total else "MISSED"
    print(f"  goal: at least {GOAL:.0%} right in each line, and no finding on a working link: {goal}")
    return 0 if goal == "reached" else 1


if __name__ == "__main__":
    sys.exit(main())
