"""How many links per second the command `bulk` writes on one core, against a loop with oss2 that writes the same CSV.

Both are measured in processor time, in turns: reading keys, signing, formatting and writing. The loop knows its keys:
it reports no line that cannot be signed, and writes no other format.
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import io
import os
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import oss2

from signer.credentials import OFFICIAL_SDK

from .figures import Bound, Figure
from .process import BUCKET, CREDENTIALS, REGION

COUNT = 50_000
PEER_COUNT = 4_000
ROUNDS = 5
EXPIRES = 3600  # seconds
PEER = "loop with oss2"


def measure() -> list[Figure]:
    environment = zip(OFFICIAL_SDK, CREDENTIALS[:3], strict=True)
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, environment):
        output = Path(folder, "links")
        many = Path(folder, "many.txt")
        few = Path(folder, "few.txt")
        for source, count in ((many, COUNT), (few, PEER_COUNT)):
            with source.open("w", encoding="utf-8") as file:
                # Every fourth key needs encoding.
                file.writelines(
                    f"reports/2026/{i:08d}{' q3' if i % 4 == 0 else ''}.pdf\n" for i in range(count)
                )
        ours = []
        theirs = []
        for _ in range(ROUNDS):
            ours.append(_bulk(many, output))
            theirs.append(_loop(few, output))
    return [Figure.against("bulk, CSV", "/s", ours, PEER, theirs, Bound(10, at_least=True))]


def _bulk(source: Path, output: Path) -> float:
    """Links per second of processor time."""
    from signer.cli import run

    arguments = ["bulk", str(source), "--bucket", BUCKET, "--region", REGION, "--format", "csv"]
    began = time.process_time()
    with contextlib.redirect_stderr(io.StringIO()):
        status = run([*arguments, "--output", str(output)])
    spent = time.process_time() - began
    if status != 0:
        raise RuntimeError(f"bulk failed with exit status {status}.")
    return COUNT / spent


def _loop(source: Path, output: Path) -> float:
    """As `_bulk`, with oss2."""
    began = time.process_time()
    auth = oss2.ProviderAuthV4(oss2.credentials.StaticCredentialsProvider(*CREDENTIALS[:3]))
    bucket = oss2.Bucket(auth, f"https://oss-{REGION}.aliyuncs.com", BUCKET, region=REGION)
    with (
        source.open(encoding="utf-8") as keys,
        output.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["line", "bucket", "key", "size", "expires_at", "url"])
        for number, line in enumerate(keys, 1):
            key = line.rstrip("\n")
            url = bucket.sign_url("GET", key, EXPIRES, slash_safe=True)
            expires_at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(
                seconds=EXPIRES
            )
            writer.writerow(
                [number, BUCKET, key, "", expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"), url]
            )
    return PEER_COUNT / (time.process_time() - began)
