"""`python -m local`: Function Compute and OSS on your own machine."""

from __future__ import annotations

if __name__ == "__main__":
    import signal
    import sys

    # The imports take a moment: until the command handles Ctrl-C itself, it ends the process without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .command import main

    sys.exit(main())
