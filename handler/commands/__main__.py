"""`python -m handler.commands keys|notices`."""

import sys
from importlib import import_module

if sys.version_info < (3, 10):  # noqa: UP036, an older one fails with a TypeError
    raise SystemExit("python -m handler.commands: Python 3.10 or newer is required.")

if sys.argv[1:2] not in (["keys"], ["notices"]):
    print("usage: python -m handler.commands {keys,notices} …", file=sys.stderr)
    raise SystemExit(2)

raise SystemExit(import_module(f"handler.commands.{sys.argv[1]}").main(sys.argv[2:]))
