"""What a user reads, as text: pages in Markdown, and the string literals of programs. `main` runs proselint on pages.

python -m tests.helpers.prose
"""

import ast
import importlib.util
import itertools
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[2]
PAGES = (
    "README.md", "CONTRIBUTING.md", "checkpoints/README.md", "benchmarks/*.md", "docs/**/*.md", "results/*.md",
    "results/pages/**/*.md",
)  # fmt: skip
CONFIG = ROOT / ".proselintrc.json"
FENCE = re.compile(r"^( *)(```|~~~).*?^ *\2[^\n]*$", re.DOTALL | re.MULTILINE)


def pages():
    """The pages in Markdown that proselint reads."""
    return files(*PAGES)


def files(*patterns):
    """The files of the checkout that match one of these patterns, each once."""
    return list(dict.fromkeys(path for pattern in patterns for path in sorted(ROOT.glob(pattern))))


def prose(text):
    """The prose of a page in Markdown: a dot in place of code blocks, tables, comments and empty lines.

    Lines and columns stay as they are. The dots keep two paragraphs from being read as one sentence.
    """
    dots = lambda match: re.sub(r"^.*$", ".", match[0], flags=re.MULTILINE)
    text = re.sub(r"<!--.*?-->", dots, FENCE.sub(dots, text), flags=re.DOTALL)
    text = re.sub(r"^(?:    | *\|).*$|^\s*$", ".", text, flags=re.MULTILINE)  # code by its indent; tables
    return re.sub(r"(\]\()([^)\s]+)", lambda match: match[1] + "_" * len(match[2]), text)  # targets of links


def without_code(text):
    """`prose` with fillers of the same length in place of code within a line, which proselint would correct.

    Each filler differs from the one before, or it would be a word that is written twice.
    """
    letters = itertools.cycle("qz")
    fill = lambda match: re.sub(r"[^\n]+", lambda line: next(letters) * len(line[0]), match[0])
    return re.sub(r"`[^`]+`", fill, prose(text))


def literals(source):
    """(line, text) of every string literal of a program, docstrings included; {} stands for a value in an f-string."""
    found, parts = [], set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            parts |= {id(part) for part in node.values}
            texts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
            found.append((node.lineno, "".join(texts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            found.append((node.lineno, node.value))
    return found


def proselint():
    """Runs proselint on the prose of all pages; returns the exit code, 0 if it has nothing to say."""
    if importlib.util.find_spec("proselint") is None:
        print("proselint is not installed: install what the checks need with `make test-env`.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        copies = []
        for path in pages():
            copies.append(pathlib.Path(folder, path.relative_to(ROOT)))
            copies[-1].parent.mkdir(parents=True, exist_ok=True)
            copies[-1].write_text(without_code(path.read_text(encoding="utf-8")), encoding="utf-8")
        command = [sys.executable, "-m", "proselint", "check", f"--config={CONFIG}"]
        done = subprocess.run([*command, *map(str, copies)], capture_output=True, text=True)
    said = done.stdout + done.stderr
    print(said.replace(f"{pathlib.Path(folder).resolve()}/", ""), end="")
    return done.returncode


def main():
    """Runs the command line and returns the exit code."""
    return proselint()


if __name__ == "__main__":
    sys.exit(main())
