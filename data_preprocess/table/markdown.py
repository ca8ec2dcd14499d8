"""Tables as Markdown."""

from collections.abc import Sequence
from html.parser import HTMLParser


def markdown_table(rows: Sequence[Sequence[object]]) -> str:
    """The first row is the head; short rows are filled up. Empty for no rows."""
    if not rows:
        return ""
    width = max(map(len, rows))
    lines = [_line([*map(_cell, row), *[""] * (width - len(row))]) for row in rows]
    return "\n".join([lines[0], _line(["---"] * width), *lines[1:]])


def html_rows(html: str) -> list[list[str]]:
    """The cells of an HTML table; one that spans several places stands in the first, the others are empty."""
    parser = _Cells()
    parser.feed(html)
    parser.close()
    rows: list[dict[int, str]] = [{} for _ in parser.rows]  # column -> text
    for number, cells in enumerate(parser.rows):
        for text, width, height in cells:
            column = 0
            while column in rows[number]:
                column += 1
            for below in rows[number:number + height]:
                below.update(dict.fromkeys(range(column, column + width), ""))
            rows[number][column] = text
    return [[row.get(column, "") for column in range(max(row, default=-1) + 1)] for row in rows]


class _Cells(HTMLParser):
    """Collects (text, columns, rows) of each cell, by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[tuple[str, int, int]]] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            spans = dict(attrs)
            self.rows[-1].append(("", _span(spans.get("colspan")), _span(spans.get("rowspan"))))
        self._open = tag in ("td", "th") or (self._open and tag not in ("tr", "table"))

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag not in ("td", "th", "tr", "table")

    def handle_data(self, data: str) -> None:
        if self._open and self.rows and self.rows[-1]:
            text, *spans = self.rows[-1][-1]
            self.rows[-1][-1] = (text + data, *spans)


def _span(text: str | None) -> int:
    return min(max(int(text), 1), 1000) if (text or "").isdecimal() else 1


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
