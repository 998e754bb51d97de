"""`python -m tokenstream`."""

from __future__ import annotations

import sys

from tokenstream.cli import main

if __name__ == "__main__":
    sys.exit(main())
