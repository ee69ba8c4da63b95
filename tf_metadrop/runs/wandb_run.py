"""The W&B run of a savedir, which may not exist."""

import netrc
import os
import pathlib
import sys
import urllib.parse
from collections.abc import Callable
from typing import Any

from tf_metadrop.config.config import Config

WANDB_PROJECT = "tf_metadrop"


WANDB_HOST = "api.wandb.ai"


class Wandb:
    """A W&B run that may not exist: --wandb=disabled, or W&B cannot be used (one warning; the run goes on without).

    The run's id is kept in the savedir, so that a resumed run and its meta-test go on in the same W&B run.
    """

    KEPT = "wandb_id.txt"

    def __init__(self, directory: pathlib.Path, config: Config):
        self._run: Any = None
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

        def act(wandb: Any) -> None:
            of_kind: dict[str, Any] = {".png": wandb.Image, ".gif": lambda path: wandb.Video(path, format="gif")}
            self._run.log({name: of_kind[path.suffix](str(path)) for name, path in paths.items()})

        self._do(act)

    def finish(self) -> None:
        """Ends the W&B run."""
        self._do(lambda _: self._run.finish())

    def _do(self, act: Callable[[Any], Any]) -> None:
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
