"""The confusion table of `explain`: how a link was broken, against what was found first."""

from __future__ import annotations

import sys
from pathlib import Path

COUNT = 100
GOAL = 0.99


def main(count: int = COUNT) -> None:
    """Prints a line for each breakage and mode, and for good links; what was found wrongly is spelt out."""
    sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "signer")]
    from tests.signer.diagnosis.breakages import confusion, good_links

    table = confusion(count)
    wrong = 0
    print(
        f"explain: {count} links of each kind; bare = the link alone, xml = with OSS's answer, secret = with the secret"
    )
    print(f"  {'broken by':<58} {'known':<7} {'right':>6}  else")
    for (name, mode), row in table.items():
        expected = name.partition("/")[0]
        right = row.get(expected, 0)
        wrong += right < GOAL * count
        others = ", ".join(f"{code} {times}" for code, times in sorted(row.items()) if code != expected)
        print(f"  {name:<58} {mode:<7} {right:>4}/{count}  {others}".rstrip())
    clean, total = good_links(10 * count)
    print(f"  {'(a good link: no finding)':<58} {'all':<7} {clean}/{total}")
    goal = "reached" if not wrong and clean == total else "MISSED"
    print(f"  goal: at least {GOAL:.0%} right in each line, and no finding on a good link: {goal}")


if __name__ == "__main__":
    main()
