"""The runs whose results are published in results/: names, settings, and the steps of each run."""

import dataclasses
import functools
import json
import pathlib

import yaml

from tf_metadrop.config import identity
from tf_metadrop.config.absl_flags import define_flags, from_flags, given_flags
from tf_metadrop.config.config import Config
from tf_metadrop.experiments import flag_files
from tf_metadrop.runs import record
from tf_metadrop.util import text
from tf_metadrop.util.interval import plus_minus

FLAGS = flag_files.folder() / "results"
GRADIENTS = "exact", "tf1", "first"
SEEDS = 0, 1
INNER_LR = {  # chosen on validation classes after 300 iterations: results/sweeps
    ("metadrop", "exact"): 0.05,
    ("maml", "exact"): 0.1,
    ("metadrop", "tf1"): 0.05,
    ("maml", "tf1"): 0.1,
    ("metadrop", "first"): 0.1,
    ("maml", "first"): 0.05,
}
NOISE = "fixed_gaussian", "weight_gaussian", "independent_gaussian", "additive"
SAMPLES = 10  # of the noise in a test, for methods that sample it
RELEASE_SAMPLES = 30  # in the tests of the queue, as in the 2020 release
QUEUE = "queue.yaml"
NOT_SAMPLED = "maml", "deterministic"
NORMALIZATIONS = "support", "tasknorm", "instance", "layer"  # all but batch


@dataclasses.dataclass(frozen=True)
class Run:
    """A run with its test and, for some runs, its attack.

    Args:
      task: name of its flag file in flags/results, without the suffix.
      label: name of the run in its task.
      method: flags in addition to those of the file.
      attacked: whether its robustness is measured.
      weights: whether its weights are published.
      hours: expected time of its training on 2 cores; None: it is not in the queue of long trainings.
    """

    task: str
    label: str
    method: tuple[str, ...]
    attacked: bool = False
    weights: bool = False
    hours: float | None = None

    @property
    def name(self) -> str:
        """The name of its folder: task/label."""
        return f"{self.task}/{self.label}"

    @property
    def flags(self) -> list[str]:
        """All flags of main.py that define the run."""
        return [f"--flagfile=flags/results/{self.task}.flags", *self.method]

    @property
    def config(self) -> Config:
        """The Config of the run."""
        return settings(self.arguments)[0]

    @property
    def arguments(self) -> list[str]:
        """The same as `flags`, with a path that any current folder can be used with."""
        return [f"--flagfile={FLAGS / self.task}.flags", *self.method]

    def flag_file(self) -> str:
        """The content of a single flag file with all flags of the run."""
        head = f"# {self.name}: python main.py --flagfile=results/{self.name}/run.flags --savedir=...\n"
        lines = (FLAGS / f"{self.task}.flags").read_text().splitlines()
        return head + "\n".join([*[line for line in lines if line.startswith("--")], *self.method]) + "\n"

    def steps(self, attack: bool = False) -> list[tuple[str | None, list[str]]]:
        """The steps of the run, or of its attack: (the file that a step makes, its flags). The training's file is None.

        Whether a training is done is found by the training itself.
        """
        sampled = SAMPLES if self.hours is None else RELEASE_SAMPLES
        samples = 1 if self.config.noise_name in NOT_SAMPLED else sampled
        once = ["--metabatch=1", f"--n_test_mc_samp={samples}", "--seed=0"]  # the same tasks for every run
        if attack:
            pgd = "--mode=attack", "--eval_split=test", "--n_test_iters=30", "--attack_steps=20"
            return [("attack.json", [*once, *pgd])] if self.attacked else []
        test = [*once, "--mode=meta_test", "--eval_split=test", "--n_test_iters=1000"]
        steps: list[tuple[str | None, list[str]]] = [(None, ["--mode=meta_train"]), ("meta_test.json", test)]
        if self.hours and self.config.eval_split == "val":
            steps.append(("meta_test_best.json", [*test, "--weights=best"]))
        return steps

    def n_images(self) -> int:
        """The number of images that its training sends through the network: support images per step, and queries."""
        return (self.config.n_train_iters + 1) * self._images_per_iteration()

    def n_images_so_far(self, savedir: pathlib.Path) -> int:
        """The number of these images so far, from the log or the last checkpoint of a training."""
        path = savedir / "timing.jsonl"
        whole = path.read_text().split("\n")[:-1] if path.exists() else []  # without a line that is being written
        logged = json.loads(whole[-1])["iter"] + 1 if whole else 0
        return max(logged, record.read(savedir).get("iterations", 0)) * self._images_per_iteration()

    def state(self, savedir: pathlib.Path) -> str:
        """The state of a run, for a list: done, trained, waiting, or the number of saved iterations."""
        saved, wanted = record.read(savedir).get("iterations", 0), self.config.n_train_iters + 1
        if saved < wanted:
            return f"{saved} of {wanted} iterations" if saved else "waiting"
        last = [made for made, _ in self.steps() if made][-1]
        return "done" if (savedir / last).exists() else "trained"

    def _images_per_iteration(self) -> int:
        c = self.config
        return c.metabatch * c.way * (c.n_steps * c.shot + c.query)

    def summary(self, savedir: pathlib.Path) -> str:
        """The accuracy of its test with the interval, as text."""
        found = json.loads((savedir / "meta_test.json").read_text())
        return plus_minus(found["accuracy"], found["interval"], sign="+-")


