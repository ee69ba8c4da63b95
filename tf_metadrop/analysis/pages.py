"""Pages of Markdown whose numbers come from finished runs: Jinja templates, and parts of other files between markers.

A template `meta_gradient.md.jinja` becomes `meta_gradient.md`; one whose name begins with `_` is a part. In
other files a part stands between `<!-- part NAME: metadrop tables -->` and `<!-- end -->`; of `<!-- part NAME WORD:
metadrop tables -->` the template has the word as `argument`. Templates call the methods of `numbers.Numbers`, the
functions of `theirs`, and `table(tables["Cost"], "method", "hours", task="...")` or `number(...)` of the same, for one
number.
"""

import pathlib
import re
import textwrap
from collections.abc import Iterable

from tf_metadrop.analysis import numbers, seeds, theirs
from tf_metadrop.errors import UsageError
from tf_metadrop.runs.finished import Run
from tf_metadrop.util import text

SUFFIX = ".md.jinja"
PROSE = re.compile(r"(- |\d+\. )?(?=\s*[^|#!<\s])")  # the beginning of a paragraph's line; the group: of a list item
WIDTH = 120
NORMS = {"linf": "L∞", "l2": "L2", "l1": "L1"}
PART = re.compile(r"(<!-- part (\w+)(?: (\w+))?: metadrop tables -->\n).*?(<!-- end -->)", re.DOTALL)


class Pages:
    """Templates of a folder, to be filled with the numbers of runs."""

    def __init__(self, folder: pathlib.Path, runs: list[Run], tables: dict[str, list[dict]]) -> None:
        import jinja2

        self._folder = folder
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(folder), undefined=jinja2.StrictUndefined, trim_blocks=True,
            lstrip_blocks=True, keep_trailing_newline=True,
        )  # fmt: skip
        of_runs = numbers.Numbers(runs, tables.get("Learning", []), tables.get("Cost", []))
        methods = {name: getattr(of_runs, name) for name in dir(of_runs) if not name.startswith("_")}
        functions = {
            "table": numbers.table,
            "cell": numbers.cell,
            "number": numbers.number,
            "theirs": theirs,
            "seeds": seeds,
        }
        self._environment.globals |= methods | functions | {"tables": tables, "norms": NORMS}

    def names(self) -> list[str]:
        """The pages: all templates except parts."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"*{SUFFIX}") if path.name[0] != "_")

    def render(self, name: str, argument: str | None = None) -> str:
        """The text of a page or part.

        Raises:
          UsageError: the template is broken, or asks for what is not there.
        """
        import jinja2

        path = self._folder / f"{name}{SUFFIX}"
        try:
            return wrapped(self._environment.get_template(path.name).render(argument=argument))
        except jinja2.TemplateNotFound as error:
            raise UsageError(f"{self._folder / str(error.name)} is not there: a page needs it.") from error
        except jinja2.TemplateError as error:
            raise UsageError(f"{path} cannot be filled in ({error}): correct the template.") from error
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error

    def texts(self, output: pathlib.Path, others: Iterable[pathlib.Path] = ()) -> dict[pathlib.Path, str]:
        """{file: text} of all pages in a folder, and of other files with their parts renewed; writes nothing."""
        pages = {output / f"{name}.md": self.render(name) for name in self.names()}
        return pages | {path: self.fill(path) for path in others}

    def fill(self, path: pathlib.Path) -> str:
        """The text of another file with its parts renewed.

        Raises:
          UsageError: the file cannot be read, or has no part.
        """
        renewed, found = PART.subn(
            lambda part: f"{part[1]}{self.render('_' + part[2], part[3])}{part[4]}", text.read(path, "--fill")
        )
        if not found:
            raise UsageError(f"{path} has no line <!-- part NAME: metadrop tables -->: add it where the part belongs.")
        return renewed


def wrapped(text: str) -> str:
    """Markdown with its paragraphs and list items filled to WIDTH; tables, code, headings and pictures as they are."""
    blocks = re.split(r"(```.*?```|\n{2,})", text, flags=re.DOTALL)
    return "".join(block if block.startswith("```") else filled(block) for block in blocks)


def filled(block: str) -> str:
    """Lines between two blank ones, filled where they are prose."""
    parts: list[list[str]] = []
    for line in block.splitlines(keepends=True):
        prose = PROSE.match(line)
        if prose and not prose[1] and parts and PROSE.match(parts[-1][0]):
            parts[-1].append(line)
        else:
            parts.append([line])
    return "".join(fill("".join(part)) if PROSE.match(part[0]) else part[0] for part in parts)


def fill(paragraph: str) -> str:
    """A paragraph or a list item, filled."""
    marker = PROSE.match(paragraph)
    indent = " " * len(marker[1] if marker and marker[1] else "")
    end = "\n" * paragraph.endswith("\n")
    return textwrap.fill(
        " ".join(paragraph.split()), WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) + end  # fmt: skip
