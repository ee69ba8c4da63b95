"""Adapts a trained model to your own classes, from a few images of each class.

metadrop adapt --savedir S --support FOLDER --out classifier
metadrop predict classifier IMAGES...

FOLDER holds one folder of images for each class, named after the class. The images may have any format that Pillow
reads. --format also writes the adapted network for other programs: as a SavedModel, a TFLite (LiteRT) or a .keras file
(docs/guides/export.md).
"""

import argparse
import dataclasses
import pathlib

from tf_metadrop.cli import program
from tf_metadrop.data import layouts
from tf_metadrop.data.spec import DatasetSpec
from tf_metadrop.data.user_images import Invert
from tf_metadrop.errors import UsageError
from tf_metadrop.util import environment, paths
from tf_metadrop.util.quiet import importing_tensorflow

SETTINGS = {"n_steps": int, "inner_lr": float, "n_test_mc_samp": int, "seed": int, "weights": str}
SAMPLES = 10  # of the noise, for methods that sample it
INVERT: dict[str, Invert] = {"auto": "auto", "yes": True, "no": False}
INVERT_HELP = "whether to invert images (ink must be bright on dark); default: auto for drawings, no for photographs"


def images_by_class(folder: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """The images in the folder of each class, without hidden files.

    Raises:
      UsageError: there are fewer than two classes, a class has no image, or two names differ only in case.
    """
    if not folder.is_dir():
        raise UsageError(f"--support={folder} is not a folder: give one that holds a folder of images for each class.")
    found = layouts.files_by_folder(folder)
    if len(found) < 2:
        raise UsageError(
            f"--support={folder} has {len(found)} folders: give one that holds a folder of images for each of at least "
            "two classes."
        )
    for name, files in found.items():
        if not files:
            raise UsageError(f"{folder / name} has no images: put some there, or remove it.")
        if twins := [other for other in found if other != name and other.casefold() == name.casefold()]:
            raise UsageError(f"{folder} has the classes {name} and {twins[0]}, which differ only in case: rename one.")
    return found


def inversion(given: str | None, spec: DatasetSpec) -> Invert:
    """The value of --invert for the learner; by default, drawings that are dark on bright are inverted."""
    return INVERT[given or ("auto" if spec.drawings else "no")]


def adapt(args: argparse.Namespace) -> None:
    """Adapts the model and writes the classifier."""
    if args.out.exists() and not args.overwrite:
        raise UsageError(f"--out={args.out} exists: give another folder, or --overwrite if it is a classifier.")
    classes = images_by_class(args.support)
    environment.before_tensorflow(-1)
    with importing_tensorflow():
        from tf_metadrop.methods import noise
        from tf_metadrop.modes import formats
        from tf_metadrop.modes.learner import MetaLearner
    formats.check(args.format, args.quantize)
    settings = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    learner = MetaLearner.load(args.savedir, **settings)
    if args.n_test_mc_samp is None and learner.config.n_test_mc_samp == 1 and noise.sampled(learner.config.noise_name):
        learner.config = dataclasses.replace(learner.config, n_test_mc_samp=SAMPLES)
    reached, wanted = learner.iteration, learner.config.n_train_iters
    if args.weights != "best" and reached is not None and reached < wanted:
        print(f"{args.savedir}: its training is at iteration {reached} of {wanted}; its command resumes it.")
    files = [file for of_class in classes.values() for file in of_class]
    labels = [name for name, of_class in classes.items() for _ in of_class]
    below = [folder for name in classes for folder in layouts.folders(args.support / name)]
    if below:
        print(f"left out {len(below)} folders inside those of the classes, the first: {below[0]}.")
    learner.adapt(files, labels, invert=inversion(args.invert, learner.config.spec))
    written = learner.save(args.out, args.overwrite, args.format, args.quantize)
    counts = ", ".join(f"{name} {len(of_class)}" for name, of_class in classes.items())
    print(f"adapted to {len(classes)} classes ({counts}); wrote {args.out}.", *written, sep="\n")
    print(f"Next: metadrop predict {args.out} IMAGES...")


def main(argv: list[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    parser = program.Parser(argv, __doc__)
    parser.add_argument("--savedir", type=paths.path, required=True, help="a trained run")
    parser.add_argument("--support", type=paths.path, required=True, help="folder with a folder of images per class")
    parser.add_argument("--out", type=paths.path, default=paths.path("classifier"), help="folder of the classifier")
    parser.add_argument("--overwrite", action="store_true", help="replace the classifier that is there")
    formats = lambda text: tuple(name.strip() for name in text.split(","))
    parser.add_argument("--format", type=formats, default=(), help="savedmodel, tflite, keras, or several with commas")
    parser.add_argument("--quantize", help="int8: write the TFLite file with 8-bit integers")
    parser.add_argument("--invert", choices=INVERT, help=INVERT_HELP)
    for name, kind in SETTINGS.items():
        run_s = f"the run's value, or {SAMPLES} if that is 1" if name == "n_test_mc_samp" else "the run's value"
        parser.add_argument(f"--{name}", type=kind, help=f"as in metadrop test; default: {run_s}")
    args = parser.parse_args(argv[1:])
    return program.guard(argv[0], lambda: adapt(args))
