"""Figures as files: characters that matplotlib's own font lacks, and their size on a page."""

import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from PIL import Image

from rnnlab.results import figures

CHINESE = "中"


@pytest.fixture(autouse=True)
def no_fonts_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Only those that matplotlib brings."""
    monkeypatch.setattr(fontManager, "ttflist", [font for font in fontManager.ttflist if "mpl-data" in font.fname])
    monkeypatch.setattr(figures, "_named", set())
    figures._family_of.cache_clear()
    yield
    figures._family_of.cache_clear()


def font_of(character: str, path: Path) -> None:
    """Make a font of one full square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 900), (900, 900), (900, 0)):
        pen.lineTo(point)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([".notdef", "square"])
    builder.setupCharacterMap({ord(character): "square"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "square": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "square": (1000, 0)})
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "Square", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    fontManager.addfont(str(path))


def figure() -> Figure:
    """With such texts in all places that make theirs in another way."""
    drawn = Figure(figsize=(4, 3))
    axes = drawn.subplots()
    axes.bar([f"{CHINESE}x", "Ω"], [1, 2])
    axes.set_yticks([1, 2], [CHINESE, "1"])
    axes.set_title(f"gru {CHINESE}{CHINESE} ع")
    return drawn


def texts(drawn: Figure) -> list[str]:
    (axes,) = drawn.axes
    labels = [*axes.get_xticklabels(), *axes.get_yticklabels()]
    return [axes.get_title(), *(label.get_text() for label in labels)]


def test_a_character_of_no_font_is_its_code_and_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING, "rnnlab"):
        warnings.simplefilter("error")
        for _ in range(2):
            drawn = figure()
            figures.png(drawn)
            assert texts(drawn) == ["gru U+4E2D U+4E2D ع", "U+4E2D x", "Ω", "U+4E2D", "1"]
    (record,) = caplog.records
    assert "no font of this machine has 中: figures have the codes" in record.getMessage()
    assert not figures.can_show(CHINESE, "monospace")
    assert figures.can_show("Ω", "monospace")


def test_a_font_that_cannot_be_read_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that was removed since matplotlib listed the fonts, and one that is broken."""
    for name in ("gone", "broken"):
        font_of(CHINESE, tmp_path / f"{name}.ttf")
    (tmp_path / "gone.ttf").unlink()
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    drawn = figure()
    with caplog.at_level(logging.WARNING, "rnnlab"):
        figures.png(drawn)
    assert "U+4E2D x" in texts(drawn)


def test_a_font_that_has_it_takes_the_place_of_ours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    font_of(CHINESE, tmp_path / "square.ttf")
    drawn = Figure(figsize=(2, 2))
    drawn.text(0.5, 0.5, CHINESE, fontsize=60, ha="center", va="center")
    path = tmp_path / "drawn.png"
    figures.save(drawn, path)
    assert not caplog.records
    assert [text.get_text() for text in drawn.texts] == [CHINESE]
    with Image.open(path) as image:
        dark = sum(image.convert("L").histogram()[:50])
    assert dark > 0.8 * (0.9 * 60 / 72 * 100) ** 2, "a full square, not a frame"
    assert figures.can_show(CHINESE, "monospace")


def test_a_small_picture_is_small_and_its_texts_are_black(tmp_path: Path) -> None:
    drawn = Figure(figsize=(8, 4))
    axes = drawn.subplots()
    axes.imshow([[x * y for x in range(30)] for y in range(30)], cmap="YlOrRd", interpolation="bilinear")
    axes.set_title("many colours")
    path = tmp_path / "drawn.png"
    figures.save(drawn, path)
    content = figures.small(path)
    assert len(content) < path.stat().st_size / 2
    with Image.open(path) as whole, Image.open(io.BytesIO(content)) as few:
        assert few.size == whole.size
        colours = few.convert("RGB").getcolors(1000)
    assert colours is not None
    assert len(colours) <= figures.COLOURS
    assert {(0, 0, 0), (255, 255, 255)} <= {colour for _, colour in colours}
