"""Every setting, declared once: the absl flags, the log header and W&B's config are all made from `Config`."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any

from tf_metadrop.config.setting import Role, check, scalar_type, setting
from tf_metadrop.data.description import find_spec
from tf_metadrop.data.spec import DatasetSpec
from tf_metadrop.errors import UsageError
from tf_metadrop.methods import adversary, attack, inner, meta_optimizer, noise, regularizer
from tf_metadrop.nn import backbones, normalization
from tf_metadrop.util import paths

METHOD_FLAGS = ("maml", "noise_type")  # two flags, one decision: see Config.noise_name
MODES = "meta_train", "meta_test", "export", "attack"


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of one run, with the TF1 program's names, types and defaults.

    docs/tf1_behaviour.md, "Command line", has those of that program.

    Raises:
      UsageError: on construction, if a value is impossible; the sentence names the flag.
    """

    gpu_id: int = setting(0, "GPU to use, counted within CUDA_VISIBLE_DEVICES where it is set; -1: the CPU", Role.LOCAL)
    mode: str = setting("meta_train", "what to do", Role.LOCAL, choices=MODES)
    savedir: str | None = setting(
        None, "where the run lives; default checkpoints/<dataset>_<way>way<shot>shot_<method>", Role.LOCAL, path=True
    )
    save_freq: int = setting(1000, "iterations between checkpoints", Role.LOCAL, minimum=1)
    n_train_iters: int = setting(60000, "last meta-training iteration (they count from 0)", Role.TRAINING, minimum=0)
    n_test_iters: int = setting(1000, "number of meta-test tasks", Role.LOCAL, minimum=1)
    dataset: str = setting(
        "omniglot",
        "dataset, or one that `metadrop data --name` made; strokes needs no files (omniglot | mimgnet | strokes)",
        Role.TASK,
    )
    way: int = setting(20, "classes of a task", Role.TASK, minimum=2)
    shot: int = setting(1, "support examples of a class", Role.TASK, minimum=1)
    query: int = setting(5, "query examples of a class", Role.ADAPTATION, minimum=1)
    metabatch: int = setting(16, "tasks of a meta-iteration", Role.TRAINING, minimum=1)
    meta_lr: float = setting(1e-3, "learning rate of the outer loop (Adam)", Role.TRAINING, above=0.0)
    inner_lr: float = setting(0.1, "learning rate of the inner loop (SGD)", Role.ADAPTATION, above=0.0)
    n_steps: int = setting(
        5, "steps of the inner loop", Role.ADAPTATION, minimum=1, below=2**13
    )  # the limits are rng.py's
    n_test_mc_samp: int = setting(
        1, "noise samples of an inner step in meta-testing", Role.EVALUATION, minimum=1, below=2**14
    )
    maml: bool = setting(False, "plain MAML, no noise; the same as --noise_type=maml", Role.MODEL)
    noise_type: str = setting(
        "metadrop", "distribution of the noise in the inner loop", Role.MODEL, choices=noise.names
    )
    noise_variant: str = setting(
        "ours",
        "definition of the noise type; report: what the reproducibility report's program computes under its name",
        Role.MODEL,
        choices=noise.VARIANTS,
    )
    inner: str = setting(
        "sgd",
        "step of the inner loop; metasgd: learned rates, which start at --inner_lr",
        Role.MODEL,
        choices=inner.names,
    )
    regularizer: str = setting("none", "regulariser of the inner loop", Role.MODEL, choices=regularizer.names)
    backbone: str = setting(
        "conv4",
        "network that noise, regulariser and inner loop work on, or a Keras model, as net.keras (conv4 | resnet12)",
        Role.MODEL,
    )
    filters: int = setting(0, "channels of conv4's blocks; 0: 64 for small images, 32 for large", Role.MODEL, minimum=0)
    blocks: int = setting(4, "blocks of conv4, each of which halves the image", Role.MODEL, minimum=1, below=11)
    widths: str = setting("64,160,320,640", "channels of resnet12's blocks", Role.MODEL)
    normalization: str = setting(
        "batch", "what a block's features are normalised by", Role.MODEL, choices=normalization.names
    )
    eval_normalization: str | None = setting(
        None,
        "test, attack or export with another normalization than the training's, as support for batch",
        Role.EVALUATION,
        choices=lambda: normalization.names(),  # the module's: here the name is a field's
    )
    mixup_alpha: float = setting(
        2.0,
        "of manifold_mixup: lambda ~ Beta(alpha, alpha)",
        Role.ADAPTATION,
        above=0.0,
        part_of=("regularizer", "manifold_mixup"),
    )
    vib_beta: float = setting(
        1e-3, "of vib: weight of the KL divergence", Role.ADAPTATION, minimum=0.0, part_of=("regularizer", "vib")
    )
    info_beta: float = setting(
        1e-6,
        "of info_dropout: weight of the KL divergence",
        Role.ADAPTATION,
        minimum=0.0,
        part_of=("regularizer", "info_dropout"),
    )
    adv_train: str = setting(
        "none",
        "adversarial training: on support images (inner) or on query images (query)",
        Role.ADAPTATION,
        choices=adversary.names,
    )
    adv_norm: str = setting(
        "linf", "of adversarial training: norm of the perturbations", Role.ADAPTATION, choices=attack.names
    )
    adv_eps: float = setting(
        0.02, "of adversarial training: radius, for images in [0, 1]", Role.ADAPTATION, minimum=0.0
    )
    adv_steps: int = setting(
        5, "of adversarial training: steps of PGD", Role.ADAPTATION, minimum=1, part_of=("adv_train", None)
    )
    second_order: str = setting(
        "exact",
        "meta-gradient: exact (the paper's mathematics), tf1 (what the 2020 release computes), first (first order)",
        Role.TRAINING,
        choices=("exact", "tf1", "first"),
    )
    meta_optimizer: str = setting(
        "adam",
        "optimiser of the outer loop; adam: in the TF1 program's form",
        Role.TRAINING,
        choices=meta_optimizer.names,
    )
    episodes: str = setting(
        "independent",
        "classes drawn for every task, or shared_classes: once for all tasks of a metabatch, as the 2020 release does",
        Role.TRAINING,
        choices=("independent", "shared_classes"),
    )
    seed: int = setting(0, "seed of everything random: initial weights, episodes, noise", Role.TRAINING, minimum=0)
    data_dir: str = setting("data", "folder with <dataset>/train.npy and test.npy", Role.LOCAL, path=True)
    eval_split: str = setting(
        "test",
        "classes to evaluate on; val: held out from the training classes",
        Role.TRAINING,
        choices=("test", "val"),
    )
    log_freq: int = setting(50, "iterations between the log's lines", Role.EVALUATION, minimum=1)
    eval_freq: int = setting(1000, "iterations between evaluations while training", Role.EVALUATION, minimum=1)
    n_eval_batches: int = setting(50, "metabatches of such an evaluation", Role.EVALUATION, minimum=1)
    weights: str = setting(
        "last",
        "weights to test, attack or export: of the last iteration, or the best on validation classes, which a training "
        "with --eval_split=val keeps in best.npz; what is made of them has _best in its name",
        Role.LOCAL,
        choices=("last", "best"),
    )
    other_images: bool = setting(
        False,
        "test a run although --data_dir has other training images than its own: the classes tested on may be among "
        "those that it was trained on",
        Role.LOCAL,
    )
    name: str | None = setting(None, "name of the W&B run; default: the savedir's", Role.LOCAL)
    wandb: str = setting(
        "auto",
        "W&B: auto is online where a key is configured, offline elsewhere",
        Role.LOCAL,
        choices=("auto", "online", "offline", "disabled"),
    )
    tensorboard: bool = setting(False, "event files for TensorBoard, in <savedir>/tensorboard", Role.LOCAL)
    on_nan: str = setting(
        "stop",
        "at an iteration whose loss or gradient is no number: stop, or skip it; either keeps it for --replay",
        Role.LOCAL,
        choices=("stop", "skip"),
    )
    replay: str | None = setting(
        None, "look at an iteration that was kept (fault_<iteration>.npz), and do nothing else", Role.LOCAL, path=True
    )
    deterministic: bool = setting(
        False,
        "the same bits in every run also on a GPU, at a cost; a CPU's are anyway (others than without this flag)",
        Role.TRAINING,
    )
    resume: bool = setting(True, "go on with an unfinished run in savedir", Role.LOCAL)
    devices: int = setting(
        1, "devices of this machine that share the tasks of a metabatch in training", Role.LOCAL, minimum=1
    )
    tasks: str = setting(
        "auto",
        "tasks of a metabatch one after the other, or at once (fast on a GPU, more memory); auto: at once on a GPU",
        Role.LOCAL,
        choices=("auto", "in_sequence", "at_once"),
    )
    xla: str = setting("auto", "compile whole steps by XLA; auto: on a GPU", Role.LOCAL, choices=("auto", "on", "off"))
    precision: str = setting(
        "float32",
        "of the computation; tf32: inputs of matrix products rounded to 10 bits, on an NVIDIA GPU; bfloat16: feature "
        "maps and what convolutions take rounded to 8 bits, sums and weights in float32; float64: to compare runs in, "
        "several times slower",
        Role.TRAINING,
        choices=("float32", "tf32", "bfloat16", "float64"),
    )
    attack_norms: str = setting("l1,l2,linf", "norms to attack under, with commas between them", Role.LOCAL)
    attack_radii: str | None = setting(
        None, "radii to attack with, for one norm, as 0,0.02,0.1; default: those of the paper's figure", Role.LOCAL
    )
    attack_steps: int = setting(50, "steps of the attack (PGD)", Role.LOCAL, minimum=1)
    attack_restarts: int = setting(
        1, "random starts; an image counts as correct if it withstands all", Role.LOCAL, minimum=1, below=2**14
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            value = os.fspath(value) if isinstance(value, os.PathLike) else value
            value = str(paths.path(value)) if field.metadata["path"] and isinstance(value, str) and value else value
            value = value.item() if hasattr(value, "item") else value  # NumPy's numbers
            object.__setattr__(self, field.name, value)
            check(field, value)
        folders = pathlib.Path(self.savedir or ""), pathlib.Path(self.data_dir) / self.dataset
        object.__setattr__(self, "_spec", find_spec(self.dataset, *folders[0 if self.savedir else 1 :]))
        object.__setattr__(self, "backbone", backbones.find(self.backbone, folders[0] if self.savedir else None))
        if self.maml and self.noise_type not in ("maml", "metadrop"):
            raise UsageError(f"--maml means no noise but --noise_type={self.noise_type} asks for it: drop one.")
        if self.noise_variant == "report" and self.noise_name not in noise.reported():
            raise UsageError(
                f"--noise_variant=report has no --noise_type={self.noise_name}: choose one of "
                f"{', '.join(noise.reported())}."
            )

    @property
    def spec(self) -> DatasetSpec:
        """The data set: that of the savedir, or the one in data_dir."""
        return self._spec  # type: ignore[attr-defined]

    @property
    def normalization_name(self) -> str:
        """The normalization in force: of the training, or --eval_normalization where that is over."""
        return self.normalization if self.mode == "meta_train" else self.eval_normalization or self.normalization

    @property
    def dtype(self) -> str:
        """Of weights, images and noise: what --precision asks for."""
        return "float64" if self.precision == "float64" else "float32"

    @property
    def maps_dtype(self) -> str:
        """Of feature maps, from the images to the last layer's input."""
        return "bfloat16" if self.precision == "bfloat16" else self.dtype

    @property
    def noise_name(self) -> str:
        """The noise type in force: `maml` if either flag says so."""
        return "maml" if self.maml else self.noise_type

    @property
    def method(self) -> str:
        """Name of the whole method: maml, metadrop, metasgd (whose noise is maml's), metasgd_metadrop, maml_vib ..."""
        report = "_report" if self.noise_variant == "report" and self.noise_name not in ("maml", "metadrop") else ""
        parts = [self.noise_name + report]
        if self.inner != "sgd":
            parts = [self.inner, *(parts if self.noise_name != "maml" else [])]
        if self.regularizer != "none":
            parts.append(self.regularizer)
        parts += [self.backbone] if self.backbone != "conv4" else []
        for name, default in backbones.DEFAULTS.items():
            if getattr(self, name) != default:
                parts.append(f"{name}{getattr(self, name)}".replace(",", "-"))
        parts += [self.normalization] if self.normalization != "batch" else []
        if self.adv_train != "none":
            parts.append(f"adv_{self.adv_train}_{self.adv_norm}_{self.adv_eps:g}")
        return "_".join(parts)

    @property
    def task_name(self) -> str:
        """Kind of the tasks, as "omniglot 5-way 1-shot"."""
        return f"{self.dataset} {self.way}-way {self.shot}-shot"

    @property
    def directory(self) -> pathlib.Path:
        """The savedir, by default named after dataset, way, shot and method."""
        name = self.savedir or f"checkpoints/{self.dataset}_{self.way}way{self.shot}shot_{self.method}"
        return pathlib.Path(name)

    def of_weights(self, stem: str) -> str:
        """A file's name without its suffix, of what is made of these weights: `stem`, stem_best, stem_support ..."""
        others = [name for name in (self.weights, self.eval_normalization) if name not in (None, "last")]
        return "_".join([stem, *map(str, others)])

    def as_dict(self) -> dict[str, Any]:
        """All settings, defaults filled in, in the TF1 program's order: for the log header, W&B and checkpoints."""
        filled = dict(savedir=str(self.directory), maml=self.noise_name == "maml", noise_type=self.noise_name)
        return {**dataclasses.asdict(self), **filled}

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Flags, but for those of this process alone, whose value differs from `other` (a dict of another run)."""
        mine = self.as_dict()
        fields = [field for field in dataclasses.fields(self) if field.metadata["role"] is not Role.LOCAL]
        return [f.name for f in fields if other.get(f.name, f.default) != mine[f.name]]  # missing: before the flag was

    def inherit(self, run: dict[str, Any], given: set[str] | None) -> "Config":
        """This config with the task, inner loop and method of a run wherever they were not given.

        Args:
          run: settings of the run, as far as they are known.
          given: names of the settings that were asked for; None: those that differ from the defaults.
        """
        if given is None:
            fields = dataclasses.fields(self)
            given = {field.name for field in fields if getattr(self, field.name) != field.default}
        roles = Role.TASK, Role.MODEL, Role.ADAPTATION
        names = {field.name for field in dataclasses.fields(self) if field.metadata["role"] in roles} | {"data_dir"}
        taken = {name: run[name] for name in names - set(METHOD_FLAGS) if name in run and name not in given}
        if "maml" in run and not given & set(METHOD_FLAGS):
            taken |= {"maml": run["maml"], "noise_type": run.get("noise_type", "maml" if run["maml"] else "metadrop")}
        return dataclasses.replace(self, savedir=str(self.directory), **taken)


def of_texts(texts: dict[str, str]) -> dict[str, Any]:
    """Those of these settings that define a run, from how a log shows them; what cannot be read is left out."""
    truth = {"True": True, "False": False}
    read: dict[type, Callable[[str], Any]] = {int: int, float: float, str: str, bool: truth.__getitem__}
    found = {}
    for field in dataclasses.fields(Config):
        if field.name in texts and field.metadata["role"] is not Role.LOCAL:
            with contextlib.suppress(ValueError, KeyError, UsageError):  # a log edited by hand
                value = read[scalar_type(field)](texts[field.name])
                check(field, value)
                found[field.name] = value
    return found
