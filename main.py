"""Meta-trains, meta-tests, exports or attacks, with the flags of the TF1 program: see tf_metadrop/cli/main.py."""

import sys

from tf_metadrop.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
