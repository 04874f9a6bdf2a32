import sys

if sys.version_info < (3, 10):  # noqa: UP036, an older one fails with a TypeError
    raise SystemExit("python -m handler.keys: Python 3.10 or newer is required.")

from ..commands.keys import main

raise SystemExit(main())
