"""Reads Omniglot's drawings from its two zips or from their unpacked folders.

Source: Lake, Salakhutdinov, Tenenbaum, "Human-level concept learning through probabilistic program induction",
Science 2015; https://github.com/brendenlake/omniglot (MIT licence).
"""

import dataclasses
import io
import pathlib
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import tqdm
from PIL import Image

from tf_metadrop.data import download, layouts, pictures
from tf_metadrop.errors import UsageError

SIZE = 28  # pixels after resizing
DRAWN_SIZE = (105, 105)
DRAWINGS = 20  # per character
_MAX_BYTES = 1 << 16  # the largest official drawing has under 2 kB
_PREPARATIONS = {"grey": ("L", Image.Resampling.LANCZOS), "original": ("1", Image.Resampling.NEAREST)}
_NAME = re.compile(r"(?:^|/)([^/]+/character\d+)/([^/]+\.png)$")


@dataclasses.dataclass(frozen=True)
class Part:
    """One of the two official archives.

    Attributes:
      name: name of the folder in it; the zip is <name>.zip.
      characters: number of characters in it.
      md5: MD5 of the official zip.
    """

    name: str
    characters: int
    md5: str

    @property
    def url(self) -> str:
        """The authors' address of the zip."""
        return f"https://github.com/brendenlake/omniglot/raw/master/python/{self.name}.zip"


PARTS = (
    Part("images_background", 964, "68d2efa1b9178cc56df9314c21c6e718"),
    Part("images_evaluation", 659, "6b91aef0f799c5bb55b94e3f2daec811"),
)
ALPHABETS = 50
ALL = Part("all alphabets", sum(part.characters for part in PARTS), "")  # all in one folder, as in some copies


def fetch(folder: pathlib.Path) -> pathlib.Path:
    """Downloads the two official zips into `folder`, checks their MD5s, and returns `folder`."""
    for part in PARTS:
        download.fetch(part.url, folder / f"{part.name}.zip", part.md5)
    return folder


def read_characters(source: pathlib.Path, preparation: str = "grey") -> dict[str, np.ndarray]:
    """Reads all drawings, reduces their size and inverts them: ink, black on white in the files, becomes 255 on 0.

    105x105 pixels become 28x28 in one of two ways:
      grey: with Pillow's Lanczos filter on 8-bit grey, which averages pixels.
      original: by picking single pixels of the one-bit drawing. The images of the 2020 release were made in this way:
        the 16 characters in the authors' picture of Omniglot agree with it in every pixel
        (docs/reference/tf1_behaviour.md, "The images behind the published numbers").

    Args:
      source: folder with images_background and images_evaluation, each as a .zip or unpacked, or with a folder for each
        of the 50 alphabets; the folder above, as the root of a clone, or below will do too. Zips are checked by their
        content and not by MD5, because the same drawings exist in different zips. Nothing is unpacked to disk.
      preparation: "grey" or "original".

    Returns:
      {"Alphabet/characterNN": uint8 [20, 28, 28, 1], ...}, sorted by name; drawings are sorted by file name, which
      means by drawer.

    Raises:
      UsageError: an archive is missing or broken, or does not hold 964 or 659 characters of 20 drawings of 105x105.
    """
    if not source.is_dir():
        raise UsageError(f"--source {source} is not a folder: give the folder that holds images_background.zip.")
    places = layouts.first(source, _find)
    if places is None:
        missing = [part.name for part in PARTS if part not in _parts(source)]
        raise UsageError(
            f"--source {source} holds neither {missing[0]}.zip nor a folder {missing[0]}, nor the folders of the "
            f"{ALPHABETS} alphabets: give the folder that does."
        )
    characters: dict[str, np.ndarray] = {}
    for part, where in places.items():
        found = _read_part(where, part, preparation)
        if both := characters.keys() & found.keys():
            raise UsageError(f"{source} has {min(both)} in both of its parts: download Omniglot again.")
        characters |= found
    return dict(sorted(characters.items()))