def settings(arguments: list[str]) -> tuple[Config, set[str]]:
    """The Config of these flags of main.py, and the names of the given flags.

    Raises:
      UsageError, absl.flags.Error: the flags cannot be used.
    """
    from absl import flags

    values = flags.FlagValues()
    define_flags(values)
    values(["main.py", *flag_files.expanded(arguments)])
    return from_flags(values), given_flags(values)


def has_made(path: pathlib.Path, arguments: list[str], iteration: int | None = None) -> bool:
    """Whether a step with these flags of main.py made this JSON file, with the weights of the last iteration.

    A test on other images than those of the run never counts. For --weights=best the iteration is not checked, because
    it can be any.

    Args:
      iteration: that of the weights, for files of older versions, which do not say it.
    """
    config, given = settings(arguments)
    try:
        found = json.loads(path.read_text())
        last = config.weights == "best" or found["trained_with"].get("iteration", iteration) == config.n_train_iters
        theirs, elsewhere = {**found["config"]}, found["trained_with"].get("tested_with_images")
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False
    ours = config.as_dict()
    of_step = {"n_test_iters", "weights", "data_dir"} | {name for name in ours if name.startswith("attack_")}
    made_with = {*ours} - identity.local() | of_step
    by_default = {"data_dir", "precision", "eval_normalization"}  # a test takes none of these from the run
    if config.mode == "attack":
        by_default |= {name for name in ours if name.startswith("attack_")}
    same = lambda name: theirs.get(name, identity.DEFAULTS.get(name)) == ours[name]
    return last and not elsewhere and all(map(same, given & made_with | by_default))


def gradients(task: str, seed: int) -> list[Run]:
    """Runs of MAML and Meta-dropout with each meta-gradient."""
    found = []
    for gradient in GRADIENTS:
        for noise in ("metadrop", "maml"):
            weights = gradient == "exact" and seed == 0
            attacked = weights and task == "omniglot_5way1shot"
            label = f"{noise}_{gradient}_seed{seed}"
            found.append(Run(task, label, flags(noise, gradient, seed), attacked, weights))
    return found


def rounded(task: str, seed: int) -> list[Run]:
    """Runs of MAML and Meta-dropout with feature maps in bfloat16."""
    return [
        Run(task, f"{noise}_{gradient}_bfloat16_seed{seed}", flags(noise, gradient, seed, "--precision=bfloat16"))
        for gradient in ("exact", "tf1")
        for noise in ("metadrop", "maml")
    ]


