"""The tables of finished runs: which rows they have."""

import json

import numpy as np

from tests.helpers.savedirs import attacked, finished
from tf_metadrop import Config
from tf_metadrop.analysis import paired, tables
from tf_metadrop.runs import record
from tf_metadrop.runs.finished import find, load


def test_an_unfinished_run_is_shown_with_what_it_has_done_and_compared_with_none(tmp_path):
    finished(tmp_path / "maml", np.full(4, 0.5), maml=True)
    finished(tmp_path / "drop", np.full(4, 0.75))
    record.Record(tmp_path / "drop", 0, "digest").write(31, 1)
    runs = find([tmp_path])
    found = tables.accuracy_rows(runs, tables.MAIN.__contains__)
    assert {row["method"]: row["iterations"] for row in found if row["ours"]} == {"maml": 60000, "metadrop": 30}
    assert paired.rows(runs) == []
    tested = tmp_path / "drop" / "meta_test.json"  # says itself of which iteration its weights were
    result = json.loads(tested.read_text())
    tested.write_text(json.dumps(result | dict(trained_with=result["trained_with"] | dict(iteration=20))))
    assert load(tmp_path / "drop").iterations == 20


def test_noise_types_stand_beside_runs_by_their_own_gradient(tmp_path):
    for gradient in ("exact", "tf1"):
        finished(tmp_path / gradient, np.full(4, 0.5), second_order=gradient)
        finished(tmp_path / f"{gradient} 20", np.full(4, 0.5), second_order=gradient, test={"way": 20}.items())
        finished(tmp_path / f"{gradient} 10", np.full(4, 0.5), second_order=gradient, test={"way": 10}.items())
    finished(tmp_path / "additive", np.full(4, 0.5), second_order="exact", noise_type="additive")
    rows = [row for row in tables.tables(find([tmp_path]))["Noise types"] if row["ours"]]
    of_task = lambda way: [(row["method"], row["gradient"]) for row in rows if f" {way}-way" in row["task"]]
    assert of_task(5) == [("additive", "exact"), ("metadrop", "exact")]
    assert of_task(20) == [("metadrop", "exact"), ("metadrop", "tf1")]  # beside the published noise types
    assert of_task(10) == []


def test_a_run_is_shown_as_its_test_was_made_though_attacked_in_another_state(tmp_path):
    finished(tmp_path / "run", np.full(4, 0.5), inner_lr=0.2)
    config = Config(dataset="omniglot", way=5, inner_lr=0.4).as_dict()
    attacked = dict(rows=[], config=config, trained_with=config | dict(iteration=7))
    (tmp_path / "run" / "attack.json").write_text(json.dumps(attacked))
    (run,) = find([tmp_path])
    assert run.config.inner_lr == run.trained_with["inner_lr"] == 0.2 and run.iterations == 60000


def test_an_attack_is_shown_under_its_own_task_and_of_test_classes_only(tmp_path):
    attacked(tmp_path / "a", 90.0)
    path = tmp_path / "a" / "attack.json"
    found = json.loads(path.read_text())
    found["config"]["way"] = 5
    path.write_text(json.dumps(found))
    (run,) = find([tmp_path])
    assert {row["task"] for row in tables.robustness_rows([run])} == {"omniglot 5-way 1-shot"}
    assert run.task[1] == 20 and run.attack_task[1] == 5
    found["config"]["eval_split"] = "val"  # as earlier versions wrote it
    path.write_text(json.dumps(found))
    assert not tables.robustness_rows(find([tmp_path]))
