"""Declares every setting once: the absl flags, the header of the log and W&B's config are all made from `Config`."""

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
from tf_metadrop.methods import adversary, attack, attack_variant, inner, meta_optimizer, noise, regularizer
from tf_metadrop.nn import backbones, normalization
from tf_metadrop.util import paths

METHOD_FLAGS = ("maml", "noise_type")  # two flags for one choice: see Config.noise_name
MODES = "meta_train", "meta_test", "export", "attack"


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of one run, with the TF1 program's names, types and defaults.

    docs/reference/tf1_behaviour.md, "Command line", lists the settings of the TF1 program.

    Raises:
      UsageError: on construction, a value is impossible; the message names the flag.
    """

    gpu_id: int = setting(0, "GPU to use, counted within CUDA_VISIBLE_DEVICES if that is set; -1: the CPU", Role.LOCAL)
    mode: str = setting("meta_train", "what to do", Role.LOCAL, choices=MODES)
    savedir: str | None = setting(
        None, "folder of the run; default checkpoints/<dataset>_<way>way<shot>shot_<method>", Role.LOCAL, path=True
    )
    save_freq: int = setting(1000, "iterations between checkpoints", Role.LOCAL, minimum=1)
    n_train_iters: int = setting(
        60000, "last meta-training iteration (iterations count from 0)", Role.TRAINING, minimum=0
    )
    n_test_iters: int = setting(1000, "number of meta-test tasks", Role.LOCAL, minimum=1)
    dataset: str = setting(
        "omniglot",
        "data set, or one that `metadrop data --name` made; strokes needs no files (omniglot | mimgnet | strokes)",
        Role.TASK,
    )
    way: int = setting(20, "classes per task", Role.TASK, minimum=2)
    shot: int = setting(1, "support examples per class", Role.TASK, minimum=1)
    query: int = setting(5, "query examples per class", Role.ADAPTATION, minimum=1)
    metabatch: int = setting(16, "tasks per meta-iteration", Role.TRAINING, minimum=1)
    meta_lr: float = setting(1e-3, "learning rate of the outer loop", Role.TRAINING, above=0.0)
    inner_lr: float = setting(0.1, "learning rate of the inner loop (SGD)", Role.ADAPTATION, above=0.0)
    n_steps: int = setting(
        5, "steps of the inner loop", Role.ADAPTATION, minimum=1, below=2**13
    )  # rng.py sets the limits
    n_test_mc_samp: int = setting(
        1, "noise samples per inner step in meta-testing", Role.EVALUATION, minimum=1, below=2**14
    )
    maml: bool = setting(False, "plain MAML without noise; the same as --noise_type=maml", Role.MODEL)
    noise_type: str = setting(
        "metadrop", "distribution of the noise in the inner loop", Role.MODEL, choices=noise.names
    )
    noise_variant: str = setting(
        "ours",
        "definition of the noise type; report: as the reproducibility report's program computes it",
        Role.MODEL,
        choices=noise.VARIANTS,
    )
    inner: str = setting(
        "sgd",
        "step of the inner loop; metasgd: learned learning rates that start at --inner_lr",
        Role.MODEL,
        choices=inner.names,
    )
    regularizer: str = setting("none", "regulariser of the inner loop", Role.MODEL, choices=regularizer.names)
    backbone: str = setting(
        "conv4",
        "network to meta-train, or a file of a Keras model, as net.keras (conv4 | resnet12)",
        Role.MODEL,
    )
    filters: int = setting(0, "channels of conv4's blocks; 0: 64 for small images, 32 for large", Role.MODEL, minimum=0)
    blocks: int = setting(4, "blocks of conv4, each of which halves the image", Role.MODEL, minimum=1, below=11)
    widths: str = setting("64,160,320,640", "channels of resnet12's blocks", Role.MODEL)
    normalization: str = setting(
        "batch", "normalisation of the features in every block", Role.MODEL, choices=normalization.names
    )
    eval_normalization: str | None = setting(
        None,
        "normalisation for test, attack and export, if it should differ from that of the training; for example, "
        "support for a model trained with batch",
        Role.EVALUATION,
        choices=lambda: normalization.names(),  # of the module: in this class the name is a field
    )
    mixup_alpha: float = setting(
        2.0,
        "manifold_mixup: alpha of lambda ~ Beta(alpha, alpha)",
        Role.ADAPTATION,
        above=0.0,
        part_of=("regularizer", "manifold_mixup"),
    )
    vib_beta: float = setting(
        1e-3, "vib: weight of the KL divergence", Role.ADAPTATION, minimum=0.0, part_of=("regularizer", "vib")
    )
    info_beta: float = setting(
        1e-6,
        "info_dropout: weight of the KL divergence",
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
        "linf", "adversarial training: norm of the perturbations", Role.ADAPTATION, choices=attack.names
    )
    adv_eps: float = setting(0.02, "adversarial training: radius, for images in [0, 1]", Role.ADAPTATION, minimum=0.0)
    adv_steps: int = setting(
        5, "adversarial training: steps of PGD", Role.ADAPTATION, minimum=1, part_of=("adv_train", None)
    )
    second_order: str = setting(
        "exact",
        "meta-gradient: exact (the paper's equations), tf1 (as the 2020 release computes it), first (first order)",
        Role.TRAINING,
        choices=("exact", "tf1", "first"),
    )
    meta_optimizer: str = setting(
        "adam",
        "optimiser of the outer loop; adam is the TF1 program's",
        Role.TRAINING,
        choices=meta_optimizer.names,
    )
    episodes: str = setting(
        "independent",
        "how classes are drawn: independently for every task, or (shared_classes) once for all tasks of a metabatch, "
        "as in the 2020 release",
        Role.TRAINING,
        choices=("independent", "shared_classes"),
    )
    seed: int = setting(0, "seed of initial weights, episodes and noise", Role.TRAINING, minimum=0)
    data_dir: str = setting("data", "folder with <dataset>/train.npy and test.npy", Role.LOCAL, path=True)
    eval_split: str = setting(
        "test",
        "classes to evaluate on; val: validation classes, held out from the training classes",
        Role.TRAINING,
        choices=("test", "val"),
    )
    log_freq: int = setting(50, "iterations between lines of the log", Role.EVALUATION, minimum=1)
    eval_freq: int = setting(1000, "iterations between evaluations while training", Role.EVALUATION, minimum=1)
    n_eval_batches: int = setting(50, "metabatches per evaluation while training", Role.EVALUATION, minimum=1)
    weights: str = setting(
        "last",
        "weights to test, attack or export: of the last iteration, or the best on validation classes, which training "
        "with --eval_split=val saves in best.npz; the names of the files made from those contain _best",
        Role.LOCAL,
        choices=("last", "best"),
    )
    other_images: bool = setting(
        False,
        "test a run although --data_dir has other training images than the run: the model may have been trained on "
        "classes of the test",
        Role.LOCAL,
    )
    name: str | None = setting(None, "name of the W&B run; default: that of the savedir", Role.LOCAL)
    wandb: str = setting(
        "auto",
        "mode of W&B; auto: online if a key is configured, otherwise offline",
        Role.LOCAL,
        choices=("auto", "online", "offline", "disabled"),
    )
    tensorboard: bool = setting(False, "event files for TensorBoard, in <savedir>/tensorboard", Role.LOCAL)
    on_nan: str = setting(
        "stop",
        "what to do at an iteration with a non-finite value (NaN or Inf): stop, or skip the iteration; both save it "
        "for --replay",
        Role.LOCAL,
        choices=("stop", "skip"),
    )
    replay: str | None = setting(
        None, "recompute a saved iteration (fault_<iteration>.npz), and do nothing else", Role.LOCAL, path=True
    )
    deterministic: bool = setting(
        False,
        "bit-identical runs on a GPU, which is slower; runs on a CPU always are bit-identical, but the flag changes "
        "their bits",
        Role.TRAINING,
    )
    resume: bool = setting(True, "resume an unfinished run in savedir", Role.LOCAL)
    devices: int = setting(
        1, "devices of this machine that share the tasks of a metabatch in training", Role.LOCAL, minimum=1
    )
    tasks: str = setting(
        "auto",
        "whether the tasks of a metabatch are sequential, or vectorised (at_once: fast on a GPU, more memory); auto: "
        "vectorised on a GPU",
        Role.LOCAL,
        choices=("auto", "in_sequence", "at_once"),
    )
    xla: str = setting(
        "auto", "compile whole steps with XLA; auto: on a GPU", Role.LOCAL, choices=("auto", "on", "off")
    )
    precision: str = setting(
        "float32",
        "precision of the computation; tf32: inputs of matrix products rounded to 10 bits, on an NVIDIA GPU; bfloat16: "
        "feature maps and inputs of convolutions rounded to 8 bits, sums and weights in float32; float64: for "
        "comparisons of runs, several times slower",
        Role.TRAINING,
        choices=("float32", "tf32", "bfloat16", "float64"),
    )
    attack_norms: str = setting("l1,l2,linf", "norms of the attacks, separated by commas", Role.LOCAL)
    attack_radii: str | None = setting(
        None, "radii of the attacks, for one norm, as 0,0.02,0.1; default: those of the paper's figure", Role.LOCAL
    )
    attack_variant: str = setting(
        "pgd",
        "kind of the attack; gradient: steps along the gradient itself, over all pixels, from the image; weaker",
        Role.LOCAL,
        choices=attack_variant.names,
    )
    attack_steps: int = setting(50, "steps of the attack", Role.LOCAL, minimum=1)
    attack_restarts: int = setting(
        1,
        "random starts; an image counts as correct if no start succeeds; 0: one start, the image itself",
        Role.LOCAL,
        minimum=0,
        below=2**14,
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
            raise UsageError(f"--maml means no noise, but --noise_type={self.noise_type} asks for noise: drop one.")
        if self.noise_variant == "report" and self.noise_name not in noise.reported():
            raise UsageError(
                f"--noise_variant=report has no --noise_type={self.noise_name}: choose one of "
                f"{', '.join(noise.reported())}."
            )

    @property
    def spec(self) -> DatasetSpec:
        """The data set: the one that the savedir describes, or the one in data_dir."""
        return self._spec  # type: ignore[attr-defined]

    @property
    def normalization_name(self) -> str:
        """The normalisation in use: that of the training; in other modes, --eval_normalization if it is given."""
        return self.normalization if self.mode == "meta_train" else self.eval_normalization or self.normalization

    @property
    def dtype(self) -> str:
        """The dtype of weights, images and noise, from --precision."""
        return "float64" if self.precision == "float64" else "float32"

    @property
    def maps_dtype(self) -> str:
        """The dtype of feature maps, from the images to the input of the last layer."""
        return "bfloat16" if self.precision == "bfloat16" else self.dtype

    @property
    def noise_name(self) -> str:
        """The noise type in use: `maml` if --maml or --noise_type asks for it."""
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
        """The name of the task, as "omniglot 5-way 1-shot"."""
        return f"{self.dataset} {self.way}-way {self.shot}-shot"

    @property
    def directory(self) -> pathlib.Path:
        """The savedir, by default named after data set, way, shot and method."""
        name = self.savedir or f"checkpoints/{self.dataset}_{self.way}way{self.shot}shot_{self.method}"
        return pathlib.Path(name)

    def of_weights(self, stem: str) -> str:
        """The name, without suffix, of a file that is made from these weights: `stem`, stem_best, stem_support ..."""
        others = [name for name in (self.weights, self.eval_normalization) if name not in (None, "last")]
        return "_".join([stem, *map(str, others)])

    def of_classes(self, stem: str) -> str:
        """`of_weights` for a file that is made with test classes unless its name says "val": attack, attack_val ..."""
        return self.of_weights(stem if self.eval_split == "test" else f"{stem}_{self.eval_split}")

    def as_dict(self) -> dict[str, Any]:
        """All settings with their defaults, in the TF1 program's order, for the log's header, W&B and checkpoints."""
        filled = dict(savedir=str(self.directory), maml=self.noise_name == "maml", noise_type=self.noise_name)
        return {**dataclasses.asdict(self), **filled}

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Names of the settings that differ from those of another run, a dict; settings of the process are ignored."""
        mine = self.as_dict()
        fields = [field for field in dataclasses.fields(self) if field.metadata["role"] is not Role.LOCAL]
        return [f.name for f in fields if other.get(f.name, f.default) != mine[f.name]]  # missing: older than the flag

    def inherit(self, run: dict[str, Any], given: set[str] | None) -> "Config":
        """The config with the task, inner loop and method of a run, except for settings that were given.

        Args:
          run: known settings of the run.
          given: names of the settings that the user gave; None: those that differ from the defaults.
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
    """Parses the settings in a log's header; returns those that define a run, without values that cannot be read."""
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
