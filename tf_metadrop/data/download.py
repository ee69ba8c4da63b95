"""Downloads a file with a progress bar and a checksum."""

import contextlib
import hashlib
import http.client
import pathlib
import urllib.request

import tqdm

from tf_metadrop.errors import UsageError

_CHUNK = 1 << 16
_TIMEOUT = 60  # seconds without a byte


def md5_of(path: pathlib.Path) -> str:
    """Hexadecimal MD5 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def fetch(url: str, path: pathlib.Path, md5: str) -> pathlib.Path:
    """Downloads `url` to `path`, unless the file exists already, and checks it.

    The file gets its name only when it is complete and correct. A file with another checksum is kept as <name>.bad for
    inspection.

    Args:
      url: http(s) or file address.
      path: the file to write; its folder is created.
      md5: expected hexadecimal MD5.

    Returns:
      path

    Raises:
      UsageError: the address does not answer, the folder cannot be written, or the checksum differs.
    """
    if path.exists():
        if md5_of(path) == md5:
            return path
        raise UsageError(
            f"{path} is not the official file (its md5 is not {md5}): remove it, or build from it with "
            f"--source {path.parent}."
        )
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _copy(url, part)
        found = md5_of(part)
        if found == md5:
            part.replace(path)
            return path
        part.replace(path.with_name(path.name + ".bad"))
    except (OSError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(
            f"{url} cannot be downloaded to {path} ({reason}): try again, or download it by hand and give its folder "
            "with --source."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    raise UsageError(
        f"{url} arrived with md5 {found} instead of {md5} (kept as {path}.bad): try again, or download the file "
        "elsewhere and give its folder with --source."
    )


def _copy(url: str, part: pathlib.Path) -> None:
    """Writes the content of `url` to the file `part`, with a progress bar on a terminal."""
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer, open(part, "wb") as file:
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isdigit() else None
        with tqdm.tqdm(total=total, unit="B", unit_scale=True, desc=part.stem, disable=None) as bar:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
        # Read in pieces, an interrupted download looks like a complete one. (bar.n stays 0 without a terminal.)
        if total is not None and file.tell() < total:
            raise OSError(f"it ended after {file.tell()} of {total} bytes")
