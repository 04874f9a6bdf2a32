"""`python -m tests.fuzz TARGET` fuzzes for a while; with files, it tries them again; --keep writes the corpus."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.fuzzer import advice, fuzz, keep, replay
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="inputs to try again")
    parser.add_argument("--seconds", type=float, default=60, help="how long to fuzz (default: 60)")
    parser.add_argument("--keep", action="store_true", help="write the corpus: the few inputs that reach everything")
    options = parser.parse_args()
    status = 0
    for target in TARGETS.values() if options.target == "all" else [TARGETS[options.target]]:
        if options.files:
            replay(target, [path.read_bytes() for path in options.files])
        elif options.keep:
            paths = keep(target)
            print(f"{target.name}: {len(paths)} files, {sum(path.stat().st_size for path in paths)} bytes")
        else:
            report = fuzz(target, options.seconds, keep_going=True)
            print(f"{target.name}: {report.calls} calls, {report.steps} steps, {report.added} inputs with new ones")
            for path, error in report.faults.items():
                print(advice(target, path, error))
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
