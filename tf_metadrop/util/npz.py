"""Reading .npz and other zip files."""

import zipfile
import zlib

# What a damaged file, or another one of this suffix, can raise when its parts are read. RuntimeError: flipped bits ask
# for a password, or for a version of zip that Python does not know.
BROKEN = (
    OSError, ValueError, KeyError, TypeError, IndexError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error
)  # fmt: skip
