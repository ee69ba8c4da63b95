"""What a user reads is easy to read: no word of words.txt, and no commit hash in prose."""

import functools
import json
import pathlib
import re

import pytest

from tests.helpers import prose

WORDS = pathlib.Path(__file__).parent / "words.txt"
PROGRAMS = "*.py", "tf_metadrop/**/*.py", "benchmarks/*.py"
TEXTS = (
    *prose.PAGES,
    "CHANGELOG.md",
    "flags/**/*.flags",
    "flags/**/*.yaml",
    "tf_metadrop/**/*.md",
    "tf_metadrop/**/*.jinja",
    "Makefile",
)
NOTEBOOKS = "notebooks/*.ipynb"
EXCEPTIONS = {  # (file, words): reason
    ("tf_metadrop/runs/tf1_checkpoint.py", "Goes on"): "it reads logs of earlier versions, which have these words",
}
HASH = re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}\b")


@functools.cache
def words():
    """{expression: what to write instead} of words.txt."""
    lines = [line.strip() for line in WORDS.read_text(encoding="utf-8").splitlines()]
    pairs = [line.rsplit(" | ", 1) for line in lines if line and not line.startswith("#")]
    spaced = [(text.replace(" ", r"\s"), instead) for text, instead in pairs]
    return {re.compile(rf"(?<![\w-])(?:{text})(?!\w)", re.IGNORECASE): instead for text, instead in spaced}


def in_text(text):
    """[(line, words, what to write instead)] for everything of the list in a text; lines begin at 0."""
    text = re.sub(r"\n[ \t]*(?:# )?", "\n", text)  # a sentence may have several lines
    return [
        (text[: match.start()].count("\n"), " ".join(match[0].split()), instead)
        for pattern, instead in words().items()
        for match in pattern.finditer(text)
    ]


def read(path):
    """[(line, text)] of what a user reads of a file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return prose.literals(text)
    if path.suffix == ".ipynb":
        return [(number, "".join(cell["source"])) for number, cell in enumerate(json.loads(text)["cells"])]
    return [(1, text)]


@pytest.mark.parametrize("pattern", [*PROGRAMS, *TEXTS, NOTEBOOKS])
def test_no_text_has_a_word_that_readers_stop_at(pattern):
    found = [
        f"{name}:{first + line}: '{said}': write '{instead}'"
        for name, path in ((path.relative_to(prose.ROOT).as_posix(), path) for path in prose.files(pattern))
        for first, text in read(path)
        for line, said, instead in in_text(text)
        if (name, said) not in EXCEPTIONS
    ]
    assert not found, "\n".join(found)


def test_every_exception_is_needed():
    for name, said in EXCEPTIONS:
        assert said in [each for _, text in read(prose.ROOT / name) for _, each, _ in in_text(text)]


def test_all_texts_are_read():
    """A pattern that matches no file would hide what it should find; results/pages may not be there."""
    assert len(words()) > 30
    optional = "results/pages/**/*.md"
    assert [
        pattern for pattern in (*PROGRAMS, *TEXTS, NOTEBOOKS) if not prose.files(pattern) and pattern != optional
    ] == []


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("A step whose numbers were none.", "is non-finite (NaN or Inf)"),
        ("it is passed\n  over", "skipped"),
        ("Training Goes on.", "resume, continue"),
        ("mend the file", "fix"),
        ("which is no file", "is not a"),
        ("there is no file", None),
        ("it is no longer there", None),
        ("recommend a rate, amend the commit", None),
        ("weights of the the run", "the word once"),
        ("as float32 2.5, 1 of 1, and well-well", None),
    ],
)
def test_a_word_of_the_list_is_noticed(text, instead):
    found = [each for _, _, each in in_text(text)]
    assert instead in found if instead else not found


def test_string_literals_are_found_and_names_are_not():
    source = '"""Mend it."""\nmend = {"mend": f"to {mend} and"}  # mend\n'
    assert sorted(prose.literals(source)) == [(1, "Mend it."), (2, "mend"), (2, "to {} and")]


def hashes(text):
    """[(line, hash)] of the commit hashes in the prose of a page."""
    return [
        (prose.prose(text)[: match.start()].count("\n") + 1, match[0]) for match in HASH.finditer(prose.prose(text))
    ]


@pytest.mark.parametrize("pattern", prose.PAGES)
def test_prose_has_no_commit_hash(pattern):
    found = [
        (str(path.relative_to(prose.ROOT)), *each) for path in prose.files(pattern) for each in hashes(path.read_text())
    ]
    assert not found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("With what 891d76d changed", ["891d76d"]),
        ("with `891d76d`", ["891d76d"]),
        ("| 891d76d |\n|---|\n", []),
        ("```\n891d76d\n```\n", []),
        ("    git show 891d76d\n", []),
        ("the [change](https://example.org/891d76d)", []),
        ("1234567 decided a facade", []),
    ],
)
def test_a_commit_hash_is_noticed(text, found):
    assert [each for _, each in hashes(text)] == found


def test_every_check_that_proselint_leaves_out_has_a_reason():
    config = json.loads(prose.CONFIG.read_text())
    assert not any(config["checks"].values()) and config["checks"].keys() == config["reasons"].keys()


def test_proselint_reads_prose_and_no_code(tmp_path, monkeypatch, capsys):
    pytest.importorskip("proselint")
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    (tmp_path / "README.md").write_text("First.\n\n`very unique`\n\n```\nvery unique\n```\n\n| very unique |\n")
    assert prose.main() == 0 and capsys.readouterr().out == ""
    (tmp_path / "README.md").write_text("First.\n\n```\na\nb\n```\nThis is very unique.\n")
    assert prose.main() == 1 and "README.md:7:" in capsys.readouterr().out


def test_proselint_that_is_missing_is_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(prose.importlib.util, "find_spec", lambda name: None)
    assert prose.main() == 2
    assert capsys.readouterr().err == (
        "proselint is not installed: install what the checks need with `make test-env`.\n"
    )
