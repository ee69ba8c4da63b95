"""`python -m tf_metadrop` is the command `metadrop`, for a checkout in which that is not installed."""

import sys

from tf_metadrop.cli.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
