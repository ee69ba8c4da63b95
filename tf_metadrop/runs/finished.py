"""Finished runs: what their savedirs say of their tests and attacks."""

import dataclasses
import json
import pathlib
from typing import Any

from tf_metadrop.config import identity
from tf_metadrop.config.config import Config
from tf_metadrop.data import description
from tf_metadrop.errors import UsageError
from tf_metadrop.runs import record

NUMBERS = {  # that the tables take from a file
    "meta_test": ("accuracy", "interval", "episodes"),
    "attack": ("epsilon", "accuracy_percent", "ci95", "tasks", "steps", "restarts"),
}
INTERVALS = "interval", "ci95"  # None where there was one task


@dataclasses.dataclass(frozen=True)
class Run:
    """A savedir that was meta-tested or attacked."""

    directory: pathlib.Path
    config: Config  # of the test, but for what the run is named after: identity.of_method()
    trained_with: dict[str, Any]  # settings of the training, as far as they are known
    test: dict[str, Any] | None  # what meta_test.json holds
    attack: list[dict[str, Any]]  # rows of attack.json

    @property
    def task(self) -> tuple[str, int, int]:
        """(dataset, way, shot)."""
        return self.config.dataset, self.config.way, self.config.shot

    @property
    def gradient(self) -> str:
        """Which meta-gradient the run was trained with; the TF1 program's has no such setting."""
        return self.trained_with.get("second_order", "TF1 program")

    @property
    def rate(self) -> str:
        """The inner learning rate, and that of the test where it had another."""
        tested = (self.test or {}).get("config", {}).get("inner_lr", self.config.inner_lr)
        return f"{self.config.inner_lr:g}" + (f", tested with {tested:g}" if tested != self.config.inner_lr else "")

    @property
    def seed(self) -> int | str:
        """The training's seed; "" if it is not known."""
        return self.trained_with.get("seed", "")

    @property
    def iterations(self) -> int | str:
        """The last iteration that its weights had seen, of an older file that its folder knows of; "" if unknown."""
        done = record.read(self.directory).get("iterations")
        of_folder = done - 1 if done else self.trained_with.get("n_train_iters", "")
        return self.trained_with.get("iteration", of_folder)


def find(folders: list[pathlib.Path]) -> list[Run]:
    """All finished runs under the folders.

    Raises:
      UsageError: a folder is missing or holds none, or a file is not what a run writes.
    """
    runs: list[Run] = []
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder: give folders of savedirs.")
        files = [path for name in ("meta_test.json", "attack.json") for path in folder.rglob(name)]
        if not files:
            raise UsageError(f"{folder} holds no meta_test.json or attack.json: run --mode=meta_test or attack first.")
        runs.extend(load(directory) for directory in sorted({path.parent for path in files}))
    return list({run.directory.resolve(): run for run in runs}.values())


def load(directory: pathlib.Path) -> Run:
    """One finished run."""
    found = {}
    for name in ("attack", "meta_test"):  # the settings are those of the test where there is one
        path = directory / f"{name}.json"
        if not path.exists():
            continue
        try:
            found[name] = json.loads(path.read_text())
            known = {field.name for field in dataclasses.fields(Config)}
            trained_with = dict(found[name]["trained_with"])
            settings = found[name]["config"] | {
                key: trained_with[key] for key in identity.of_method() if key in trained_with
            }
            if (directory / description.FILE).exists():  # of the data set, wherever the savedir was when it was tested
                settings["savedir"] = str(directory)
            config = Config(**{key: value for key, value in settings.items() if key in known})
            for row in found[name]["rows"] if name == "attack" else [found[name]]:
                unknown = [key for key in NUMBERS[name] if not isinstance(row[key], (int, float))]
                if any(row[key] is not None or key not in INTERVALS for key in unknown):
                    raise ValueError("its numbers are none")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path} is not what --mode={name} writes ({error}): run that again.") from error
    return Run(directory, config, trained_with, found.get("meta_test"), found.get("attack", {}).get("rows", []))
