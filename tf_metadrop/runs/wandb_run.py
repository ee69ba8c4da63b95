"""The W&B run of a savedir, if there is one."""

from __future__ import annotations

import contextlib
import inspect
import os
import pathlib
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

from tf_metadrop.config.config import Config
from tf_metadrop.util.quiet import silent

T = TypeVar("T")

PROJECT = "tf_metadrop"
MODES = "online", "offline", "disabled"
WAIT = 5.0  # seconds to wait for each check: is there a key, does the server answer
START, END = 30.0, 120.0  # seconds that W&B may take online at the start and the end of a run


class Wandb:
    """A W&B run; it does nothing with --wandb=disabled, or after one warning if W&B cannot be used.

    If the server does not answer, the run is kept offline. The id of the W&B run is kept in the savedir, so that a
    resumed training and its meta-test continue the same W&B run. WANDB_PROJECT, WANDB_NAME and W&B's other variables
    are respected.
    """

    KEPT = "wandb_id.txt"

    def __init__(self, directory: pathlib.Path, config: Config):
        self._run: Any = None
        mode = wandb_mode(config.wandb)
        if mode == "disabled":
            return
        try:
            import wandb

            if mode == "online" and not answers(server(wandb)):
                mode = offline(f"the server {server(wandb)} does not answer within {WAIT:g} seconds")
            try:
                self._run = self._started(wandb, mode, directory, config)
            except Exception as error:
                if mode != "online":
                    raise
                mode = offline(f"the run cannot be started online ({first_line(error)})")
                self._run = self._started(wandb, mode, directory, config)
        except Exception as error:  # any error: the training must continue
            print(
                f"W&B cannot be used ({first_line(error)}): continuing without it (--wandb=disabled).",
                file=sys.stderr,
            )

    def _started(self, wandb: Any, mode: str, directory: pathlib.Path, config: Config) -> Any:
        kept = directory / self.KEPT
        name = config.name or os.environ.get("WANDB_NAME") or directory.name
        new = dict(name=name, config=config.as_dict())  # a test keeps those of its training
        known = dict(id=kept.read_text().strip(), resume="allow") if kept.exists() else new
        waits = dict(init_timeout=START, finish_timeout=END)
        known_to_it = getattr(wandb.Settings, "model_fields", {})  # older versions have no finish_timeout
        settings = {key: value for key, value in waits.items() if key in known_to_it}
        if "WANDB_SILENT" not in os.environ:
            settings["silent"] = True
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), mode=mode, dir=os.environ.get("WANDB_DIR", directory),
            settings=wandb.Settings(**settings), **known,
        )  # fmt: skip
        kept.write_text(run.id)
        return run

    def log(self, numbers: dict) -> None:
        """Logs the numbers under their names, at the step of their `iter` if there is one."""
        self._do(lambda _: self._run.log(numbers, step=numbers.get("iter")))

    def table(self, name: str, rows: list[dict]) -> None:
        """Logs rows with the same keys as a table."""
        columns = list(rows[0])
        self._do(lambda w: self._run.log({name: w.Table(columns=columns, data=[list(row.values()) for row in rows])}))

    def figures(self, paths: dict[str, pathlib.Path]) -> None:
        """Logs PNG files, and GIF files as animations, under these names."""

        def act(wandb: Any) -> None:
            of_kind: dict[str, Any] = {".png": wandb.Image, ".gif": lambda path: wandb.Video(path, format="gif")}
            self._run.log({name: of_kind[path.suffix](str(path)) for name, path in paths.items()})

        self._do(act)

    def finish(self) -> None:
        """Ends the W&B run."""
        self._do(lambda _: self._run.finish())

    def _do(self, act: Callable[[Any], Any]) -> None:
        """Calls act(wandb) if there is a W&B run; if it fails, the W&B run is dropped."""
        if self._run:
            import wandb

            try:
                act(wandb)
            except Exception as error:
                self._run = None
                print(f"W&B failed ({first_line(error)}): continuing without it.", file=sys.stderr)


def offline(why: str) -> str:
    """Prints why a run is not online and how to upload it later; returns the mode "offline"."""
    print(f"W&B: {why}: the run is kept offline. `wandb sync` uploads it later.", file=sys.stderr)
    return "offline"


def first_line(error: Exception) -> str:
    """The first line of an exception's message, or the name of its type."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def wandb_mode(flag: str) -> str:
    """Resolves --wandb to online, offline or disabled; auto follows W&B's variables, then whether there is a key."""
    if flag != "auto":
        return flag
    if os.environ.get("WANDB_DISABLED", "").lower() in ("1", "true", "yes", "on"):
        return "disabled"
    asked = {"dryrun": "offline", "run": "online"}.get(given := os.environ.get("WANDB_MODE", ""), given)  # older names
    if asked in MODES:
        return asked
    return "online" if has_key() else "offline"


def has_key() -> bool:
    """Whether W&B finds credentials on this machine; the user is never asked for them."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        import wandb
    except Exception:  # a broken installation, which the run will report
        return False

    def ask() -> bool:
        if "WANDB_SILENT" not in os.environ:
            wandb.setup(settings=wandb.Settings(silent=True))
        if "prompt" in inspect.signature(wandb.login).parameters:
            return bool(wandb.login(prompt=False, verify=False))
        return bool(wandb.api.api_key)  # versions before 0.31

    with silent():
        return within(WAIT, ask, True)  # a late answer means a key: W&B is then waiting for the network


def server(wandb: Any) -> str:
    """The address of W&B's server: the public one, or the one in the user's settings."""
    return str(wandb.setup().settings.base_url)


def answers(url: str) -> bool:
    """Whether a server answers within `WAIT` seconds, with any status; the environment's proxy is used."""

    def ask() -> bool:
        try:
            urllib.request.urlopen(url, timeout=WAIT).close()
        except urllib.error.HTTPError:  # an answer too
            return True
        except (OSError, ValueError):
            return False
        return True

    return within(WAIT, ask, False)


def within(seconds: float, act: Callable[[], T], otherwise: T) -> T:
    """The result of `act`; `otherwise` if it takes longer than `seconds` or raises an exception."""
    found: list[T] = []

    def run() -> None:
        with contextlib.suppress(Exception):
            found.append(act())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else otherwise
