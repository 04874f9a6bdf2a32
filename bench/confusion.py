"""The confusion table of `explain`: how a link was broken, and which finding came first."""

from __future__ import annotations

COUNT = 100
GOAL = 0.99


def main(count: int = COUNT) -> None:
    """Prints a line for each breakage and mode, with its wrong findings, and one for working links."""
    from tests.signer.diagnosis.breakages import confusion, working_links

    table = confusion(count)
    missed = 0
    print(
        f"explain: {count} links of each kind; bare = the link alone, xml = with OSS's answer, secret = with the secret"
    )
    print(f"  {'broken by':<58} {'mode':<7} {'right':>6}  other findings")
    for (name, mode), row in table.items():
        expected = name.partition("/")[0]
        right = row.get(expected, 0)
        missed += right < GOAL * count
        others = ", ".join(f"{code} {times}" for code, times in sorted(row.items()) if code != expected)
        print(f"  {name:<58} {mode:<7} {right:>4}/{count}  {others}".rstrip())
    fine, total = working_links(10 * count)
    print(f"  {'(a working link: no finding)':<58} {'all':<7} {fine}/{total}")
    goal = "reached" if not missed and fine == total else "MISSED"
    print(f"  goal: at least {GOAL:.0%} right in each line, and no finding on a working link: {goal}")


if __name__ == "__main__":
    main()
