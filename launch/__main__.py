"""`python -m launch VERB ...`: what the `sinew` launcher runs."""

import sys

from launch.cli import main

if __name__ == "__main__":
    sys.exit(main())
