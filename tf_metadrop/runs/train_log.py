"""Where a run's numbers go: the TF1 program's logs, metrics.jsonl, timing.jsonl, the terminal and W&B.

metrics.jsonl holds only what the seed determines, so that it can be compared byte by byte; times are in timing.jsonl.
"""

import json
import math
import netrc
import os
import pathlib
import shutil
import sys
import time
import urllib.parse

from tqdm import tqdm

WANDB_PROJECT = "tf_metadrop"
WANDB_HOST = "api.wandb.ai"
LABELS = {"train": "meta_train", "test": "meta_test ", "val": "meta_val  "}


class TrainLog:
    """The log of a meta-training run. Use it as a context manager.

    Args:
      directory: the savedir; it exists.
      config: the run's Config.
      progress: None for a new run; for a resumed one what `progress()` gave at its checkpoint: everything that was
        written after it is cut off, so that no line is missing or double.
    """

    FILES = ("meta_train.log", "metrics.jsonl", "timing.jsonl")

    def __init__(self, directory: pathlib.Path, config, progress: dict | None = None):
        self._config = config
        self._paths = {name: directory / name for name in self.FILES}
        progress = progress or dict(sizes=dict.fromkeys(self.FILES, 0), elapsed=0.0, sums=[0.0, 0.0, 0], done=0)
        for name, path in self._paths.items():
            with open(path, "ab") as file:
                file.truncate(min(file.tell(), progress["sizes"][name]))
        self._sums, self._began, self._before = progress["sums"], time.monotonic(), progress["elapsed"]
        self._first = self._done = progress["done"]
        if self._first == 0:
            self._write("meta_train.log", header(config).decode())
        self._wandb = Wandb(directory, config)
        self._bar = tqdm(total=config.n_train_iters + 1, initial=self._first, unit="it", disable=not has_terminal())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()
        self._wandb.finish()

    def progress(self) -> dict:
        """What a checkpoint keeps of the log, for `TrainLog(progress=...)`."""
        sizes = {name: path.stat().st_size for name, path in self._paths.items()}
        return dict(sizes=sizes, elapsed=self._elapsed(), sums=self._sums, done=self._done)

    def trained(self, iteration: int, numbers: tuple[float, float] | None) -> None:
        """Counts one iteration, and every log_freq iterations writes the means since the last line.

        Args:
          numbers: (cross-entropy, accuracy); None: this iteration was passed over.
        """
        if numbers:
            cents, accs, count = self._sums
            self._sums = [cents + numbers[0], accs + numbers[1], count + 1]
        self._done = iteration + 1
        self._bar.update()
        cents, accs, count = self._sums
        if iteration % self._config.log_freq == 0 and count:
            self._sums = [0.0, 0.0, 0]
            rate = self._config.meta_lr
            self._write("meta_train.log", f"\nIter {iteration} start, learning rate {rate:f}\n")
            self._line("train", iteration, cents / count, accs / count, "", learning_rate=rate)

    def evaluated(self, iteration: int, split: str, cent: float, acc: float) -> None:
        """Writes an evaluation's means."""
        self._line(split, iteration, cent, acc, f"{split}_")

    def _line(self, split, iteration, cent, acc, prefix, **more):
        episode = iteration * self._config.metabatch
        text = f"{LABELS[split]}: episode {episode}, ({self._elapsed():.3f} secs), cent {cent:f}, acc {acc:f}"
        self._write("meta_train.log", f"{text}\n")
        numbers = {"iter": iteration, "episode": episode, **more, f"{prefix}cent": cent, f"{prefix}acc": acc}
        known = {name: value if math.isfinite(value) else None for name, value in numbers.items()}  # JSON has no NaN
        self._write("metrics.jsonl", json.dumps(known) + "\n")
        self._write("timing.jsonl", json.dumps({"iter": iteration, "split": split, "secs": self._elapsed()}) + "\n")
        self._wandb.log(numbers)
        tqdm.write(f"Iter {iteration} {text}{self._time_left()}")
        sys.stdout.flush()

    def _time_left(self):
        """For terminals without a progress bar."""
        done = self._done - self._first
        if not self._bar.disable or done == 0:
            return ""
        left = (time.monotonic() - self._began) / done * (self._config.n_train_iters + 1 - self._done)
        return f" [{tqdm.format_interval(left)} left]"

    def _elapsed(self):
        return self._before + time.monotonic() - self._began

    def _write(self, name, text):
        with open(self._paths[name], "a") as file:
            file.write(text)


