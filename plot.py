"""Draws the figures of runs: see tf_metadrop/cli/plot.py."""

import sys

from tf_metadrop.cli.plot import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
