"""The documentation site, built as `make docs` builds it: strict, complete, and without anything from another host."""

import dataclasses
import html.parser
import importlib.util
import os
import re
import subprocess
import sys
import urllib.parse

import pytest

from tests.helpers.runs import ROOT
from tf_metadrop import Config

MISSING = [
    name for name in ("mkdocs", "material", "mkdocstrings", "latex2mathml") if importlib.util.find_spec(name) is None
]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"{MISSING} not installed: pip install -e .[docs]")
LOADED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "video": "src", "link": "href"}
PAGE_LINKS = "canonical", "next", "prev"  # kinds of <link> that nothing is loaded from
IN_CSS = re.compile(r"""(?:url\(\s*["']?|@import\s*["'])((?:https?:)?//[^"')]+)""")


class Page(html.parser.HTMLParser):
    """What a page loads, links to and names."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.ids = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag in LOADED and values.get(LOADED[tag]) and values.get("rel") not in PAGE_LINKS:
            self.loads.append(values[LOADED[tag]])
        self.loads += [part.split()[0] for part in (values.get("srcset") or "").split(",") if part.strip()]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """{path on the site: its page}."""
    found = {path.relative_to(site).as_posix(): path for path in sorted(site.rglob("*.html"))}
    return {name: Page(path.read_text(encoding="utf-8")) for name, path in found.items()}


def test_every_page_is_there(pages):
    sources = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]
    results = [path.relative_to(ROOT).as_posix() for path in (ROOT / "results").glob("*.md")]
    wanted = {re.sub(r"(README|index)?\.md$", lambda m: "index.html" if m[1] else ".html", name) for name in sources}
    wanted |= {name.removesuffix("README.md") + "index.html" for name in results if name.endswith("README.md")}
    wanted |= {name.replace(".md", ".html") for name in results if not name.endswith("README.md")}
    assert len(wanted) > 40 and not wanted - pages.keys()
    assert not [name for name in pages if name.startswith(("results/pages", "site_tools"))]


def test_nothing_comes_from_another_host(site, pages):
    outside = {(name, url) for name, page in pages.items() for url in page.loads if is_external(url)}
    styles = {path.name: IN_CSS.findall(path.read_text(encoding="utf-8")) for path in site.rglob("*.css")}
    assert len(styles) >= 3 and sum(len(page.loads) for page in pages.values()) > 100
    assert not outside and not {name: urls for name, urls in styles.items() if urls}


def is_external(url):
    return bool(re.match(r"([a-z]+:)?//", url))


def test_the_look_for_other_hosts_finds_them():
    page = Page(
        '<script src="https://a.b/x.js"></script><link rel="stylesheet" href="//fonts.b/c"><img src="x.png">'
        '<img srcset="http://a.b/y.png 2x"><a href="https://a.b">'
    )
    assert [url for url in page.loads if is_external(url)] == ["https://a.b/x.js", "//fonts.b/c", "http://a.b/y.png"]
    assert IN_CSS.findall('a{src:url("https://f.g/h.woff")} @import "//i.j/k.css"; b{src:url(l.svg)}') == [
        "https://f.g/h.woff", "//i.j/k.css",
    ]  # fmt: skip


def test_links_and_anchors_lead_somewhere(site, pages):
    wrong = []
    for name, page in pages.items():
        if name == "404.html":  # its links begin at the root of a host
            continue
        for url in [*page.links, *page.loads]:
            path, _, anchor = urllib.parse.unquote(url).partition("#")
            if is_external(url) or path.startswith(("mailto:", "data:", "javascript:")):
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(name), path.split("?")[0])) if path else name
            if not (site / target).exists() or (anchor and target in pages and anchor not in pages[target].ids):
                wrong.append((name, url))
    assert not wrong


def test_formulas_are_mathml(site):
    methods = sorted((site / "reference" / "methods").glob("*.html"))
    counts = {path.name: path.read_text(encoding="utf-8").count("<math ") for path in methods}
    assert len(counts) >= 18 and min(counts.values()) >= 1 and counts["metadrop.html"] >= 20
    for path in site.rglob("*.html"):
        text = re.sub(r"<(pre|code).*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not re.search(r"\\\(|\\\[|\$\$|\\(operatorname|theta|mathcal)\b", text), path


def test_every_flag_is_listed(pages):
    assert {field.name for field in dataclasses.fields(Config)} <= pages["reference/flags.html"].ids


def test_the_api_is_documented(pages):
    ids = pages["reference/python_api.html"].ids
    assert {"tf_metadrop.modes.train.meta_train", "tf_metadrop.modes.learner.MetaLearner.predict"} <= ids
    assert {"tf_metadrop.methods.noise.NoiseType", "tf_metadrop.nn.backbones.Backbone"} <= ids
