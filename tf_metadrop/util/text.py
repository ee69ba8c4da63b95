"""Text files, from whatever editor they come."""

import codecs
import pathlib

from tf_metadrop.errors import UsageError

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read(path: pathlib.Path, what: str = "", lenient: bool = False) -> str:
    r"""A file's text: UTF-8, or UTF-16 with a byte order mark; line ends are \n, the mark is left out.

    Args:
      what: said before the path in messages, as "--flagfile".
      lenient: what is no text is replaced, as in a log that was cut off.
    Raises:
      UsageError: it cannot be read, or is no such text.
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
        raise UsageError(f"{name} is no text in UTF-8: save it in this encoding, or give another one.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
