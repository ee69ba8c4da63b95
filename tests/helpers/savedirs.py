"""Savedirs of finished runs, with numbers made up."""

import json
import pathlib

import numpy as np

from tf_metadrop import Config
from tf_metadrop.modes.export import write_pickle
from tf_metadrop.runs.train_log import header

LOG = "way: 5\nmetabatch: 4\n\n" + "".join(
    f"\nIter {i} start\nmeta_train: episode {4 * i}, ({i}.5 secs), cent 0.5, acc 0.8\n"
    f"meta_val  : episode {4 * i}, ({i}.9 secs), cent 0.4, acc {0.7 + i / 1000}\n"
    for i in (0, 50, 100)
)


def finished(folder: pathlib.Path, accuracies, seed=0, test=(), stem="meta_test", **settings) -> None:
    """A savedir as a training and its test leave it.

    Args:
      accuracies: of the test's tasks, in [0, 1].
      seed, settings: of the training.
      test: settings of the test that differ.
      stem: of its files.
    """
    folder.mkdir(parents=True, exist_ok=stem != "meta_test")
    trained = Config(dataset="omniglot", way=5, savedir=str(folder), seed=seed, **settings).as_dict()
    config = {**trained, "metabatch": 1, "seed": 0, **dict(test)}
    result = dict(accuracy=100 * np.mean(accuracies), interval=1.0, episodes=len(accuracies), seed=0)
    (folder / f"{stem}.json").write_text(json.dumps(result | dict(config=config, trained_with=trained)))
    (folder / f"{stem}.csv").write_text("cent,accuracy\n" + "".join(f"0.1,{a:.6f}\n" for a in accuracies))
    (folder / "meta_train.log").write_text(LOG)


def attacked(folder: pathlib.Path, accuracy: float, attack=True, **settings) -> None:
    """A savedir as a test of 20-way tasks leaves it, and perhaps an attack: of two norms, two radii each."""
    made = Config(dataset="omniglot", way=20, savedir=str(folder), **settings).as_dict()
    folder.mkdir(parents=True)
    about = dict(config=made, trained_with=made, seed=0)
    result = dict(accuracy=accuracy, interval=0.123, episodes=1000, **about)
    (folder / "meta_test.json").write_text(json.dumps(result))
    rows = [
        dict(norm=norm, epsilon=eps, accuracy_percent=90 - 10 * i, ci95=0.5, tasks=100, steps=50, restarts=1)
        for norm, radii in (("l2", (0.0, 1.0)), ("linf", (0.0, 0.02))) for i, eps in enumerate(radii)
    ]  # fmt: skip
    if attack:
        (folder / "attack.json").write_text(json.dumps({"rows": rows, **about}))


def everything(folder: pathlib.Path, seed: int, **changes) -> None:
    """A savedir with all that a run can leave: log, test, attack and export."""
    folder.mkdir(parents=True)
    config = Config(dataset="omniglot", seed=seed, savedir=str(folder), **changes)
    lines = "".join(
        f"meta_train: episode {16 * i}, ({10.0 * i:.3f} secs), cent {1 / (1 + i):f}, acc {1 - 1 / (2 + i):f}\n"
        for i in range(0, 300, 50)
    )
    (folder / "meta_train.log").write_bytes(header(config) + lines.encode())
    about = dict(config=config.as_dict(), trained_with=config.as_dict())
    (folder / "meta_test.json").write_text(json.dumps(dict(accuracy=91.25, interval=0.5, episodes=100, **about)))
    rows = [
        dict(norm="l2", epsilon=e, accuracy_percent=90 - 9.0 * e, ci95=1.0, steps=5, restarts=1, tasks=9)
        for e in (0, 5)
    ]
    (folder / "attack.json").write_text(json.dumps(dict(rows=rows, **about)))
    write_pickle(folder / "export.pkl", [made_task(steps=3)] * 4)


def made_task(steps=2, shot=2, query=3, features=6, samples=4, seed=0) -> dict[str, np.ndarray]:
    """Arrays as in an export.pkl."""
    made = np.random.RandomState(seed)
    return dict(
        htr=made.randn(steps, 2 * shot, features), hte=made.randn(steps, 2 * query, features),
        htr_sample=made.randn(steps, samples, 2 * shot, features), w=made.randn(steps, features, 2),
        b=made.randn(steps, 2), ytr=np.repeat([0, 1], shot), yte=np.repeat([0, 1], query),
    )  # fmt: skip
