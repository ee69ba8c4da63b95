"""Classifies images, each independently of the others, with a classifier that `metadrop adapt` wrote.

metadrop predict classifier IMAGES... [--csv F] [--html F] [--reject_below 0.6]

IMAGES are files, or folders of them. It prints file, class and probability; --html writes a contact sheet.
"""

import argparse
import base64
import csv
import io
import pathlib
import sys

from tf_metadrop.cli import program
from tf_metadrop.cli.adapt import INVERT, INVERT_HELP, inversion
from tf_metadrop.data import layouts
from tf_metadrop.errors import UsageError
from tf_metadrop.util import atomic, environment, paths
from tf_metadrop.util.progress import progress
from tf_metadrop.util.quiet import importing_tensorflow

COLUMNS = "file", "class", "probability"
SIDE = 128  # pixels of a picture on the contact sheet
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width">
<style>body { font: 14px sans-serif; margin: 1em } main { display: flex; flex-wrap: wrap; gap: 1em }
figure { margin: 0; width: {{ side }}px } img { max-width: 100%; display: block; margin: auto }
figcaption { overflow-wrap: anywhere } small { color: #555 }</style></head>
<body><h1>{{ title }}</h1><main>
{% for row in rows %}<figure><img alt="" src="data:image/png;base64,{{ row.picture }}">
<figcaption><b>{{ row.label }}</b> {{ "%.2f"|format(row.probability) }}<br><small>{{ row.file }}</small></figcaption>
</figure>
{% endfor %}</main></body></html>
"""
NONE = "none of these"


def files_of(given: list[pathlib.Path]) -> list[pathlib.Path]:
    """The named files, and all files in the named folders."""
    found = []
    for path in given:
        if not path.exists():
            raise UsageError(f"{path} does not exist: give images, or folders of them.")
        found += layouts.files(path) if path.is_dir() else [path]
        if path.is_dir() and (below := layouts.folders(path)):
            print(f"left out {len(below)} folders in {path}: give them too if they hold images.", file=sys.stderr)
    if not found:
        raise UsageError(f"{given[0]} holds no images: give images, or folders of them.")
    return found


def predict(args: argparse.Namespace) -> None:
    """Classifies the images, prints the classes and writes the files that were asked for."""
    files = files_of(args.images)
    if not 0 <= args.reject_below <= 1:
        raise UsageError(f"--reject_below={args.reject_below} is not a probability: give a number from 0 to 1.")
    for flag in "csv", "html":
        if (out := getattr(args, flag)) and (out.is_dir() or not out.absolute().parent.is_dir()):
            raise UsageError(f"--{flag}={out} is a folder, or in none: give the name of a file in an existing folder.")
    if not args.classifier.is_dir():
        raise UsageError(f"{args.classifier} is not a folder: give the folder that `metadrop adapt` wrote.")
    environment.before_tensorflow(-1)
    with importing_tensorflow():
        from tf_metadrop.modes.learner import MetaLearner
    learner = MetaLearner.load(args.classifier)
    if learner.classes is None:
        raise UsageError(f"{args.classifier} was not adapted to any classes: give what `metadrop adapt` wrote.")
    invert, rows = inversion(args.invert, learner.config.spec), []
    skipped: list[str] = []  # unusable files of folders; those that were named are errors
    for file in progress(files, "image"):
        try:
            probabilities = learner.predict_proba(file, invert=invert)[0]
        except UsageError as error:
            if file in args.images:
                raise
            skipped.append(str(error))
            continue
        likely = learner.classes[probabilities.argmax()] if probabilities.max() >= args.reject_below else NONE
        rows.append(dict(zip(COLUMNS, (str(file), str(likely), float(probabilities.max())), strict=True)))
    if not rows:
        raise UsageError(skipped[0])
    if skipped:
        print(f"skipped {len(skipped)} files, the first: {skipped[0]}", file=sys.stderr)
    for row in rows:
        print(f"{row['file']}  {row['class']}  {row['probability']:.3f}")
    if args.csv:
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows({**row, "probability": f"{row['probability']:.6f}"} for row in rows)
        atomic.write(args.csv, text.getvalue().encode(errors="backslashreplace"))
    if args.html:
        atomic.write(args.html, page(args.classifier, rows).encode(errors="backslashreplace"))


def page(classifier: pathlib.Path, rows: list[dict]) -> str:
    """The contact sheet as HTML."""
    import jinja2

    pictured = [
        dict(picture=thumbnail(row["file"]), label=row["class"], probability=row["probability"], file=row["file"])
        for row in rows
    ]
    template = jinja2.Environment(autoescape=True).from_string(PAGE)
    return template.render(title=f"{classifier.name}: {len(rows)} images", rows=pictured, side=SIDE)


def thumbnail(file: str) -> str:
    """A small PNG of a file, in base64."""
    from PIL import Image

    from tf_metadrop.data import pictures

    with Image.open(file) as image:
        shown = pictures.upright(image, file)
        small = shown.convert("RGBA" if shown.has_transparency_data else "RGB")
    small.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    small.save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def main(argv: list[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    parser = program.Parser(argv, __doc__)
    parser.add_argument("classifier", type=paths.path, help="folder that `metadrop adapt` wrote")
    parser.add_argument("images", type=paths.path, nargs="+", metavar="IMAGES", help="files, or folders of them")
    parser.add_argument("--csv", type=paths.path, help="file for a table")
    parser.add_argument("--html", type=paths.path, help="file for a contact sheet")
    parser.add_argument("--invert", choices=INVERT, help=INVERT_HELP)
    parser.add_argument(
        "--reject_below", type=float, default=0.0, help=f"probability below which the answer is {NONE!r}"
    )
    args = parser.parse_args(argv[1:])
    return program.guard(argv[0], lambda: predict(args))
