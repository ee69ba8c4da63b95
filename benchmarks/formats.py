"""Measures the files of `metadrop adapt --format`: their size, the time per image, and the accuracy with int8.

python benchmarks/formats.py --savedir S [--data_dir D] [--tasks 200] --output FORMATS.json
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from benchmarks import machine, report
from tf_metadrop.cli import program
from tf_metadrop.data import episodes, sources
from tf_metadrop.util import environment, interval, paths
from tf_metadrop.util.progress import progress

QUERY, TIMED = 15, 300  # query images per class; images that are timed
ROWS = ("predict", None), ("keras", None), ("savedmodel", None), ("tflite", None), ("tflite", "int8")


def runners(folder: pathlib.Path, learner, kind: str, quantize: str | None):
    """Writes a file into the folder; returns (a function of images [n, ...] in [0, 1] to probabilities, its bytes)."""
    import tensorflow as tf

    from tf_metadrop.modes import formats

    if kind == "predict":
        learner.save(folder / "predict")
        return learner.predict_proba, formats.size(folder / "predict")
    out = folder / f"{kind}_{quantize}"
    learner.save(out, formats=[kind], quantize=quantize)
    path = out / formats.EXPORTS[kind]
    if kind == "savedmodel":
        serve = tf.saved_model.load(str(path)).signatures["serving_default"]
        return lambda x: serve(images=tf.constant(x))["probabilities"].numpy(), formats.size(path)
    if kind == "keras":
        import keras

        model = keras.models.load_model(path, compile=False)
        call = tf.function(lambda x: model(x, training=False), autograph=False)
        return lambda x: call(tf.constant(x)).numpy(), formats.size(path)
    run = formats.tflite_runner(path)
    return lambda x: np.concatenate([run(image[None]) for image in x]), formats.size(path)


def milliseconds(run, x: np.ndarray) -> float:
    """The median time for one image, in milliseconds."""
    for image in x[:20]:
        run(image[None])
    taken = []
    for number in range(TIMED):
        start = time.perf_counter()
        run(x[number % len(x)][None])
        taken.append(time.perf_counter() - start)
    return 1e3 * statistics.median(taken)


def measure(args: argparse.Namespace) -> None:
    """Measures all formats and writes the results."""
    from tf_metadrop import MetaLearner

    learner = MetaLearner.load(args.savedir, n_test_mc_samp=args.samples)
    config, random = learner.config, np.random.RandomState(args.seed)
    split = sources.open_split(config.spec, args.data_dir, "test")
    right: dict[str, list[float]] = {"predict": [], "tflite int8": []}
    rows: dict[str, dict] = {}
    with tempfile.TemporaryDirectory() as place:
        for task in progress(range(args.tasks), "task"):
            support, query = episodes.draw(
                random, len(split.counts), split.counts, config.way, config.shot, QUERY, 1, "independent"
            )
            x, asked = (split.flat[part[0]].astype(np.float32) / 255 for part in (support, query))
            learner.adapt(x, np.repeat(np.arange(config.way), config.shot))
            labels, folder = np.repeat(np.arange(config.way), QUERY), pathlib.Path(place) / str(task)
            folder.mkdir()
            for kind, quantize in ROWS if task == 0 else (("predict", None), ("tflite", "int8")):
                name = f"{kind} {quantize}" if quantize else kind
                run, size = runners(folder, learner, kind, quantize)
                if task == 0:
                    rows[name] = dict(mib=size / 2**20, ms=milliseconds(run, asked))
                if name in right:
                    right[name].append(100 * float(np.mean(run(asked).argmax(-1) == labels)))
    for name, values in right.items():
        rows[name] |= dict(accuracy=float(np.mean(values)), half=interval.interval(np.array(values)))
    difference = np.subtract(right["tflite int8"], right["predict"])
    found = dict(
        rows=rows, tasks=args.tasks, savedir=str(args.savedir),
        difference=float(difference.mean()), half=interval.interval(difference), **machine.about(args.output.parent),
    )  # fmt: skip
    report.save(args.output, found)
    print(json.dumps(found, indent=1))


def main(argv: list[str]) -> int:
    """Runs the program with `argv` (argv[0] is its name) and returns the exit code."""
    parser = argparse.ArgumentParser(prog=argv[0], description=__doc__, allow_abbrev=False)
    parser.add_argument("--savedir", type=paths.path, required=True, help="a trained run")
    parser.add_argument("--data_dir", default="data", help="folder of the data sets, as for metadrop test")
    parser.add_argument(
        "--tasks", type=int, default=200, help="number of tasks for the comparison of int8 with float32"
    )
    parser.add_argument("--samples", type=int, default=10, help="number of noise samples in adaptation")
    parser.add_argument("--seed", type=int, default=0, help="seed of the tasks")
    parser.add_argument("--output", type=paths.path, required=True, help="file to write")
    args = parser.parse_args(argv[1:])
    environment.before_tensorflow(-1)
    environment.prefer_onednn()
    return program.guard(argv[0], lambda: measure(args))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
