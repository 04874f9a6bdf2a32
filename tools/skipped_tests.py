"""`python -m tools.skipped_tests FILE…`: fails if a JUnit report of pytest names a skipped test.

CI has what every test needs; one that is skipped would pass unseen.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

# No runtime of the function: what needs it is optional.
OPTIONAL = "Python 3.13 is not installed"


def skipped_tests(report: Path) -> list[str]:
    """Each skipped test with its place and reason. Raises `ValueError` if the report has no test at all."""
    document = ElementTree.parse(report)  # noqa: S314 - pytest wrote it
    tests = list(document.iter("testcase"))
    if not tests:
        raise ValueError(f"{report} has no tests.")
    skipped = []
    for test in tests:
        for skip in test.iter("skipped"):
            if skip.get("type") != "pytest.xfail" and OPTIONAL not in str(skip.text):
                skipped.append(f"{test.get('name')}: {skip.text}")
    return skipped


def main(arguments: Sequence[str]) -> int:
    skipped = [line for path in arguments for line in skipped_tests(Path(path))]
    for line in skipped:
        print(line, file=sys.stderr)
    if skipped:
        print("Install what they need in .ci/tools.", file=sys.stderr)
    return 1 if skipped or not arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
