"""``python -m tests.simulation --seeds 2000 --first 0 --jobs 2``."""

import sys

from .command import main

if __name__ == "__main__":
    sys.exit(main())
