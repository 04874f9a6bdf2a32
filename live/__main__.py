"""`python -m live`: see docs/live.md."""

import sys

from .command import main

sys.exit(main())