def _parts(folder: pathlib.Path) -> dict[Part, pathlib.Path]:
    """The parts in this folder itself, each as a zip or unpacked."""
    found = {}
    for part in PARTS:
        where = [path for path in (folder / f"{part.name}.zip", folder / part.name) if path.exists()]
        if where:
            found[part] = where[0]
    return found


def _find(folder: pathlib.Path) -> dict[Part, pathlib.Path] | None:
    """Both parts, or all alphabets as one part, if this folder itself has them; otherwise None."""
    if len(found := _parts(folder)) == len(PARTS):
        return found
    alphabets = [inside for inside in layouts.folders(folder) if (inside / "character01").is_dir()]
    return {ALL: folder} if len(alphabets) == ALPHABETS else None


def _read_part(where: pathlib.Path, part: Part, preparation: str) -> dict[str, np.ndarray]:
    """The characters of one part: {name: uint8 [20, 28, 28, 1]}."""
    files = _zip_files(where) if where.is_file() else _folder_files(where)
    drawings: dict[str, dict[str, np.ndarray]] = {}
    try:
        for character, name, read in tqdm.tqdm(list(files), desc=part.name, unit="drawing", disable=None):
            drawings.setdefault(character, {})[name] = shrink(read(), f"{character}/{name} in {where}", preparation)
    # zipfile raises these for broken and encrypted members, and for unknown compressions.
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise UsageError(f"{where} cannot be read ({error}): download it again.") from error
    _check_counts(drawings, part, where)
    return {character: np.stack([found[name] for name in sorted(found)]) for character, found in drawings.items()}


def _check_counts(drawings: dict[str, dict[str, np.ndarray]], part: Part, where: pathlib.Path) -> None:
    if len(drawings) != part.characters:
        raise UsageError(f"{where} holds {len(drawings)} characters instead of {part.characters}: download it again.")
    for character, found in drawings.items():
        if len(found) != DRAWINGS:
            raise UsageError(f"{where} has {len(found)} drawings of {character}, not {DRAWINGS}: download it again.")


def _zip_files(path: pathlib.Path) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    """Yields (character, file name, reader) for each drawing in a zip; skips other members, as __MACOSX/..."""
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} is not a readable zip file ({error}): download it again.") from error
    for member in archive.infolist():
        match = _NAME.search(member.filename)
        if match and not member.filename.startswith("__MACOSX") and not match[2].startswith("."):
            yield match[1], match[2], partial(_read_member, archive, member)


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as file:
        return file.read(_MAX_BYTES + 1)


def _folder_files(path: pathlib.Path) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    """Yields (character, file name, reader) for each drawing in an unpacked archive."""
    for file in sorted(path.rglob("*.png")):
        match = _NAME.search(file.as_posix())
        if match and not match[2].startswith("."):
            yield match[1], match[2], file.read_bytes


def shrink(content: bytes, name: str, preparation: str = "grey") -> np.ndarray:
    """Decodes a PNG drawing and returns it as uint8 [28, 28, 1] with ink = 255; `name` is for messages."""
    mode, resampling = _PREPARATIONS[preparation]
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{name} is too large for a drawing of Omniglot: download the archive again.")
    try:
        # Opening reads only the header, so that a huge image is refused before it is decoded.
        image = Image.open(io.BytesIO(content), formats=["PNG"])
        if image.size == DRAWN_SIZE:
            drawn = image if image.mode == "1" else pictures.converted(image, "L", name)
            small = drawn.convert(mode, dither=Image.Dither.NONE).resize((SIZE, SIZE), resampling)
            return 255 - np.asarray(small.convert("L"), np.uint8)[..., None]
    except UsageError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, zlib.error, Image.DecompressionBombError) as error:
        raise UsageError(f"{name} is not a readable PNG image ({error}): download the archive again.") from error
    raise UsageError(f"{name} is {image.width}x{image.height}, not 105x105: download the archive again.")
