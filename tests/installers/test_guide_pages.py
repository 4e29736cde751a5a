"""The guide in a bundle: pages for a browser, with all their pictures and links."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from installers.guide_pages import PAGES, page, write_pages


class Targets(HTMLParser):
    """Collects what a page points to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


def test_every_picture_and_page_that_a_page_points_to_is_in_the_bundle(tmp_path: Path) -> None:
    files = {f"{folder}/{Path(source).name}" for source, folder in write_pages(tmp_path)}
    assert {f"docs/{name}.html" for name in PAGES} <= files
    for name in PAGES:
        targets = Targets()
        targets.feed((tmp_path / f"{name}.html").read_text(encoding="utf-8"))
        here = {f"docs/{target.split('#')[0]}" for target in targets.found if "://" not in target and target[0] != "#"}
        assert here <= files


def test_a_page_keeps_tables_and_umlauts() -> None:
    made = page("# Jörg's page\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n[more](how-it-works.md#why)\n")
    assert '<meta charset="utf-8"><title>Jörg&#x27;s page</title>' in made
    assert "<td>2</td>" in made
    assert 'href="how-it-works.html#why"' in made


def test_a_link_to_what_is_not_in_the_bundle_is_plain_text() -> None:
    assert "see the journal and" in page("see [the journal](journal.md) and [them](https://example.org)")
    assert 'href="https://example.org"' in page("see [the journal](journal.md) and [them](https://example.org)")
