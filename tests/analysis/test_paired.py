"""Runs beside one another: on the same tasks, told apart by how they were trained."""

import json

import numpy as np
import pytest

from tests.helpers.savedirs import finished
from tf_metadrop import Config, UsageError
from tf_metadrop.analysis import normalization_table, paired, set_apart, tables
from tf_metadrop.runs.finished import find


def test_runs_are_compared_on_the_same_tasks_only(tmp_path):
    base = np.array([0.5, 0.75, 1.0, 0.75])
    finished(tmp_path / "maml0", base, maml=True)
    finished(tmp_path / "maml1", base, seed=1, maml=True)
    finished(tmp_path / "drop0", base + [0.25, 0, 0, 0.25], seed=0)
    finished(tmp_path / "drop1", base - [0.25, 0, 0, 0], seed=1)
    finished(tmp_path / "first", base - 0.25, second_order="first")
    finished(tmp_path / "other tasks", base + 0.2, test={"seed": 1}.items(), noise_type="additive")
    finished(tmp_path / "longer", base + 0.2, n_train_iters=9, noise_type="additive")
    found = paired.rows(find([tmp_path]))
    assert [(row["first"], row["second"]) for row in found] == [
        ("maml, exact", "metadrop, exact"), ("metadrop, exact", "metadrop, first"),
    ]  # fmt: skip
    mean = 100 * np.array([0.0, 0, 0, 0.125])  # over the two seeds
    assert found[0]["difference"] == f"{mean.mean():+.2f} ± {1.96 * mean.std() / 2:.2f}" == "+3.12 ± 5.30"
    assert found[0]["by seed"] == "+12.50, -6.25" and found[0]["shown"] == "no" and found[0]["tasks"] == 4
    assert found[1]["by seed"] == "-37.50" and found[1]["shown"] == "one seed"  # the seed that both have
    assert {row["lr"] for row in found} == {f"{Config().inner_lr:g}"}
    finished(tmp_path / "other rate", base, inner_lr=0.25)  # compared for itself, in the place of none
    found = [row for row in paired.rows(find([tmp_path])) if row["of"] == "method"]
    assert [(row["by seed"], row["lr"]) for row in found] == [("+12.50, -6.25", "0.1"), ("+0.00", "0.1 / 0.25")]
    finished(tmp_path / "other outer rate", base + 0.2, meta_lr=0.01)
    finished(tmp_path / "other metabatch", base + 0.2, test={"metabatch": 4, "episodes": "shared_classes"}.items())
    assert [row for row in paired.rows(find([tmp_path])) if row["of"] == "method"] == found
    (tmp_path / "other rate" / "meta_test.csv").unlink()
    (tmp_path / "drop0" / "meta_test.csv").unlink()  # of a test before they were kept
    (tmp_path / "drop1" / "meta_test.csv").write_text("broken")
    assert paired.rows(find([tmp_path])) == []


def test_runs_are_called_after_their_training(tmp_path):
    """A test may have another inner learning rate, or leave the attack of an adversarial training out."""
    base = np.full(4, 0.5)
    finished(tmp_path / "maml", base, maml=True)
    finished(tmp_path / "adv", base + 0.25, maml=True, adv_train="query", test={"adv_train": "none"}.items())
    finished(tmp_path / "rate", base + 0.125, test={"inner_lr": 0.5}.items())
    finished(tmp_path / "steps", base + 0.375, test={"n_steps": 9}.items())
    runs = find([tmp_path])
    found = {row["run"].rsplit("/")[-1]: (row["method"], row["inner_lr"]) for row in accuracies_of(runs)}
    assert found == {
        "maml": ("maml", "0.1"), "adv": ("maml_adv_query_linf_0.02", "0.1"),
        "rate": ("metadrop", "0.1, tested with 0.5"), "steps": ("metadrop", "0.1"),
    }  # fmt: skip
    found = {(row["second"], row["lr"]): row["by seed"] for row in paired.rows(runs)}
    assert found == {
        ("maml_adv_query_linf_0.02, exact", "0.1"): "+25.00",
        ("metadrop, exact", "0.1 / 0.1, tested with 0.5"): "+12.50",
    }


def accuracies_of(runs):
    return [row for row in tables.accuracy_rows(runs, lambda method: True) if row["ours"]]


