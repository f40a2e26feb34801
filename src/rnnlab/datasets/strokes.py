"""Chinese characters as a hand writes them: every stroke as a curve, in the right order.

| source  | from                                    | characters                              | licence       |
|---------|-----------------------------------------|-----------------------------------------|---------------|
| kanjivg | package kanjivg, KanjiVG of Ulrich Apel | 6,413 of Unicode's first Chinese block  | CC BY-SA 3.0  |
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from rnnlab.datasets.dataset import Dataset, File, members
from rnnlab.errors import UserError

ARCHIVE = File(
    "kanjivg-20260714-py3-none-any.whl",
    ("5190e7ec4eb513dbe6865b2ed52c58287fc10ea514b9409e4cf66ce7db41644d",),
    distribution="kanjivg==20260714",
)

MEMBER = re.compile(r"kanji/([0-9a-f]{5})\.svg")
"""Named by the character's number; variants of a character (kanji/04e0e-Kaisho.svg) are left out."""

SVG = "{http://www.w3.org/2000/svg}"

CHINESE = range(0x4E00, 0xA000)

SIDE = 109
"""Of the square that a character is drawn in."""

RADICALS = {
    unicodedata.normalize("NFKC", chr(code)): unicodedata.name(chr(code)).removeprefix("KANGXI RADICAL ").lower()
    for code in range(0x2F00, 0x2FD6)
} | {"辶": "walk"}
"""The 214 radicals of the Kangxi dictionary (1716) and their names, as Unicode has them."""

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
TOKEN = re.compile(rf"[A-Za-z]|{NUMBER}")
BETWEEN = re.compile(r"[\s,]*")

NUMBERS_OF = {"M": 2, "C": 6, "S": 4}
"""Numbers that one use of a command of a path takes; a small letter: counted from where the pen is."""

CURVE_POINTS = 8
"""Straight pieces that a curve is taken for."""

Points = NDArray[np.float64]
"""(points, 2): from the left and from the top of the square."""


class Character(NamedTuple):
    """text: the character. radical: the name of the part under which dictionaries file it. strokes: their SVG paths."""

    text: str
    radical: str
    strokes: tuple[str, ...]


@dataclass(frozen=True)
class Kanji(Dataset):
    """See the module's table. Characters under no radical of `RADICALS` are left out."""

    worded: ClassVar[tuple[str, ...]] = ("source",)

    source: Literal["kanjivg"]

    def in_words(self, facts: Mapping[str, Any]) -> Sequence[str]:
        return ["KanjiVG"]

    def files(self) -> list[File]:
        return [ARCHIVE]

    def read(self, folder: Path) -> list[Character]:
        """In the order of Unicode.

        Raises: `UserError` for an archive that is cut off, a file in it that is no drawing of strokes.
        """
        self.fetched(folder)
        found = [read_drawing(name, content) for name, content in members(folder / ARCHIVE.name, _is_wanted)]
        if not found:
            raise UserError(f"{folder / ARCHIVE.name} holds no drawings kanji/<number>.svg: fetch it again.")
        return sorted(character for character in found if character.radical)


def _is_wanted(name: str) -> bool:
    match = MEMBER.fullmatch(name)
    return match is not None and int(match[1], 16) in CHINESE


def read_drawing(name: str, content: bytes) -> Character:
    """One file of KanjiVG; `radical` is "" where it names none, or one without a name.

    Raises: `UserError` for a file that is no UTF-8, is no XML, defines entities, or has no strokes.
    """
    match = MEMBER.fullmatch(name)
    assert match is not None
    try:
        text = content.decode()
        if "<!ENTITY" in text:  # a few of them can stand for gigabytes
            raise UserError(f"{name} of KanjiVG defines entities, which no drawing needs: do not use this file.")
        root = ElementTree.fromstring(text)  # noqa: S314 - what makes it dangerous was refused
    except (UnicodeDecodeError, ElementTree.ParseError) as error:
        raise UserError(f"{name} of KanjiVG is no XML in UTF-8 ({error}): fetch it again.") from None
    radicals: dict[str, str] = {}
    for group in root.iter(f"{SVG}g"):
        # the name space of these attributes has changed over the years, their names have not
        attributes = {key.rpartition("}")[2]: value for key, value in group.attrib.items()}
        if "radical" in attributes:
            element = attributes.get("original") or attributes.get("element", "")
            radicals.setdefault(attributes["radical"], element)
    strokes = [path.get("d", "") for path in root.iter(f"{SVG}path")]
    if not strokes:
        raise UserError(f"{name} of KanjiVG has no strokes: it is another format, or not whole. Fetch it again.")
    # where lexicographers disagree, the file names the one of the tradition and another
    radical = radicals.get("general") or radicals.get("tradit", "")
    return Character(chr(int(match[1], 16)), RADICALS.get(radical, ""), tuple(strokes))


