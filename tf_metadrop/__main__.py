"""`python -m tf_metadrop`: the command `metadrop` where it is not installed."""

import sys

from tf_metadrop.cli.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
