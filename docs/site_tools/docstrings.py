"""Docstrings in the form that mkdocstrings and Markdown need.

Indented examples and lists become blocks of code: Markdown would join their lines. A section such as "Returns:" gets an
empty line before it.
"""

import re
from typing import Any

import griffe

SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields)(, \w+)*:( .*)?$")
INDENTED = re.compile(r"  +\S")


def prepared(text: str) -> str:
    """A docstring with an empty line before each section, and with fences around indented lines of other parts."""
    lines: list[str] = []
    block: list[str] = []
    in_section = False

    def end_block() -> None:
        if block:
            lines.extend(["", "```python", *block, "```", ""])
            block.clear()

    for line in text.split("\n"):
        if not line.startswith(" ") and line.strip():
            in_section = bool(SECTION.match(line))
            if in_section and lines and lines[-1].strip() and not block:
                lines.append("")
        if not in_section and (INDENTED.match(line) or (block and not line.strip())):
            block.append(line[2:])
            continue
        end_block()
        lines.append(line)
    end_block()
    return "\n".join(lines)


class Extension(griffe.Extension):
    """What mkdocstrings calls (mkdocs.yml)."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = prepared(obj.docstring.value)