def normalised(task: str, seed: int) -> list[Run]:
    """Runs of MAML and Meta-dropout with every normalisation but batch."""
    return [
        Run(task, f"{noise}_{name}_seed{seed}", flags(noise, "exact", seed, f"--normalization={name}"))
        for name in NORMALIZATIONS
        for noise in ("metadrop", "maml")
    ]


def flags(
    noise: str, gradient: str = "exact", seed: int = 0, *more: str, inner_lr: float | None = None
) -> tuple[str, ...]:
    """The flags of a run; if its noise depends on the features, it has Meta-dropout's inner learning rate."""
    kind = "metadrop" if noise in ("metadrop", "additive", "deterministic") else "maml"
    rate = f"--inner_lr={inner_lr or INNER_LR[kind, gradient]}"
    return (f"--noise_type={noise}", f"--second_order={gradient}", rate, f"--seed={seed}", *more)


@functools.cache
def queue() -> tuple[Run, ...]:
    """The long trainings, in the order of flags/results/queue.yaml, which describes the format."""
    entries = yaml.safe_load(text.read(FLAGS / QUEUE))
    return tuple(Run(method=tuple(entry.pop("flags")), **entry) for entry in entries)


def all_runs() -> list[Run]:
    """All runs, in the order in which they are performed."""
    one, five, long = "omniglot_5way1shot", "omniglot_5way5shot", "omniglot_20way1shot"
    runs = [run for seed in SEEDS for run in gradients(one, seed)]
    for gradient in ("exact", "tf1"):  # with the published inner learning rate
        for noise in ("metadrop", "maml"):
            weights = gradient == "exact"
            runs.append(Run(long, f"{noise}_{gradient}_seed0", flags(noise, gradient, inner_lr=0.1), weights=weights))
    runs += [run for seed in SEEDS for run in gradients(five, seed)]
    for variant in ("ours", "report"):
        for noise in NOISE:
            runs.append(Run(one, f"{noise}_{variant}_seed0", flags(noise, "exact", 0, f"--noise_variant={variant}")))
    runs.append(Run(one, "deterministic_seed0", flags("deterministic")))
    for noise in ("maml", "metadrop"):
        runs.append(Run(one, f"metasgd_{noise}_seed0", flags(noise, "exact", 0, "--inner=metasgd")))
    for where in ("inner", "query"):
        adversary = f"--adv_train={where}", "--adv_norm=linf", "--adv_eps=0.1"
        runs.append(Run(one, f"maml_adv_{where}_seed0", flags("maml", "exact", 0, *adversary), attacked=True))
    for noise, rate in (("maml", 0.05), ("metadrop", 0.1)):  # each with the other method's learning rate
        runs.append(Run(one, f"{noise}_exact_lr{rate:g}_seed0", flags(noise, inner_lr=rate)))
    again = ("fixed_gaussian", "ours"), ("fixed_gaussian", "report"), ("independent_gaussian", "report")
    for noise, variant in again:
        runs.append(Run(one, f"{noise}_{variant}_seed1", flags(noise, "exact", 1, f"--noise_variant={variant}")))
    runs.append(Run(one, "deterministic_seed1", flags("deterministic", seed=1)))
    for gradient in ("exact", "tf1"):
        for noise in ("metadrop", "maml"):
            runs.append(Run(long, f"{noise}_{gradient}_seed1", flags(noise, gradient, 1, inner_lr=0.1)))
        # do MAML's sudden losses of accuracy come from the published rate?
        runs.append(Run(long, f"maml_{gradient}_lr0.05_seed0", flags("maml", gradient, inner_lr=0.05)))
    # the effect of the release's drawing of classes
    shared = flags("maml", "tf1", 0, "--episodes=shared_classes", inner_lr=0.1)
    runs.append(Run(long, "maml_tf1_shared_classes_seed0", shared))
    runs += [run for seed in SEEDS for run in rounded(one, seed) + normalised(one, seed)]
    for seed in SEEDS:
        for noise in ("metadrop", "maml"):
            runs.append(Run(long, f"{noise}_first_seed{seed}", flags(noise, "first", seed, inner_lr=0.1)))
    return runs
