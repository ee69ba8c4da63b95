"""Writes the weights of a run as OUT/model.*, which the TF1 program restores.

metadrop export_tf1 SAVEDIR OUT
"""

import pathlib

from tf_metadrop.cli import program
from tf_metadrop.errors import UsageError
from tf_metadrop.util import environment, paths
from tf_metadrop.util.quiet import importing_tensorflow


def export(source: pathlib.Path, out: pathlib.Path) -> None:
    """Writes the weights of a savedir, ours or the TF1 program's, to OUT/model.*; raises UsageError."""
    with importing_tensorflow():
        from tf_metadrop.nn import backbones
        from tf_metadrop.runs import checkpoint, tf1_checkpoint

        params, run = checkpoint.load_params(source)
    for name, usual in dict(backbone="conv4", **backbones.DEFAULTS).items():
        if run.get(name, usual) != usual:
            raise UsageError(
                f"{source} was trained with --{name}={run[name]}, which the TF1 program cannot restore: give a run of "
                "conv4 in its default size."
            )
    if out.exists() and (not out.is_dir() or checkpoint.kind(out)):
        raise UsageError(f"{out} exists and is a file or holds a checkpoint: give another folder.")
    out.mkdir(parents=True, exist_ok=True)
    tf1_checkpoint.write(out, {name: w.numpy() for name, w in params.items()})
    print(f"wrote {len(params)} variables to {out / tf1_checkpoint.PREFIX}")


def main(argv: list[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    parser = program.Parser(argv, __doc__)
    parser.add_argument("savedir", type=paths.path, help="a run, of this or of the TF1 program")
    parser.add_argument("out", type=paths.path, help="folder for model.index and the other files")
    args = parser.parse_args(argv[1:])
    environment.before_tensorflow(-1)  # nothing is computed
    return program.guard(argv[0], lambda: export(args.savedir, args.out))
