"""`python -m local.demo`, which `make demo` runs."""

from __future__ import annotations

if __name__ == "__main__":
    import signal
    import sys

    # The imports take a moment: until the demonstration handles Ctrl-C itself, it ends the process without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        from .steps import main
    except ModuleNotFoundError as error:
        sys.exit(
            f"python -m local.demo: the Python package {error.name} is not installed. Run make demo, which installs it."
        )

    sys.exit(main())
