"""`python -m oneapi_cli`, and the entry of the archive."""

from __future__ import annotations

import sys

from oneapi_cli.cli import main

if __name__ == "__main__":
    sys.exit(main())
