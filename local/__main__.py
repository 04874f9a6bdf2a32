"""`python -m local`: Function Compute and OSS on your own machine."""

from __future__ import annotations

if __name__ == "__main__":
    import signal
    import sys

    # The imports take a moment: until the command handles Ctrl-C itself, it ends the process without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        from .command import main
    except ModuleNotFoundError as error:
        target = "make invoke" if sys.argv[1:2] == ["invoke"] else "make run"
        sys.exit(f"python -m local: the Python package {error.name} is not installed. Run {target}, which installs it.")

    sys.exit(main())
