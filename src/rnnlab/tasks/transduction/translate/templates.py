"""Dates by counted templates."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

PIECE = re.compile(r"\d+|[^\W\d_]+")
"""A number, or a word: letters without anything between them."""

ANY = ""
"""In the place of a locale: all of them."""

Template = tuple[int, ...]
"""Which piece of a text is the year, which the month, which the day."""


class _Read(NamedTuple):
    locale: str
    shape: str
    pieces: list[str]


def templates(sources: list[str], targets: list[str]) -> Callable[[str], str]:
    """A program that knows that a date has a year, a month and a day, and that a source begins with a locale; the rest
    it counts in training.

    Numbers and words are the pieces of a text; its shape is what stands between them, each number being so many digits
    long, up to three. A word of a locale means the month that it most often stands with. A template of a shape in a
    locale is which pieces say year, month and day; each training pair counts for all under which it would be right, and
    the one that most are for is followed. Two digits of a year mean the century that they most often meant.

    What training has not in a locale, a word or a shape, is taken as it is in all of them together; of a shape that it
    has nowhere, nothing is written.
    """
    pairs = [(_read(source), target.split("-")) for source, target in zip(sources, targets, strict=True)]
    months: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    centuries: dict[str, Counter[str]] = defaultdict(Counter)
    for read, (year, month, _) in pairs:
        centuries[year[2:]][year[:2]] += 1
        for piece in set(read.pieces):
            for locale in (read.locale, ANY):
                months[locale, piece][month] += 1
    century_of = {digits: found.most_common(1)[0][0] for digits, found in centuries.items()}
    month_of = {key: found.most_common(1)[0][0] for key, found in months.items() if not key[1].isdecimal()}

    def meanings(read: _Read, place: int) -> tuple[str, str, str]:
        """What a piece would say as a year, as a month and as a day."""
        piece = read.pieces[place]
        number = "".join(str(unicodedata.decimal(digit)) for digit in piece) if piece.isdecimal() else ""
        year = century_of.get(number, "") + number if len(number) == 2 else number
        if number:
            return year, number.zfill(2), number.zfill(2)
        return "", month_of.get((read.locale, piece)) or month_of.get((ANY, piece), ""), ""

    counts: dict[tuple[str, str], Counter[Template]] = defaultdict(Counter)
    for read, date in pairs:
        said = [meanings(read, place) for place in range(len(read.pieces))]
        fitting = [[place for place, each in enumerate(said) if each[part] == date[part]] for part in range(3)]
        for template in product(*fitting):
            if len(set(template)) == 3:
                for locale in (read.locale, ANY):
                    counts[locale, read.shape][template] += 1
    template_of = {key: found.most_common(1)[0][0] for key, found in counts.items()}

    def translate(source: str) -> str:
        read = _read(source)
        template = template_of.get((read.locale, read.shape)) or template_of.get((ANY, read.shape))
        if template is None:
            return ""
        return "-".join(meanings(read, place)[part] for part, place in enumerate(template))

    return translate


def _read(source: str) -> _Read:
    locale, _, text = source.partition(" ")
    shape = PIECE.sub(lambda match: "9" * min(len(match[0]), 3) if match[0].isdecimal() else "w", text)
    return _Read(locale, shape, PIECE.findall(text))