def test_runs_that_were_trained_on_other_images_are_not_compared(tmp_path):
    images = {"maml0": "a", "drop0": "b", "maml1": "a", "drop1": "a", "maml2": None, "drop2": "b", "other maml1": "b"}
    for name, known in images.items():
        finished(tmp_path / name, np.full(4, 0.5) + 0.25 * ("drop" in name), maml="maml" in name, seed=int(name[-1]))
        path = tmp_path / name / "meta_test.json"
        result = json.loads(path.read_text())
        path.write_text(json.dumps(result | dict(trained_with=result["trained_with"] | dict(images=known))))
    found = {row["task"]: row["by seed"] for row in paired.rows(find([tmp_path]))}
    task = "omniglot 5-way 1-shot"
    assert found == {task: "+25.00", f"{task} (images a)": "+25.00"}  # of seeds 2 (not known: as the others) and 1


def test_images_without_a_digest_are_told_apart_by_their_folder(tmp_path):
    for name, seed, folder in (("maml0", 0, "data"), ("drop0", 0, "other"), ("maml1", 1, "data"), ("drop1", 1, "data")):
        finished(tmp_path / name, np.full(4, 0.5), maml="maml" in name, seed=seed, data_dir=folder)
    (row,) = paired.rows(find([tmp_path]))
    assert row["by seed"] == "+0.00"  # of seed 1


def test_runs_in_another_folder_have_rows_of_their_own(tmp_path):
    for folder, lift, seeds in (("data", 0.25, 2), ("data_random", 0.125, 1)):
        for seed in range(seeds):
            for name in ("maml", "drop"):
                each = np.full(4, 0.5) + lift * (name == "drop")
                finished(tmp_path / folder / f"{name}{seed}", each, maml=name == "maml", seed=seed, data_dir=folder)
    found = {row["task"]: row["by seed"] for row in paired.rows(find([tmp_path]))}
    task = "omniglot 5-way 1-shot"
    assert found == {task: "+25.00, +25.00", f"{task} (data_random)": "+12.50"}


def test_runs_with_other_coefficients_are_told_apart(tmp_path):
    base = np.full(4, 0.5)
    finished(tmp_path / "maml", base, maml=True)
    for name, lift, settings in (
        ("vib", 0.125, {}),
        ("more", 0.25, dict(vib_beta=0.1)),
        ("other", 0.375, dict(mixup_alpha=9.0)),  # a coefficient of another regulariser
    ):
        finished(
            tmp_path / name, base + lift, maml=True, regularizer="vib", seed=0 if name != "other" else 1, **settings
        )
    found = {row["second"]: row["by seed"] for row in paired.rows(find([tmp_path]))}
    assert found == {"maml_vib, exact": "+12.50", "maml_vib (vib_beta 0.1), exact": "+25.00"}


def test_what_two_seeds_show():
    few = np.array([[1.0, 2, 3, 2], [2, 3, 1, 2]])
    assert [paired.shown(d, 1.9) for d in (few, -few, few[:1])] == ["yes", "yes", "one seed"]
    assert paired.shown(few * [[2], [-0.1]], 0.1) == "no"  # to both sides
    assert paired.shown(few, 2.1) == paired.shown(few, None) == "no"  # zero inside the interval, or none


def test_differences_have_an_interval_that_knows_of_seeds(tmp_path):
    base = np.array([0.5, 0.75, 1.0, 0.75])
    for seed, lift in ((0, 0.125), (1, 0.0)):
        finished(tmp_path / f"maml{seed}", base - lift, seed=seed, maml=True)
        finished(tmp_path / f"drop{seed}", base + 0.03 - lift, seed=seed)
    (row,) = paired.rows(find([tmp_path]))
    assert row["difference"] == "+3.00 ± 0.00" and row["by seed"] == "+3.00, +3.00"
    deviation = 12.5 / 2**0.5  # of both, with one degree of freedom each
    assert float(row["with seeds"]) == pytest.approx(4.3027 * deviation, abs=0.01) and row["shown"] == "no"


