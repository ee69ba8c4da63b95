"""Folders of images as a user has them, and the data set that is built of one."""

import pathlib

from PIL import Image

from tf_metadrop.cli import get_data
from tf_metadrop.data import description, own, sources

COUNTS = {"ant": 3, "bee": 9, "cow": 5, "dog": 4, "eel": 8, "fox": 4, "gnu": 3, "hen": 6, "ibex": 7, "jay": 4}
FOLDERS = {"train": ["ant", "bee", "cow", "dog"], "val": ["eel", "fox"], "test": ["gnu", "hen", "ibex"]}
SPEC = own.Wish("zoo", 16).spec()  # of the data set that build makes of them


def save(path, label, number, size=(40, 30), mode="RGB"):
    """An image that says what it is: red its class, green its number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (20 * label + 5, 25 * number + 5, 100)).convert(mode).save(path)


def fill(source, names=COUNTS):
    """A folder of PNGs for each class."""
    for label, name in enumerate(COUNTS):
        for number in range(COUNTS[name] if name in names else 0):
            save(source / name / f"{number}.png", label, number)
    return source


def build(*flags, name="zoo", size=16):
    """The exit code of `metadrop data`."""
    return get_data.main(["metadrop data", f"--name={name}", f"--size={size}", *flags])


def opened(split, **more):
    """A split of the data set zoo, by its own description."""
    return sources.open_split(description.find_spec("zoo", pathlib.Path("data/zoo")), "data", split, **more)
