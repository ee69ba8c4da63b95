"""Definitions of sweeps: which are refused, and what is drawn from them."""

import pytest
import yaml

from tests.helpers.runs import ROOT
from tests.helpers.sweeps import definition
from tf_metadrop import UsageError
from tf_metadrop.config import absl_flags
from tf_metadrop.experiments import sweep, sweep_definition


def of_range(**wanted):
    return yaml.safe_dump(definition(method="bayes", parameters=dict(x=wanted)))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not YAML"),
        ("[]", "has no parameters"),
        (yaml.safe_dump(definition(method="hyperband")), "method is hyperband"),
        (yaml.safe_dump(definition(parameters=dict(shot=dict(value=1)))), "varies nothing"),
        (yaml.safe_dump(definition(parameters=dict(shot=dict(min=1, max=3)))), "needs values"),
        (yaml.safe_dump(definition(parameters=dict(shot=3))), "shot needs value, values"),
        (yaml.safe_dump(definition(parameters=dict(shot=dict(values=3)))), "shot has the values 3, not a list"),
        (yaml.safe_dump(definition(parameters=dict(shot=dict(values=[])))), "shot has the values .., not a list"),
        (yaml.safe_dump(definition(parameters=dict(shot=dict(values=[[1]])))), "not a list of numbers or texts"),
        (yaml.safe_dump(definition(method="random", parameters=dict(shot=dict(min=3, max=1)))), "has min 3 and max 1"),
        (yaml.safe_dump(definition(method="random", parameters=dict(shot=dict(min="a", max=1)))), "has min a and max"),
        (of_range(min=0.0, max=1.0, distribution="log_uniform_values"), "give a min above 0"),
        (
            of_range(min=-3, max=0, distribution="log_uniform"),
            "the distribution log_uniform, which is not supported here: use int_uniform or uniform",
        ),
        (
            of_range(values=[1, 2], distribution="uniform"),
            "the distribution uniform, which is not supported here: use categorical",
        ),
        (of_range(min=0.5, max=2, distribution="int_uniform"), "int_uniform needs integers"),
        (of_range(min=0.0, max=float("inf")), "has min 0.0 and max inf, not two numbers"),
        (of_range(min=5, max=9, values=[1, 2]), "more than one of value, values, and min and max"),
        (of_range(min=0.0, max=1.0, q=0.1), "has q, which is not supported here"),
        (of_range(mu=0.0, sigma=1.0, distribution="normal"), "needs value, values, or min and max"),
        (yaml.safe_dump(definition(command="--maml")), "command is --maml, not a list of texts"),
        (yaml.safe_dump(definition(command=[dict(maml=True)])), "not a list of texts"),
    ],
)
def test_definitions_that_are_none(tmp_path, content, sentence):
    (tmp_path / "sweep.yaml").write_text(content)
    with pytest.raises(UsageError, match=sentence):
        sweep_definition.load(tmp_path / "sweep.yaml")


READY_MADE = sorted((ROOT / "flags" / "sweeps").glob("*.yaml"))


def test_there_are_ready_made_sweeps():
    assert len(READY_MADE) >= 7


@pytest.mark.parametrize("path", READY_MADE, ids=lambda path: path.stem)
def test_ready_made_sweeps_are_runs_of_main(path):
    from absl import flags

    found = sweep_definition.load(path)
    for name, wanted in found.parameters.items():
        for value in wanted["values"]:
            values = flags.FlagValues()
            absl_flags.define_flags(values)
            values(
                ["main.py", *[flag.replace("flags/", f"{ROOT}/flags/") for flag in found.fixed], f"--{name}={value}"]
            )
            absl_flags.from_flags(values)


def test_random_and_tpe_sweeps_draw_from_their_ranges(tmp_path):
    """As W&B does: whole numbers between whole bounds only where no distribution says otherwise."""
    parameters = {
        "inner_lr": dict(min=0.001, max=1, distribution="log_uniform_values"),
        "mixup_alpha": dict(min=1, max=4, distribution="uniform"),
        "seed": dict(min=1, max=10_000, distribution="log_uniform_values"),
        "n_steps": dict(min=1, max=5),
        "noise_type": dict(values=["maml", "metadrop"]),
    }
    for method in ("random", "bayes"):
        found = sweep_definition.Definition(method, parameters, [])
        study = sweep.open_study(found, tmp_path, f"sqlite:///{tmp_path}/{method}.db", True, 0)
        drawn = [sweep_definition.suggest(study.ask(), parameters) for _ in range(30)]
        assert all(0.001 <= d["inner_lr"] <= 1 and d["n_steps"] in range(1, 6) for d in drawn)
        assert any(d["mixup_alpha"] % 1 for d in drawn) and sum(d["seed"] < 100 for d in drawn) > 5
        assert sum(d["inner_lr"] < 0.03 for d in drawn) > 5 and {d["noise_type"] for d in drawn} == {"maml", "metadrop"}
