"""Hooks of mkdocs (mkdocs.yml): pages that lie outside docs/ or are generated, links for the site, and formulas.

on_files          adds the pages of results/ and a few others, and the pictures and tables that they link to
on_page_markdown  makes links lead to what the site has
on_page_content   turns formulas into MathML; keeps names of flags and intervals in one piece
"""

import logging
import os
import pathlib
import re

from mkdocs.structure.files import File
from site_tools import links, mathematics

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUTSIDE = "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/RESULTS.md"  # pages that do not lie in docs/
FLAG = re.compile(r"(?<!</span>)<code>(-[^<\s]{1,30})</code>")
PATH = re.compile(r"(?<!</span>)<code>([^<\s]*/[^<\s]*)</code>")
INTERVAL = re.compile(r"(?<=\d) ± (?=\d)")
RESULTS = "results/*"  # stands for the pages of results/ in the nav of mkdocs.yml
HOME = "README.md", "index.md"  # the site's first page stands for the README

log = logging.getLogger("mkdocs.hooks.tf_metadrop")  # a warning ends a strict build
site: dict[str, str] = {}  # path in the repository -> path on the site


def on_config(config):
    """Gives headings the anchors that they have on GitHub."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = links.anchor
    return config


def on_files(files, config):
    """Adds to the site what lies outside docs/."""
    site.clear()
    site.update({HOME[0]: HOME[1]} | {f"docs/{file.src_uri}": file.src_uri for file in files})
    pages = [*OUTSIDE, *results()]
    for path in [*pages, *assets(pages)]:
        site[path] = path
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    config.nav = filled(config.nav)
    return files


def results():
    """The pages of results/, its README first."""
    found = {path.relative_to(ROOT).as_posix() for path in (ROOT / "results").glob("*.md")}
    return sorted(found, key=lambda path: (path != "results/README.md", path))


def assets(pages):
    """Pictures and tables that these pages, or those of docs/, link to outside docs/."""
    sources = [*pages, *(path for path in site if path.startswith("docs/") and path.endswith(".md"))]
    found = {
        links.resolved(link.target, source)[0]
        for source in sources
        for link in links.links((ROOT / source).read_text(encoding="utf-8"))
        if not link.external
    }
    return sorted(path for path in found - site.keys() if path.endswith(links.ASSETS) and (ROOT / path).is_file())


def filled(nav):
    """The nav with the pages of results/ in the place of RESULTS."""
    if isinstance(nav, dict):
        return {title: filled(below) for title, below in nav.items()}
    if isinstance(nav, list):
        return [each for item in nav for each in (results() if item == RESULTS else [filled(item)])]
    return nav


def on_page_markdown(markdown, page, config, files):
    """The page as the site has it."""
    source = next(path for path, at in site.items() if at == page.file.src_uri and path != HOME[0])

    def plain(link, path):
        if path.startswith("..") or not (ROOT / path).exists() or link.image:
            log.warning("%s links to %s, which does not exist", source, link.target)
        if config.repo_url:
            return f"[{link.label}]({config.repo_url.rstrip('/')}/blob/HEAD/{path})"
        named = link.label.strip("`") in (path, path + "/", os.path.basename(path)) or path in link.label
        return f"`{link.label.strip('`')}`" if named else f"{link.label} (`{path}`)"

    return links.rewritten(markdown, source, site, plain)


def on_page_content(html, page, config, files):
    """The page with its formulas as MathML; no line ends within the name of a flag, or between a number and its ±."""
    html = INTERVAL.sub("&nbsp;±&nbsp;", html)
    html = PATH.sub(r'<code class="path">\1</code>', html)
    html = FLAG.sub(r'<code class="flag">\1</code>', html)
    try:
        return mathematics.converted(html)
    except mathematics.MathError as error:
        log.warning("%s: %s", page.file.src_uri, error)
        return html
