"""Prepares a data set: writes <data_dir>/<dataset>/{train,val,test}.npy and classes.json.

  python get_data.py --dataset omniglot                  download (14 MB) and build, random split of characters
  python get_data.py --dataset omniglot --val            the same with 172 characters held out for validation
  python get_data.py --dataset omniglot --split vinyals  the split of Vinyals et al., which results/ uses
  python get_data.py --dataset omniglot --preparation original
                                                         one bit per pixel, as in the authors' images
  python get_data.py --dataset omniglot --source DIR --split_file trainval.txt --split_file test.txt
                                                         build from local zips, with a split of your own
  python get_data.py --dataset mimgnet --source DIR      build from a copy of miniImageNet (npy, pkl or csv + images)
  python get_data.py --source DIR --name NAME            your own images: a folder for each class, or train/, val/ and
                                                         test/ with such folders; then use --dataset=NAME

Existing files are never overwritten. Exit code: 0 for success; 2 for unusable input, with one sentence on stderr that
says what is wrong and how to fix it.
"""

import contextlib
from collections.abc import Sequence

from absl import flags

from tf_metadrop.cli import program
from tf_metadrop.data import description
from tf_metadrop.errors import UsageError
from tf_metadrop.util import paths

OWN = "size", "channels", "fit", "split_seed"  # these flags need --name


def define_flags(values: flags.FlagValues) -> None:
    """Declares the flags of this program."""
    flags.DEFINE_string("dataset", None, "omniglot, mimgnet or strokes.", flag_values=values)
    flags.DEFINE_string("data_dir", "data", "Folder of the data sets.", flag_values=values)
    flags.DEFINE_string("source", None, "Folder with local files to build from.", flag_values=values)
    flags.DEFINE_string("name", None, "Own data set: its name.", flag_values=values)
    flags.DEFINE_integer("size", 84, "Own data set: height and width of its images, in pixels.", flag_values=values)
    flags.DEFINE_enum("channels", "3", ["1", "3"], "Own data set: 1 for grey, 3 for colour.", flag_values=values)
    flags.DEFINE_enum("fit", "crop", description.FITS, "Own data set: how to make images square.", flag_values=values)
    flags.DEFINE_integer("split_seed", 0, "Own data set: seed of the split.", 0, 2**32 - 1, flag_values=values)
    flags.DEFINE_string(
        "split",
        None,
        "Omniglot: split of the characters, random (default) or vinyals. Own data set without train/ and test/ "
        "folders: fractions of the classes for train, val and test, default 0.64,0.16,0.2.",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "split_file",
        [],
        "Omniglot: a file of a split in the format of Vinyals et al. Repeat the flag, or separate files by commas, for "
        "train.txt (or trainval.txt), val.txt and test.txt. Default: the split of --split.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "preparation",
        "grey",
        ["grey", "original"],
        "Omniglot: how drawings are reduced in size: by averaging to grey, or by picking single pixels of the one-bit "
        "drawings, as in the authors' images.",
        flag_values=values,
    )
    flags.DEFINE_integer("seed", 0, "Omniglot: seed of the random split.", 0, 2**32 - 1, flag_values=values)
    flags.DEFINE_boolean("val", False, "Omniglot: hold out validation characters.", flag_values=values)


def build(values: flags.FlagValues) -> list[str]:
    """Builds the data set that the flags name and returns the lines to print; raises UsageError."""
    from tf_metadrop.data import spec  # imported here and below, so that --help and wrong flags need not load Pillow

    if values.name is not None:
        return build_own(values)
    for flag in OWN:
        if values[flag].present:
            raise UsageError(f"--{flag} is for a data set of your own: give --name too, or leave it out.")
    if values.dataset is None and values.source:
        raise UsageError(
            f"--name is missing: give your own data set in --source={values.source} a name, or give --dataset=omniglot "
            "or mimgnet if it holds one of these."
        )
    if values.dataset is None:
        raise UsageError(f"--dataset is missing: give one of {', '.join(spec.DATASETS)}.")
    spec.get_spec(values.dataset)
    for flag in ("data_dir", "source", "split_file"):
        if values[flag].present and "" in (values[flag].value, *values[flag].value):
            raise UsageError(f"--{flag} is empty: give a value, or leave it out.")
    folder = paths.path(values.data_dir) / values.dataset
    if values.dataset == "omniglot":
        from tf_metadrop.data import omniglot

        files = split_files(values.split_file)
        if files and values["split"].present:
            raise UsageError("--split and --split_file both choose the characters: give one of them.")
        split = values.split or "random"
        if split not in ("random", "vinyals"):
            raise UsageError(f"--split={split} is not known for omniglot: choose random or vinyals.")
        return omniglot.build(folder, values.source, files, values.seed, values.val, split, values.preparation)
    for flag in ("split", "split_file", "val", "seed", "preparation"):
        if values[flag].present:
            raise UsageError(f"--{flag} is for --dataset omniglot only: leave it out for {values.dataset}.")
    if values.dataset == "mimgnet":
        from tf_metadrop.data import mimgnet

        return mimgnet.build(folder, values.source)
    return [f"{values.dataset} is generated by the program itself: there is nothing to prepare."]


def build_own(values: flags.FlagValues) -> list[str]:
    """Builds a user's data set and returns the lines to print; raises UsageError."""
    from tf_metadrop.data import own

    for flag in ("dataset", "split_file", "val", "seed", "preparation"):
        if values[flag].present:
            raise UsageError(f"--{flag} is not for a data set of your own: leave it out, or leave --name out.")
    given: list[float] = []
    if values.split is not None:
        with contextlib.suppress(ValueError):
            given = [float(part) for part in values.split.split(",")]
        if len(given) != 3:
            raise UsageError(f"--split={values.split} is not three fractions: give those of train, val and test.")
    parts = (given[0], given[1], given[2]) if given else own.Wish._field_defaults["parts"]
    divided = values["split"].present or values["split_seed"].present
    wish = own.Wish(values.name, values.size, int(values.channels), parts, values.split_seed, values.fit, bool(divided))
    return own.build(paths.path(values.data_dir) / values.name, values.source, wish)


def split_files(given: Sequence[str]) -> list[str]:
    """The files of repeated or comma-separated `--split_file`s; a comma in the name of an existing file is kept."""
    kept = [[item] if paths.path(item).is_file() else item.split(",") for item in given]
    return [str(paths.path(name)) for names in kept for name in names if name]


def main(argv: Sequence[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    return program.run(argv, __doc__, define_flags, lambda values: print("\n".join(build(values))))