def header(config) -> bytes:
    """The first lines of meta_train.log: every setting, and an empty line."""
    return "".join(f"{name}: {value}\n" for name, value in config.as_dict().items()).encode() + b"\n"


def has_terminal() -> bool:
    """Whether a progress bar can be shown: stderr is a terminal of known width."""
    return sys.stderr.isatty() and shutil.get_terminal_size(fallback=(0, 0)).columns > 0


def progress(items, unit: str):
    """Iterates with a progress bar and the time left: on a terminal at once, elsewhere a line a minute."""
    return tqdm(items, unit=unit, **({} if has_terminal() else dict(delay=60, mininterval=60, ascii=True)))


class Wandb:
    """A W&B run that may not exist: --wandb=disabled, or W&B cannot be used (one warning; the run goes on without).

    The run's id is kept in the savedir, so that a resumed run and its meta-test go on in the same W&B run.
    """

    KEPT = "wandb_id.txt"

    def __init__(self, directory: pathlib.Path, config):
        self._run = None
        mode = wandb_mode(config.wandb)
        if mode == "disabled":
            return
        try:
            import wandb

            kept = directory / self.KEPT
            new = dict(name=config.name or directory.name, config=config.as_dict())  # a test keeps its training's
            known = dict(id=kept.read_text(), resume="allow") if kept.exists() else new
            quiet = wandb.Settings(silent=True)
            self._run = wandb.init(project=WANDB_PROJECT, mode=mode, dir=directory, settings=quiet, **known)
            kept.write_text(self._run.id)
        except Exception as error:  # whatever W&B does, the training goes on
            print(f"W&B cannot be used ({error}): going on without it (--wandb=disabled).", file=sys.stderr)

    def log(self, numbers: dict) -> None:
        """Logs the numbers under their names, at the step of their `iter` if there is one."""
        self._do(lambda _: self._run.log(numbers, step=numbers.get("iter")))

    def table(self, name: str, rows: list[dict]) -> None:
        """Logs rows with the same keys as a table."""
        columns = list(rows[0])
        self._do(lambda w: self._run.log({name: w.Table(columns=columns, data=[list(row.values()) for row in rows])}))

    def figures(self, paths: dict[str, pathlib.Path]) -> None:
        """Logs PNG files, and GIF files as moving pictures, under these names."""

        def act(wandb):
            of_kind = {".png": wandb.Image, ".gif": lambda path: wandb.Video(path, format="gif")}
            self._run.log({name: of_kind[path.suffix](str(path)) for name, path in paths.items()})

        self._do(act)

    def finish(self) -> None:
        """Ends the W&B run."""
        self._do(lambda _: self._run.finish())

    def _do(self, act) -> None:
        """Calls act(wandb) if there is a run; if W&B fails there is none from then on."""
        if self._run:
            import wandb

            try:
                act(wandb)
            except Exception as error:
                self._run = None
                print(f"W&B failed ({error}): going on without it.", file=sys.stderr)


def wandb_mode(flag: str) -> str:
    """online, offline or disabled: what --wandb asks for; auto follows WANDB_MODE, then whether a key is configured."""
    if flag != "auto":
        return flag
    if os.environ.get("WANDB_MODE") in ("online", "offline", "disabled"):
        return os.environ["WANDB_MODE"]
    host = urllib.parse.urlsplit(os.environ.get("WANDB_BASE_URL", "")).hostname or WANDB_HOST
    try:
        in_netrc = netrc.netrc(os.environ.get("NETRC")).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        in_netrc = None
    return "online" if os.environ.get("WANDB_API_KEY") or in_netrc else "offline"
