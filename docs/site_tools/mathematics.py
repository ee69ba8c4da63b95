"""LaTeX between dollar signs, as GitHub renders it, becomes MathML: browsers draw it without a script or a font."""

import html
import re

from latex2mathml import converter

# What pymdownx.arithmatex (generic) writes for $...$ and for a paragraph of $$...$$.
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)
COMMAND = re.compile(r"\\[A-Za-z]+|\\.")  # of LaTeX, if it is still in the MathML
TILDE = "<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>"  # \sim: an operator, not the character of the keyboard
NAME = re.compile(r"<mo>([A-Za-z]+)</mo>")  # \operatorname{...}: an identifier, or it gets an operator's spaces


class MathError(ValueError):
    """A formula that cannot be converted."""


def mathml(latex: str, display: str = "inline") -> str:
    """The MathML of a formula.

    Args:
      display: inline or block.
    Raises:
      MathError: the formula is wrong, or has a command that the converter does not know.
    """
    try:
        found = converter.convert(latex.strip(), display=display)
    except Exception as error:  # the converter raises many kinds
        raise MathError(f"{latex.strip()!r} cannot be converted: {type(error).__name__} {error}") from error
    if unknown := COMMAND.search(html.unescape(found)):
        raise MathError(f"{latex.strip()!r} has {unknown[0]}, which cannot be converted")
    return NAME.sub(r"<mi>\1</mi>", found.replace(*TILDE))


def parts(latex: str) -> list[str]:
    """The formulas of a display that are separated by a comma and \\quad: a page may put them on several lines."""
    found = re.split(r"(?<=,)\s*\\quad\s*", latex.strip())
    whole = all(part.count("{") == part.count("}") and "\\begin" not in part for part in found)
    return found if whole else [latex]


def converted(page: str) -> str:
    """The HTML of a page with its formulas as MathML; raises MathError."""
    page = INLINE.sub(lambda match: mathml(html.unescape(match[1])), page)

    def block(match: re.Match) -> str:
        found = "".join(mathml(part, "block") for part in parts(html.unescape(match[1])))
        return f'<div class="arithmatex">{found}</div>'

    return BLOCK.sub(block, page)
