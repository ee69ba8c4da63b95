"""README's table against results/."""

import csv
import re

from tests.helpers.runs import ROOT
from tf_metadrop.figures import style

CHECKS = "_lr|_shared_classes|_random_split|_bfloat16"


def test_the_readme_s_table_has_the_accuracies_of_the_results():
    with open(ROOT / "results" / "accuracy.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] in style.COMPARED]
    kinds = {}  # {(task, gradient, inside release/, iterations): {method: rows}}
    for row in rows:
        if not row["ours"] or re.search(CHECKS, row["run"]):  # published only, or a check
            continue
        kind = row["task"].removeprefix("omniglot "), row["gradient"], "release/" in row["run"], row["iterations"]
        kinds.setdefault(kind, {}).setdefault(row["method"], []).append(row)
    assert {task for task, *_ in kinds} == {"5-way 1-shot", "5-way 5-shot", "20-way 1-shot"}
    expected = set()
    for (task, gradient, release, iterations), found in kinds.items():
        ours = [", ".join(row["ours"].split()[0] for row in found.get(m, [])) for m in style.COMPARED]
        name = f"{gradient}, as released" if release else gradient
        expected.add(f"| {' | '.join([task, name, f'{int(iterations):,}', *ours])} |")
    of_method = {row["method"]: row for row in rows if row["task"] == "omniglot 20-way 1-shot"}
    for source, iterations in ("paper", "40,000"), ("authors' repository", "60,000"), ("report", "40,000"):
        published = [of_method[method][source].split()[0] for method in style.COMPARED]
        expected.add(f"| {' | '.join(['20-way 1-shot', f'published: {source}', iterations, *published])} |")
    lines = (ROOT / "README.md").read_text().splitlines()
    assert {line for line in lines if re.match(r"\| \d+-way \d+-shot \| ", line)} == expected
