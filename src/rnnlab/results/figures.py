"""Figures as files: the same figure is the same file, and no text of it is a row of empty boxes.

matplotlib's own font has Latin, Greek, Cyrillic, Arabic and Hebrew. A character that it lacks is drawn by whatever font
of this machine has it; one that no font has is written as its code, U+4E2D, and named in one line of the output.
"""

import io
import logging
import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter
from PIL import Image

log = logging.getLogger("rnnlab")

DPI = 100

COLOURS = 48
"""Of a small figure."""

MISSING = re.compile(r"Glyph (\d+) \(.*\) missing from font")
"""The warning by which matplotlib says that it drew a box."""

UNSUITABLE = re.compile("Last Resort|Colou?r")
"""Fonts that have boxes, or pictures that matplotlib cannot draw."""

NO_FONT = (
    "no font of this machine has %s: figures have the codes instead. Install one, as Debian's fonts-wqy-microhei "
    "(Chinese, Japanese, Korean) or fonts-symbola (signs, emoji)."
)

_named: set[str] = set()


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    path.write_bytes(png(figure))


def png(figure: Figure) -> bytes:
    """The content of the file that `save` writes."""
    content, missing = _drawn(figure)
    if missing:
        _add_fonts(figure, missing)
        content, missing = _drawn(figure)
    if missing:
        _write_codes(figure, missing)
        content, _ = _drawn(figure)
    return content


def small(path: Path) -> bytes:
    """A figure as a page that needs no other file has it: WebP of few colours, a sixth of the PNG."""
    with Image.open(path) as whole:
        few = whole.convert("RGB").quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette = few.getpalette() or []
    darkest = min(range(0, len(palette), 3), key=lambda at: sum(palette[at : at + 3]))
    palette[darkest : darkest + 3] = [0, 0, 0]  # texts are black, not the mean of what is nearly so
    few.putpalette(palette)
    content = io.BytesIO()
    few.convert("RGB").save(content, "WEBP", lossless=True, quality=50, method=3)
    return content.getvalue()


def can_show(character: str, family: str) -> bool:
    """Whether the font of this family has a character, or any other that takes its place."""
    return ord(character) in _characters(_file_of(family)) or _family_of(character) is not None


def _drawn(figure: Figure) -> tuple[bytes, list[str]]:
    """The file, and the characters of which it has boxes."""
    content = io.BytesIO()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # without its date and version the same figure is the same file
        figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    missing = []
    for warning in caught:
        if found := MISSING.match(str(warning.message)):
            missing.append(chr(int(found[1])))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return content.getvalue(), list(dict.fromkeys(missing))


def _add_fonts(figure: Figure, missing: list[str]) -> None:
    """Let the texts of a figure that was drawn take other fonts for what theirs lack."""
    families = list(dict.fromkeys(family for each in missing if (family := _family_of(each)) is not None))
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_fontfamily([*text.get_fontfamily(), *families])


def _write_codes(figure: Figure, missing: list[str]) -> None:
    if new := sorted({*missing} - _named):
        _named.update(new)
        log.warning(NO_FONT, " ".join(new))

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for label in axis.get_ticklabels():
                if _written(label) != label.get_text():
                    _write_ticks(axis, label)
                    break
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(_written(text))


def _write_ticks(axis: Axis, label: Text) -> None:
    """Whatever formatter an axis has makes its labels at every drawing. label: with their fonts."""
    formatter: Any = axis.get_major_formatter()
    axis.set_major_formatter(FuncFormatter(lambda value, place: _written(label, formatter(value, place))))


def _written(text: Text, content: str | None = None) -> str:
    """A text, or other content in its fonts, with codes for what these lack."""
    content = text.get_text() if content is None else content
    known = frozenset[int]().union(*(_characters(_file_of(family)) for family in text.get_fontfamily()))
    lacking = {each for each in content if each.isprintable() and ord(each) not in known}
    if not lacking:
        return content
    codes = "".join(f" U+{ord(each):04X} " if each in lacking else each for each in content)
    return codes.replace("  ", " ").strip()


@cache
def _family_of(character: str) -> str | None:
    """The first font, by name, that has a character, upright and regular faces before others; None: there is none."""
    found = [
        (entry.style != "normal", str(entry.weight) not in ("400", "normal", "regular"), entry.name)
        for entry in fontManager.ttflist
        if not UNSUITABLE.search(entry.name) and ord(character) in _characters(entry.fname)
    ]
    return min(found)[2] if found else None


@cache
def _file_of(family: str) -> str:
    return str(findfont(FontProperties(family=[family])))


@cache
def _characters(font: str) -> frozenset[int]:
    """None of a file that is gone, which matplotlib's list of fonts may still name, or broken."""
    try:
        return frozenset(FT2Font(font).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
