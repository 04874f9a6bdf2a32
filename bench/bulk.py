"""How many links per second the command `bulk` writes on one core, as CSV, JSON Lines and HTML."""

from __future__ import annotations

import contextlib
import io
import os
import random
import tempfile
import time
from base64 import b64encode
from pathlib import Path

COUNT = 200_000
GOAL = 60_000  # links per second
ROUNDS = 3


def measure(form: str, source: Path, output: Path) -> float:
    """Links per second of CPU time: reading, signing, formatting and writing."""
    from signer.cli import run

    arguments = ["bulk", str(source), "--bucket", "examplebucket", "--region", "cn-hangzhou"]
    began = time.process_time()
    with contextlib.redirect_stderr(io.StringIO()):
        status = run([*arguments, "--format", form, "--output", str(output)])
    spent = time.process_time() - began
    if status != 0:
        raise RuntimeError(f"bulk failed with exit status {status}.")
    return COUNT / spent


def main() -> None:
    """Prints the best of three runs for each format."""
    token = b64encode(random.Random(2026).randbytes(450)).decode()
    os.environ.update(OSS_ACCESS_KEY_ID="STS.EXAMPLE", OSS_ACCESS_KEY_SECRET="secret-EXAMPLE", OSS_SESSION_TOKEN=token)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "keys.txt")
        with source.open("w", encoding="utf-8") as file:
            # Every fourth key needs encoding.
            file.writelines(f"reports/2026/{i:08d}{' q3' if i % 4 == 0 else ''}.pdf\n" for i in range(COUNT))
        print(f"bulk: {COUNT:,} keys, a token of {len(token)} characters, one core, goal {GOAL:,} links/s")
        for form in ("csv", "jsonl", "html"):
            output = Path(folder, f"links.{form}")
            best = max(measure(form, source, output) for _ in range(ROUNDS))
            size = output.stat().st_size / 1e6
            print(f"  {form:<6} {best:>9,.0f} links/s   {size:6.0f} MB   {'reached' if best >= GOAL else 'MISSED'}")


if __name__ == "__main__":
    main()
