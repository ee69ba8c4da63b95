"""Links between the Markdown files of the repository: what they lead to, on GitHub and on the site.

A page links to the files of the repository by relative paths, so that its links work on GitHub. The site has docs/ at
its root, and a few other files; `rewritten` makes a page's links lead there.

python docs/site_tools/links.py     lists the links to other hosts, with the pages that have them; it fetches nothing
"""

import os
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

CODE = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)[ \t]*$|(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)", re.M | re.S)
LINK = re.compile(r"(?P<image>!?)\[(?P<label>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s]+(?:\([^()\s]*\))?)\)")
HEADING = re.compile(r"^#{1,6} +(.+?)[ #]*$", re.MULTILINE)
EXTERNAL = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
ASSETS = ".png", ".svg", ".gif", ".csv"
BARE = re.compile(r"<(https?://[^>\s]+)>")
HIDDEN = "\0"
OTHER_FOLDERS = "results", "benchmarks", "checkpoints"  # with pages, beside docs/ and the root


class Link(NamedTuple):
    """A link of a page."""

    label: str
    target: str  # as it stands there
    image: bool

    @property
    def external(self) -> bool:
        """Whether it leads to another host."""
        return bool(EXTERNAL.match(self.target))


def without_code(text: str) -> tuple[str, list[str]]:
    """(the text with a mark in the place of each piece of code, the pieces)."""
    pieces: list[str] = []

    def hide(match: re.Match) -> str:
        pieces.append(match[0])
        return f"{HIDDEN}{len(pieces) - 1}{HIDDEN}"

    return CODE.sub(hide, text), pieces


def with_code(text: str, pieces: list[str]) -> str:
    """The inverse of `without_code`."""
    return re.sub(f"{HIDDEN}(\\d+){HIDDEN}", lambda match: pieces[int(match[1])], text)


def links(text: str) -> Iterator[Link]:
    """The links of a Markdown text, not those in its code."""
    plain, pieces = without_code(text)
    for match in LINK.finditer(plain):
        yield Link(with_code(match["label"], pieces), match["target"], bool(match["image"]))


def anchor(heading: str, separator: str = "-") -> str:
    """The anchor of a heading in GitHub's form; the arguments are those of a `slugify` of Python-Markdown."""
    plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", separator)


def anchors(text: str) -> set[str]:
    """The anchors of a page: those of its headings, and ids that it sets itself."""
    plain, pieces = without_code(text)
    found: dict[str, int] = {}
    for heading in HEADING.findall(plain):
        name = anchor(with_code(heading, pieces).replace("`", ""))
        found[name] = found.get(name, -1) + 1
    numbered = {f"{name}-{index}" for name, last in found.items() for index in range(1, last + 1)}
    return {*found, *numbered, *re.findall(r'\b(?:id|name)="([^"]+)"', plain)}


def resolved(target: str, source: str) -> tuple[str, str]:
    """(path from the repository's root, anchor) of a relative target in the file `source`; the path may be above."""
    path, _, name = target.partition("#")
    folder = os.path.dirname(source)
    return (os.path.normpath(os.path.join(folder, path)) if path else source), name


def problem(link: Link, source: str, root: pathlib.Path) -> str | None:
    """What is wrong with an internal link of the file `source`, a sentence, or None."""
    path, name = resolved(link.target, source)
    if path.startswith(("..", "/")) or not (root / path).exists():
        return f"{source} links to {link.target}, which does not exist"
    text = root / path
    if name and (text.suffix != ".md" or name not in anchors(text.read_text(encoding="utf-8"))):
        return f"{source} links to {link.target}, but {path} has no such heading"
    return None


def rewritten(text: str, source: str, site: dict[str, str], plain: Callable[[Link, str], str]) -> str:
    """A page with the links that it has on the site.

    Args:
      source: the page's path in the repository.
      site: path in the repository -> path on the site, of everything that the site has.
      plain: (link, path in the repository) -> what stands in the place of a link to a file that the site has not.
    """
    hidden, pieces = without_code(text)
    here = os.path.dirname(site[source])

    def replace(match: re.Match) -> str:
        link = Link(match["label"], match["target"], bool(match["image"]))
        if link.external or link.target.startswith("#"):
            return match[0]
        path, name = resolved(link.target, source)
        for file in (path, f"{path}/README.md", f"{path}/index.md"):
            if file in site:
                target = os.path.relpath(site[file], here or ".") + (f"#{name}" if name else "")
                return f"{match['image']}[{link.label}]({target})"
        return plain(link, path)

    return with_code(LINK.sub(replace, hidden), pieces)


def pages(root: pathlib.Path) -> list[pathlib.Path]:
    """The Markdown pages of the repository."""
    found = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    return sorted([*found, *(path for name in OTHER_FOLDERS for path in (root / name).glob("*.md"))])


def external(root: pathlib.Path) -> dict[str, list[str]]:
    """The links of all pages to other hosts: {address: pages}."""
    found: dict[str, list[str]] = {}
    for page in pages(root):
        text = page.read_text(encoding="utf-8")
        urls = {link.target for link in links(text) if link.external} | {*BARE.findall(without_code(text)[0])}
        for url in urls:
            found.setdefault(url, []).append(page.relative_to(root).as_posix())
    return dict(sorted(found.items()))


if __name__ == "__main__":
    for url, sources in external(pathlib.Path(__file__).resolve().parents[2]).items():
        print(f"{url}    {', '.join(sources)}")
