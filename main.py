"""Runs meta-training, meta-testing, exports and attacks with the TF1 program's flags: see tf_metadrop/cli/main.py."""

import sys

from tf_metadrop.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
