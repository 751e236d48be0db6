"""The documentation site: built without warnings, without foreign resources and broken links."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import swarm

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: The files that a code host shows, and that link to each other.
DOCUMENTS = (*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "sample_data" / "README.md")
_SECONDS = 200
#: What a browser loads by itself, by the attributes that name it.
_LOADED = {"src", "srcset", "poster", "data"}


def build(builder: str, folder: Path) -> Path:
    """Return the folder with what Sphinx builds; a warning fails the test."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-b", builder]
    done = subprocess.run(
        [*command, str(DOCS), str(folder)],
        env={key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_")},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=_SECONDS,
    )
    assert (0, "") == (done.returncode, done.stderr), done.stderr
    return folder


@dataclass
class Page(HTMLParser):
    """A page of the site: its anchors, its links, and what a browser loads for it."""

    path: Path
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Read the page."""
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag names."""
        for name, value in attrs:
            if name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value or "")
            elif name in _LOADED or (name == "href" and tag == "link"):
                self.loaded.append(value or "")
            elif name == "href":
                self.links.append(value or "")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    """Return the pages of the site by their paths."""
    site = build("html", tmp_path_factory.mktemp("site"))
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_document_is_a_page(pages: dict[Path, Page]) -> None:
    """Each Markdown file of the folder is a page, except those that are only for man."""
    site = next(path.parent for path in pages if path.name == "search.html")
    expected = {page.relative_to(DOCS).with_suffix(".html") for page in DOCS.rglob("*.md")}
    made = {path.relative_to(site) for path in pages}
    assert {path for path in expected if path.parts[0] != "man"} == {
        path for path in made if path.name not in {"search.html", "genindex.html"}
    }


def test_every_link_of_the_site_leads_somewhere(pages: dict[Path, Page]) -> None:
    """Each relative link names a file of the site, and its fragment an anchor of that file."""
    checked = 0
    for page in pages.values():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
            assert target.is_file(), f"{page.path.name}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, f"{page.path.name}: {link}"
                checked += 1
    assert checked > 100


def test_a_page_loads_nothing_from_elsewhere(pages: dict[Path, Page]) -> None:
    """Pages, style sheets and scripts name no resource of another host."""
    for page in pages.values():
        foreign = [link for link in page.loaded if urlsplit(link).netloc]
        assert not foreign, f"{page.path.name}: {foreign}"
    site = next(iter(pages)).parent
    for path in (each for each in site.rglob("*") if each.suffix in {".css", ".js"}):
        text = path.read_text(encoding="utf-8")
        found = re.search(r"(@import|url\(|fetch\(|import\()\s*[\"']?(https?:)?//", text)
        assert found is None, f"{path.name}: {found[0]}"


def test_the_api_has_every_public_name(pages: dict[Path, Page]) -> None:
    """Each name that the library exports has an entry."""
    (page,) = (each for path, each in pages.items() if path.name == "api.html")
    names = {f"swarm.{name}" for name in swarm.__all__ if name != "__version__"}
    assert names == {name for name in page.anchors if re.fullmatch(r"swarm\.\w+", name)}


def anchors(document: Path) -> set[str]:
    """Return the anchors that a code host gives to the headings of a Markdown file."""
    text = re.sub(r"^```.*?^```$", "", document.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    """Each relative link names a file of the project, and its fragment a heading of that file."""
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", document.read_text("utf-8")):
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link
