"""The links of all Markdown pages: internal ones lead to files and headings, external ones are known."""

import pathlib
import re
import sys

import pytest

from tests.helpers.runs import ROOT

sys.path.insert(0, str(ROOT / "docs"))
from site_tools import links  # noqa: E402

PAGES = links.pages(ROOT)
# Hosts that a page may link to. Nothing is fetched: `python docs/site_tools/links.py` lists the links.
HOSTS = {
    "openreview.net", "github.com", "arxiv.org", "wandb.ai", "doi.org", "www.kaggle.com", "keras.io",
    "www.tensorflow.org", "zenodo.org", "creativecommons.org", "opensource.org", "proceedings.mlr.press",
}  # fmt: skip
NAMED = re.compile(r"`((?:tests|tf_metadrop|flags|benchmarks|docs|notebooks|results)/[\w./*-]+)`")
TO_BE_MADE = {"tf_metadrop/methods/noise/laplace.py"}  # by the reader


def names(paths):
    return [path.relative_to(ROOT).as_posix() for path in paths]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_internal_links_lead_somewhere(page):
    source = page.relative_to(ROOT).as_posix()
    found = [link for link in links.links(page.read_text(encoding="utf-8")) if not link.external]
    assert not [wrong for link in found if (wrong := links.problem(link, source, ROOT))]


def test_external_links_are_known():
    found = links.external(ROOT)
    assert len(found) >= 2
    assert not {url: pages for url, pages in found.items() if not url.startswith("https://") or host(url) not in HOSTS}


def host(url):
    return url.removeprefix("https://").partition("/")[0]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_files_that_are_named_are_there(page):
    """Paths of the repository in code within the text, as `tests/nn/test_layers.py` or `flags/paper/mimgnet_*`."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = {match[1] for match in NAMED.finditer(text)} - TO_BE_MADE
    assert not [path for path in found if not any(ROOT.glob(path.rstrip("/")))]


def test_nothing_links_to_a_page_that_only_others_are_made_from():
    """results/pages holds templates."""
    targets = {
        links.resolved(link.target, page.relative_to(ROOT).as_posix())[0]
        for page in PAGES
        for link in links.links(page.read_text(encoding="utf-8"))
        if not link.external
    }
    assert not [target for target in targets if target.startswith("results/pages/")]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[x](b.md)", None),
        ("[x](b.md#a-heading)", None),
        ("[`x`](b.md#a-heading-1)", None),
        ("[x](b.md#no-heading)", "no such heading"),
        ("[x](c.md)", "does not exist"),
        ("[x](../../c.md)", "does not exist"),
        ("![x](c.png)", "does not exist"),
    ],
)
def test_a_broken_link_is_noticed(text, wrong, tmp_path):
    (tmp_path / "b.md").write_text("# A heading\n\n```\n# no heading\n```\n\n## A heading\n")
    (link,) = links.links(f"`[y](d.md)` {text}\n```\n[z](e.md)\n```\n")
    said = links.problem(link, "a.md", pathlib.Path(tmp_path))
    assert said is None if wrong is None else wrong in said
