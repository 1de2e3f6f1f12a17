"""The command ``python -m pve``."""

import sys

from pve.cli import main

if __name__ == "__main__":
    sys.exit(main())
