"""Finished runs: reads the results of their tests and attacks from their savedirs."""

import dataclasses
import json
import pathlib
from typing import Any

from tf_metadrop.config import identity
from tf_metadrop.config.config import Config
from tf_metadrop.data import description
from tf_metadrop.errors import UsageError
from tf_metadrop.nn import backbones
from tf_metadrop.runs import record

NUMBERS = {  # keys of each file that the tables use
    "meta_test": ("accuracy", "interval", "episodes"),
    "attack": ("epsilon", "accuracy_percent", "ci95", "tasks", "steps", "restarts"),
}
INTERVALS = "interval", "ci95"  # None if there was only one task


@dataclasses.dataclass(frozen=True)
class Run:
    """A savedir that was meta-tested or attacked."""

    directory: pathlib.Path
    config: Config  # settings of the test; those of identity.of_method() are of the training
    trained_with: dict[str, Any]  # known settings of the training
    test: dict[str, Any] | None  # content of meta_test.json
    attack: list[dict[str, Any]]  # rows of attack.json, if it is of test classes
    attacked: Config | None = None  # settings of the attack, as `config` has them of the test
    attacked_weights: int | str = ""  # the last iteration before the attacked weights were saved; "" if unknown

    @property
    def attack_task(self) -> tuple[str, int, int]:
        """(dataset, way, shot) of the attack, which may differ from those of the test."""
        of = self.attacked or self.config
        return of.dataset, of.way, of.shot

    @property
    def task(self) -> tuple[str, int, int]:
        """(dataset, way, shot)."""
        return self.config.dataset, self.config.way, self.config.shot

    @property
    def gradient(self) -> str:
        """The meta-gradient that the run was trained with; the TF1 program has no such setting."""
        return self.trained_with.get("second_order", "TF1 program")

    @property
    def rate(self) -> str:
        """The inner learning rate, and that of the test if it differs."""
        tested = (self.test or {}).get("config", {}).get("inner_lr", self.config.inner_lr)
        return f"{self.config.inner_lr:g}" + (f", tested with {tested:g}" if tested != self.config.inner_lr else "")

    @property
    def seed(self) -> int | str:
        """The seed of the training; "" if it is not known."""
        return self.trained_with.get("seed", "")

    @property
    def iterations(self) -> int | str:
        """The last iteration before the weights were saved, for older files taken from run.json; "" if unknown."""
        done = record.read(self.directory).get("iterations")
        of_folder = done - 1 if done else self.trained_with.get("n_train_iters", "")
        return self.trained_with.get("iteration", of_folder)


def find(folders: list[pathlib.Path]) -> list[Run]:
    """Finds all finished runs under the folders.

    Raises:
      UsageError: a folder is missing or holds no finished run, or a file has the wrong content.
    """
    runs: list[Run] = []
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder: give folders that contain savedirs.")
        files = [path for name in ("meta_test.json", "attack.json") for path in folder.rglob(name)]
        if not files:
            raise UsageError(f"{folder} holds no meta_test.json or attack.json: run --mode=meta_test or attack first.")
        runs.extend(load(directory) for directory in sorted({path.parent for path in files}))
    return list({run.directory.resolve(): run for run in runs}.values())


def load(directory: pathlib.Path) -> Run:
    """Loads one finished run."""
    found, configs = {}, {}
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
            if any((directory / file).exists() for file in (description.FILE, backbones.FILE)):
                # They describe the data set and the network; the savedir may have moved since.
                settings["savedir"] = str(directory)
            config = configs[name] = Config(**{key: value for key, value in settings.items() if key in known})
            for row in found[name]["rows"] if name == "attack" else [found[name]]:
                unknown = [key for key in NUMBERS[name] if not isinstance(row[key], (int, float))]
                if any(row[key] is not None or key not in INTERVALS for key in unknown):
                    raise ValueError("a value is not a number")
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path} is not what --mode={name} writes ({error}): run that again.") from error
    attacked = configs.get("attack")
    rows = found["attack"]["rows"] if attacked and attacked.eval_split == "test" else []
    of_attack = found["attack"]["trained_with"].get("iteration", "") if attacked else ""
    run = Run(directory, config, trained_with, found.get("meta_test"), rows, attacked, of_attack)
    return run if of_attack != "" else dataclasses.replace(run, attacked_weights=run.iterations)
