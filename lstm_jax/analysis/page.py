"""A report as records, and its two forms: Markdown beside its figures, and one HTML file that holds everything."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

SHOWN_DPI = 150
"""Pixels an inch on the page; the files have ``FILE_DPI`` of them, for print."""
FILE_DPI = 400
STYLE = """
:root { color-scheme: light dark; --line: #d9d9d9; --quiet: #666; --back: #fff; --text: #1a1a1a; --stripe: #f7f7f7; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a3a3a; --quiet: #a0a0a0; --back: #161616; --text: #e6e6e6; --stripe: #1e1e1e; }
}
body { max-width: 66rem; margin: 2rem auto; padding: 0 1rem; background: var(--back); color: var(--text);
       font: 16px/1.5 system-ui, sans-serif; }
h1, h2, h3 { line-height: 1.2; margin: 2.2rem 0 0.6rem; }
h2 { border-bottom: 1px solid var(--line); padding-bottom: 0.3rem; }
div.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { border-bottom-width: 2px; vertical-align: bottom; }
th.right, td.right { text-align: right; }
td.right { white-space: nowrap; }
tbody tr:nth-child(even) { background: var(--stripe); }
figure { margin: 1.5rem 0; }
figcaption { color: var(--quiet); font-size: 0.9rem; max-width: 50rem; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
p, li { max-width: 50rem; }
code { font-size: 0.9em; }
""".strip()


class Heading(NamedTuple):
    """A title; level 1 is the whole report's."""

    level: int
    text: str


class Paragraph(NamedTuple):
    """Sentences; names between backticks are set as code."""

    text: str


class Bullets(NamedTuple):
    """A list of sentences."""

    items: tuple[str, ...]


class Table(NamedTuple):
    """Cells as text; ``right`` says which columns hold numbers, by an ``r`` for each that does and an ``l`` else."""

    header: tuple[str, ...]
    columns: str
    rows: tuple[tuple[str, ...], ...]


class Picture(NamedTuple):
    """A PNG beside the report, by its file name, and what it shows; the first sentence is its title."""

    name: str
    caption: str


Block = Heading | Paragraph | Bullets | Table | Picture


def to_markdown(blocks: Sequence[Block]) -> str:
    """The report as Markdown; figures are linked by file name."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
        case Bullets(items):
            return "\n".join(f"- {item}" for item in items)
        case Table(header, columns, rows):
            rule = tuple("---:" if column == "r" else "---" for column in columns)
            lines = (header, rule, *(tuple(cell.replace("|", r"\|") for cell in row) for row in rows))
            return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        case Picture(name, caption):
            return f"![{_title(caption)}]({name})\n\n{caption}"


def to_html(blocks: Sequence[Block], pictures: Mapping[str, bytes]) -> str:
    """The report as one HTML file without any link, script or other file.

    Args:
        blocks: of the report; the first is its title.
        pictures: PNG bytes by file name, one for each ``Picture``.
    """
    title = html.escape(blocks[0].text) if isinstance(blocks[0], Heading) else "Report"
    body = "\n".join(_html(block, pictures) for block in blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _html(block: Block, pictures: Mapping[str, bytes]) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{_inline(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{_inline(text)}</p>"
        case Bullets(items):
            return "<ul>\n" + "\n".join(f"<li>{_inline(item)}</li>" for item in items) + "\n</ul>"
        case Table(header, columns, rows):
            head = _row("th", header, columns)
            lines = "\n".join(_row("td", row, columns) for row in rows)
            return f'<div class="table"><table>\n<thead>{head}</thead>\n<tbody>\n{lines}\n</tbody>\n</table></div>'
        case Picture(name, caption):
            content = pictures[name]
            width = int.from_bytes(content[16:20], "big") * SHOWN_DPI // FILE_DPI  # of the header of every PNG
            source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
            text = _inline(caption)
            image = f'<img width="{width}" alt="{html.escape(_title(caption))}" src="{source}">'
            return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def _title(caption: str) -> str:
    return caption.partition(". ")[0].rstrip(".")


def _row(tag: str, cells: Sequence[str], columns: str) -> str:
    marks = [' class="right"' if column == "r" else "" for column in columns]
    return "<tr>" + "".join(f"<{tag}{m}>{_inline(c)}</{tag}>" for m, c in zip(marks, cells, strict=True)) + "</tr>"


def _inline(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(text))
