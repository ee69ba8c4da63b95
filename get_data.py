"""Prepares a data set: see tf_metadrop/cli/get_data.py."""

import sys

from tf_metadrop.cli.get_data import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
