"""Reads text files of any editor."""

import codecs
import pathlib

from tf_metadrop.errors import UsageError

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read(path: pathlib.Path, what: str = "", lenient: bool = False) -> str:
    r"""Reads a text in UTF-8, or in UTF-16 with a byte order mark; line ends become \n, and the mark is left out.

    Args:
      path: the file.
      what: put before the path in messages, as "--flagfile".
      lenient: whether bytes that are not text are replaced, as in a truncated log.
    Raises:
      UsageError: the file cannot be read, or is not such a text.
    """
    name = f"{what} {path}".strip()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{name} cannot be read ({error.strerror or error}): give another file.") from error
    encoding = next((encoding for mark, encoding in MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding, "replace" if lenient else "strict")
        if "\0" in text and not lenient:
            raise UnicodeError
    except UnicodeError as error:
        raise UsageError(f"{name} is not a text in UTF-8: save it in this encoding, or give another one.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
