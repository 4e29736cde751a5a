"""Makes pages for a browser of the guide: a bundle's readers may have nothing that opens Markdown."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt

from installers.identity import ROOT

DOCS = ROOT / "docs"
PAGES = ("guide", "how-it-works", "parameters")
STYLE = (
    "body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; } "
    "img { max-width: 100%; } table { border-collapse: collapse; display: block; overflow-x: auto; } "
    "td, th { border: 1px solid #8888; padding: .2rem .5rem; text-align: left; vertical-align: top; } "
    "pre { overflow-x: auto; background: #8882; padding: .5rem; } :root { color-scheme: light dark; }"
)
_LINK = re.compile(rf'href="({"|".join(PAGES)})\.md(#[^"]*)?"')
_LINK_OUT = re.compile(r'<a href="[^":]*\.(?:md|py)(?:#[^"]*)?">(.*?)</a>', re.DOTALL)


def page(text: str) -> str:
    """A Markdown text as a whole HTML page; links among the pages lead to the pages, others in the project nowhere."""
    title = next((line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")), "")
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    body = _LINK_OUT.sub(r"\1", _LINK.sub(r'href="\1.html\2"', body))
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n{body}</body></html>\n'


def write_pages(folder: Path) -> list[tuple[str, str]]:
    """Write the pages into a folder.

    Returns:
        what goes into a bundle, as PyInstaller wants it: the pages and their pictures, each with its folder there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = [(str(picture), "docs/guide") for picture in sorted((DOCS / "guide").glob("*.png"))]
    for name in PAGES:
        file = folder / f"{name}.html"
        file.write_text(page((DOCS / f"{name}.md").read_text(encoding="utf-8")), encoding="utf-8")
        found.append((str(file), "docs"))
    return found
