"""A leaderboard.md as a terminal shows it: nothing is cut off, and no line breaks where it should not."""

import re
from itertools import zip_longest
from textwrap import wrap

from rnnlab.results.wording import without_reference

LEFT_OUT = ("steps/s", "train s", "state", "trials", "parameters", "seeds", "95 %, seeds and items")
"""Columns, in the order in which a narrow terminal goes without them; the files have all."""

SHORT_HEADING = 8
"""One that stays in one line."""

NAME, LAST, GAP = 30, 24, 2
"""Columns of the terminal for a name at most, for the last column, the verdict, at least, and between two."""


def fit(markdown: str, width: int) -> str:
    """Texts in lines of that width, tables of the columns that have room, the last of which goes over several lines."""
    blocks = markdown.split("\n\n")
    return "\n\n".join(_table(block, width) if block.startswith("|") else _text(block, width) for block in blocks)


def _text(block: str, width: int) -> str:
    return "\n".join("\n".join(_wrapped(line, width)) for line in block.split("\n"))


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(text, width, break_on_hyphens=False) or [""]


def _table(block: str, width: int) -> str:
    header, _, *rows = map(_cells, block.strip().split("\n"))
    rows = [[*cells[:-1], _short(cells, rows)] for cells in rows]
    columns = list(zip(header, *rows, strict=True))
    for name in LEFT_OUT:
        if name in header and _room(columns, width) < min(LAST, _width(columns[-1])):
            columns = [column for column in columns if column[0] != name]
    widths = [*map(_width, columns[:-1]), min(_width(columns[-1]), max(_room(columns, width), LAST))]
    right = [all(cell[:1].isdigit() or cell[:1] in "+-" for cell in column[1:]) for column in columns]
    lines = [_line(cells, widths, right) for cells in zip(*columns, strict=True)]
    rule = (" " * GAP).join("-" * each for each in widths)
    return "\n".join([lines[0], rule, *lines[1:]])


def _cells(line: str) -> list[str]:
    """Of a row; a | within a cell has a backslash before it."""
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _width(column: tuple[str, ...]) -> int:
    """A long heading may go over several lines, numbers never do."""
    words = max(min(len(column[0]), SHORT_HEADING), *map(len, column[0].split()))
    cells = max(map(len, column[1:]), default=0)
    return max(words, min(cells, NAME) if column[0] in ("name", "cell", "other") else cells)


def _room(columns: list[tuple[str, ...]], width: int) -> int:
    """What is left for the last column."""
    return width - sum(_width(column) + GAP for column in columns[:-1])


def _line(cells: tuple[str, ...], widths: list[int], right: list[bool]) -> str:
    wrapped = [_wrapped(cell, width) for cell, width in zip(cells, widths, strict=True)]
    return "\n".join(
        (" " * GAP)
        .join(
            part.rjust(width) if to_right else part.ljust(width)
            for part, width, to_right in zip(parts, widths, right, strict=True)
        )
        .rstrip()
        for parts in zip_longest(*wrapped, fillvalue="")
    )


def _short(cells: list[str], rows: list[list[str]]) -> str:
    """A verdict without the name of the reference, which a row of its own says."""
    reference = next((row[1].removesuffix(" (baseline)") for row in rows if row[-1] == "the reference"), None)
    return without_reference(cells[-1], reference)
