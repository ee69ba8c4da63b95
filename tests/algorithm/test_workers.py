"""A worker's place in the cluster."""

import json

from tf_metadrop.algorithm import workers


def at(index, addresses=("a:1", "b:2", "c:3")):
    return {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}


def test_place_in_the_cluster_counts_the_chief_first(monkeypatch):
    jobs = {"chief": ["a:1"], "worker": ["b:2", "c:3"]}
    for job, index, place in (("chief", 0, 0), ("worker", 0, 1), ("worker", 1, 2)):
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": jobs, "task": {"type": job, "index": index}}))
        assert workers.cluster() == (["a:1", "b:2", "c:3"], place)
    monkeypatch.setenv("TF_CONFIG", json.dumps(at(0, ["a:1"])))
    assert workers.cluster() is None