def test_runs_are_compared_by_normalisation_and_by_precision(tmp_path):
    """Each with what differs in that alone, and methods with one another where both have it."""
    base = np.full(4, 0.5)
    for noise, maml in (("maml", True), ("metadrop", False)):
        for number, other in enumerate(({}, dict(normalization="support"), dict(precision="bfloat16"))):
            name = f"{noise} {' '.join(other.values())}"
            finished(tmp_path / name, base + 0.125 * number + 0.25 * maml, maml=maml, **other)
    found = {(row["of"], row["first"], row["second"]): row["by seed"] for row in paired.rows(find([tmp_path]))}
    kinds = {"": "", "support": ", support", "bfloat16": ", bfloat16"}
    assert found == {
        **{("method", f"maml, exact{k}", f"metadrop, exact{k}"): "-25.00" for k in kinds.values()},
        **{("normalization", f"{m}, exact", f"{m}, exact, support"): "+12.50" for m in ("maml", "metadrop")},
        **{("precision", f"{m}, exact", f"{m}, exact, bfloat16"): "+25.00" for m in ("maml", "metadrop")},
    }


def test_tests_by_the_support_images_are_compared_with_the_runs_own(tmp_path):
    base, by_support = np.array([0.5, 0.75, 1.0, 0.75]), dict(test={"eval_normalization": "support"}.items())
    finished(tmp_path / "both", base)
    finished(tmp_path / "both", base - 0.25, stem="meta_test_support", **by_support)
    finished(tmp_path / "other tasks", base)
    other = dict(test={"eval_normalization": "support", "seed": 1}.items())
    finished(tmp_path / "other tasks", base - 0.25, stem="meta_test_support", **other)
    finished(tmp_path / "one", base)
    (row,) = normalization_table.rows(find([tmp_path]))
    assert row["run"].endswith("both") and row["difference"] == "-25.00 ± 0.00" and row["tasks"] == 4
    assert row["own"].startswith("75.00") and row["support"].startswith("50.00")
    path = tmp_path / "both" / "meta_test_support.json"
    test = json.loads(path.read_text())
    for about, compared in ((dict(iteration=9), 0), (dict(tested_with_images="digest"), 0), ({}, 1)):
        for stem, more in (
            ("meta_test_support", about),
            ("meta_test", dict(iteration=4) if "iteration" in about else {}),
        ):
            file = tmp_path / "both" / f"{stem}.json"
            content = json.loads(file.read_text())
            file.write_text(json.dumps(content | dict(trained_with=test["trained_with"] | more)))
        assert len(normalization_table.rows(find([tmp_path]))) == compared, about
    (tmp_path / "both" / "meta_test_support.json").write_text("[")
    with pytest.raises(UsageError, match="is not what --mode=meta_test writes"):
        normalization_table.rows(find([tmp_path]))


@pytest.mark.parametrize(
    "test",
    [
        dict(n_test_mc_samp=30),
        dict(precision="bfloat16"),
        dict(adv_train="inner", adv_eps=0.3),
    ],
    ids=str,
)
def test_runs_that_were_tested_otherwise_are_not_compared(test, tmp_path):
    finished(tmp_path / "a", np.full(4, 0.5))
    finished(tmp_path / "b", np.full(4, 0.6), second_order="first")
    assert len(paired.rows(find([tmp_path]))) == 1
    finished(tmp_path / "c", np.full(4, 0.7), second_order="tf1", test=test)
    assert len(paired.rows(find([tmp_path]))) == 1


def test_a_run_that_was_tested_on_other_images_is_compared_with_none(tmp_path):
    finished(tmp_path / "a", np.full(4, 0.5))
    finished(tmp_path / "b", np.full(4, 0.6), second_order="first")
    path = tmp_path / "b" / "meta_test.json"
    test = json.loads(path.read_text())
    test["trained_with"]["tested_with_images"] = "digest"
    path.write_text(json.dumps(test))
    assert not paired.rows(find([tmp_path]))


def test_another_adaptation_in_a_test_is_told(tmp_path):
    for name, test in (("a", {}), ("b", {}), ("c", dict(adv_train="inner", adv_eps=0.3, vib_beta=9.0))):
        finished(tmp_path / name, np.full(4, 0.5), test=test)
    assert set_apart.texts(find([tmp_path])) == [
        "",
        "",
        "tested with other adv_train inner, tested with other adv_eps 0.3",
    ]
