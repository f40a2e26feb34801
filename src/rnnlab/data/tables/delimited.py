"""Text with a separator between its fields: the encoding and the separator are found, the text is never held whole."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from rnnlab.data.tables.values import likely_marks, number_of
from rnnlab.errors import UserError

Source = Callable[[], BinaryIO]
"""Opens the content, each time from its beginning."""

SEPARATORS = {";": "semicolon", "\t": "tab", "|": "bar", ",": "comma"}  # a comma may mark decimals: it comes last
SPACES = " "
"""Separate numbers only, and any number of them does."""

PIECE = 1 << 20  # bytes read at a time
HEAD = 50  # lines by which the separator is chosen
LONGEST_HEAD = 1 << 24  # characters
LONGEST_FIELD = 1 << 24  # characters; Python's own 131,072 are too few for a long text or a list of numbers

csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))


@dataclass(frozen=True)
class Encoded:
    """What reading a text once shows.

    unpaired: whether the number of its quotation marks is odd. head: its first `HEAD` lines that are not blank.
    """

    encoding: str
    unpaired: bool
    head: list[str]


def look_through(source: Source, shown: str, notes: list[str]) -> Encoded:
    """Find the encoding, in pieces.

    Raises: `UserError` for a content that is empty or no text.
    """
    with source() as file:
        start = file.read(3)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = {"utf-16": "UTF-16"}
    elif start == b"\xef\xbb\xbf":
        encodings = {"utf-8-sig": "UTF-8 with a byte-order mark"}
    else:
        encodings = {"utf-8": "", "cp1252": "Windows-1252 (it is not UTF-8)"}
    for encoding, remark in encodings.items():
        try:
            found = _decoded(source, encoding)
        except UnicodeDecodeError:
            continue
        if found is None:
            break
        if not found.head:
            raise UserError(f"{shown} is empty; give it rows.")
        if remark:
            notes.append(f"encoding: {remark}")
        return found
    raise UserError(f"{shown} is not text (binary data); save the table as CSV in UTF-8.")


def _decoded(source: Source, encoding: str) -> Encoded | None:
    """None where a control character shows that it is no text."""
    decoder = codecs.getincrementaldecoder(encoding)()
    marks, begin, head, blank = 0, "", None, True
    with source() as file:
        more = True
        while more:
            piece = file.read(PIECE)
            more = bool(piece)
            text = decoder.decode(piece, final=not more)
            if re.search("[\x00-\x08\x0e-\x1f\x7f]", text):
                return None
            marks += text.count('"')
            blank = blank and not text.strip()
            if head is None and not blank:
                begin += text
                lines = [line for line in begin.splitlines() if line.strip()]
                if not more or len(lines) > HEAD or len(begin) > LONGEST_HEAD:
                    head = lines[:HEAD]
    return Encoded(encoding, marks % 2 == 1, head or [])


def separator_of(head: list[str], notes: list[str], numbers_only: bool) -> str:
    """The one that cuts the first lines into the same number of fields, two or more; a comma where there is none.

    numbers_only: whether they may also be numbers with spaces between them.
    """
    for separator in SEPARATORS:
        try:
            widths = {len(row) for row in csv.reader(head, delimiter=separator)}
        except csv.Error:  # a field beyond all measure
            continue
        if len(widths) == 1 and widths.pop() > 1:
            break
    else:
        separator = max(reversed(SEPARATORS), key=head[0].count)
        if separator not in head[0]:
            if not numbers_only or len(head[0].split()) < 2 or not are_numbers(" ".join(head).split()):
                return ","
            notes.append("fields separated by spaces")
            return SPACES
    if separator != ",":
        notes.append(f"fields separated by {SEPARATORS[separator]}s")
    return separator


def are_numbers(cells: list[str]) -> bool:
    """Whether they are, each by itself."""
    return all(number_of(cell, likely_marks([cell])[0]) is not None for cell in cells)


def cells_of(
    source: Source, encoded: Encoded, separator: str, shown: str, notes: list[str]
) -> Iterator[tuple[int, list[str]]]:
    """The number of the line, from 1, and its cells; blank lines and rows of empty cells are left out."""
    empty = 0
    with source() as file, io.TextIOWrapper(file, encoding=encoded.encoding, newline="") as text:
        # a quotation mark that is never closed would swallow all rows behind it; others may stand within a cell
        lines = (" ".join(line.split()) for line in text) if separator == SPACES else text
        reader = csv.reader(lines, delimiter=separator, strict=encoded.unpaired)
        try:
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield reader.line_num, row
                elif row:
                    empty += 1
        except csv.Error as error:
            reason = "a quotation mark is not closed" if encoded.unpaired else error
            raise UserError(f"{shown}, line {reader.line_num}: {reason}; the file may be damaged.") from None
    if empty and (note := f"rows of empty cells left out: {empty}") not in notes:
        notes.append(note)
