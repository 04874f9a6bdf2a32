"""`python -m tests.faults.oss_process FOLDER`: the local OSS in a process of its own; it prints its address."""

from __future__ import annotations

import sys
from pathlib import Path

from local.oss import create_app
from local.server import listen, serve
from tests.handler.client import KEYS
from tests.handler.keys_fixtures import BUCKET, REGION

if __name__ == "__main__":
    server = serve(create_app(Path(sys.argv[1]), region=REGION, credentials=[KEYS], buckets=[BUCKET]), listen(0))
    print(server.url, flush=True)
    sys.stdin.read()