def drawn(strokes: Sequence[str], spacing: float) -> list[Points]:
    """Each stroke, an SVG path of moves and cubic curves, as points at equal distances along it, both ends kept.

    A curve with the ends p₀, p₃ and the control points p₁, p₂ is
    (1 - t)³ p₀ + 3 (1 - t)² t p₁ + 3 (1 - t) t² p₂ + t³ p₃, 0 <= t <= 1. A stroke n times as long as `spacing`, n
    rounded and at least 1, has n + 1 points.

    Raises: `UserError` for another command than M, C, S, m, c and s, or numbers that are too few.
    """
    by_stroke = [_curves(path) for path in strokes]
    of_stroke = np.repeat(np.arange(len(strokes)), [len(curves) for curves in by_stroke])
    t = np.linspace(0, 1, CURVE_POINTS + 1)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3])
    pieces = weights @ np.array([curve for curves in by_stroke for curve in curves]).reshape(-1, 4, 2)
    lengths = np.linalg.norm(np.diff(pieces, axis=1, prepend=pieces[:, :1]), axis=2)
    # how far along all strokes a point lies; from each stroke to the next it is one more, so that no place is two
    along = np.cumsum(lengths).reshape(lengths.shape) + of_stroke[:, None]
    first = np.searchsorted(of_stroke, np.arange(len(strokes)))
    last = np.append(first[1:], len(of_stroke)) - 1
    begins, ends = along[first, 0], along[last, -1]
    steps = np.maximum(1, np.rint((ends - begins) / spacing)).astype(np.int64)
    places = [np.linspace(*part) for part in zip(begins, ends, steps + 1, strict=True)]
    points = [np.interp(np.concatenate(places), along.ravel(), pieces[..., axis].ravel()) for axis in range(2)]
    return np.split(np.column_stack(points), np.cumsum(steps + 1)[:-1])


def _curves(path: str) -> list[list[float]]:
    """The two ends and two control points of each curve, as eight numbers."""
    if BETWEEN.sub("", TOKEN.sub("", path)):
        raise _unreadable(path)
    tokens = TOKEN.findall(path)
    curves: list[list[float]] = []
    command, x, y = "", 0.0, 0.0
    place = 0
    while place < len(tokens):
        if tokens[place].isalpha():
            command, place = tokens[place], place + 1
        kind = command.upper()
        end = place + NUMBERS_OF.get(kind, 0)
        try:
            numbers = [float(token) for token in tokens[place:end]]
        except ValueError:
            raise _unreadable(path) from None
        if place == end or end > len(tokens):
            raise _unreadable(path)
        place = end
        if command.islower():
            numbers = [number + (y if odd % 2 else x) for odd, number in enumerate(numbers)]
        if kind == "S":  # its first control point is the mirror image of the second one of the curve before
            before = curves[-1] if curves and curves[-1][6:] == [x, y] else [x, y] * 4
            numbers = [2 * x - before[4], 2 * y - before[5], *numbers]
        if kind != "M":
            curves.append([x, y, *numbers])
        x, y = numbers[-2:]
    if not curves:
        raise _unreadable(path)
    return curves


def _unreadable(path: str) -> UserError:
    return UserError(f"the stroke {path[:60]!r} of KanjiVG is no path of moves and cubic curves: fetch the data again.")
