"""The properties of each data set: its image shape, and the width of the paper's network for it."""

import dataclasses
import pathlib

from tf_metadrop.errors import UsageError

PACKAGE = pathlib.Path(__file__).parents[1]

SPLITS = ("train", "val", "test")


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """One data set.

    Attributes:
      name: value of `--dataset`, and name of the folder in `--data_dir`.
      height, width: image size in pixels.
      channels: 1 (ink, 255 = full ink) or 3 (RGB).
      filters: channels of each hidden convolution in the paper's four-layer network.
      classes: number of classes per split in the usual preparation, {"train": ..., "val": ..., "test": ...}; files
        with other counts can be loaded too. If "val" is 0, there is no file, and it is held out from "train".
      instances: number of images per class in the usual preparation.
      generated: True if the images are computed and need no files.
      drawings: True if the images are ink (1) on paper (0), so that an image with a mean above 0.5 looks inverted.
      fit: how an image of another shape is fitted: "stretch", "crop" (to its centre) or "pad" (with black).
    """

    name: str
    height: int
    width: int
    channels: int
    filters: int
    classes: dict[str, int]
    instances: int
    generated: bool = False
    drawings: bool = False
    fit: str = "stretch"

    @property
    def own(self) -> bool:
        """Whether it is a user's data set, described by a dataset.json."""
        return self.name not in DATASETS

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    @property
    def pixels(self) -> int:
        """The number of values per image: height * width * channels."""
        return self.height * self.width * self.channels

    @property
    def get_data_command(self) -> str:
        """The command that builds this data set's files."""
        if self.own:
            return f"metadrop data --source DIR --name {self.name}"
        more = {"mimgnet": " --source DIR", "omniglot": " --split vinyals"}  # the split of the results
        return f"{program()} --dataset {self.name}{more.get(self.name, '')}"


def program() -> str:
    """The program that prepares data, as it is called in a checkout, or with an installed package."""
    return "python get_data.py" if (PACKAGE.parent / "get_data.py").is_file() else "metadrop data"


DATASETS: dict[str, DatasetSpec] = {
    spec.name: spec
    for spec in (
        DatasetSpec("omniglot", 28, 28, 1, 64, {"train": 4800, "val": 0, "test": 1692}, 20, drawings=True),
        DatasetSpec("mimgnet", 84, 84, 3, 32, {"train": 64, "val": 16, "test": 20}, 600),
        DatasetSpec(
            "strokes", 28, 28, 1, 64, {"train": 400, "val": 60, "test": 140}, 20, generated=True, drawings=True
        ),
    )
}


def get_spec(dataset: str) -> DatasetSpec:
    """The spec of a data set of the program; raises UsageError if there is none of this name."""
    if dataset not in DATASETS:
        raise UsageError(f"--dataset {dataset} is not known: give one of {', '.join(DATASETS)}.")
    return DATASETS[dataset]
