"""Drawings of characters: reading them safely, following their curves, and telling their radicals apart."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlab.datasets.strokes import ARCHIVE, RADICALS, SIDE, Character, Kanji, drawn, read_drawing
from rnnlab.errors import UserError
from rnnlab.results.files import write_json
from rnnlab.tasks.classification.handwriting.baselines import (
    DIRECTIONS,
    PARTS,
    HandwritingBaselines,
    direction_features,
    path_points,
)
from rnnlab.tasks.classification.handwriting.data import HandwritingData, pen_moves
from rnnlab.tasks.classification.handwriting.judging import HandwritingJudging
from rnnlab.tasks.task import Split

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.0//EN" "http://www.w3.org/TR/2001/REC-SVG-20010904/DTD/svg10.dtd" [
<!ATTLIST g xmlns:kvg CDATA #FIXED "http://kanjivg.tagaini.net" kvg:element CDATA #IMPLIED >
]>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:kvg="https://kanjivg.tagaini.net/">"""

numbers = st.floats(0, SIDE).map(lambda number: round(number, 2))
points = st.tuples(numbers, numbers)


def svg(*radicals: str, strokes: tuple[str, ...] = ("M1,2c0,1,0,2,3,4",), head: str = HEAD) -> bytes:
    groups = "".join(f"<g {radical}/>" for radical in radicals)
    paths = "".join(f'<path d="{stroke}"/>' for stroke in strokes)
    return f"{head}<g>{groups}{paths}</g></svg>".encode()


def wheel(folder: Path, members: dict[str, bytes]) -> Kanji:
    """What a fetch would leave, with these drawings in it."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / ARCHIVE.name, "w") as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    write_json(folder / "source.json", {"source": "kanjivg", "files": {}})
    return Kanji("kanjivg", "kanjivg")


def bezier(ends: np.ndarray, t: float) -> np.ndarray:
    """De Casteljau's construction, another way to the same curve."""
    while len(ends) > 1:
        ends = (1 - t) * ends[:-1] + t * ends[1:]
    return ends[0]


def text_of(*numbers: float) -> str:
    return ",".join(f"{number:.2f}" for number in numbers)


@settings(max_examples=50, deadline=None)
@given(points, points, points, points, st.floats(2, 40))
def test_points_lie_on_the_curve_at_equal_distances(p0: tuple, p1: tuple, p2: tuple, p3: tuple, spacing: float) -> None:
    (found,) = drawn([f"M{text_of(*p0)}C{text_of(*p1, *p2, *p3)}"], spacing)
    curve = np.array([bezier(np.array([p0, p1, p2, p3]), t) for t in np.linspace(0, 1, 400)])
    assert np.allclose(found[[0, -1]], [p0, p3], atol=1e-9)
    distances = np.linalg.norm(found[:, None] - curve, axis=2).min(axis=1)
    length = np.linalg.norm(np.diff(curve, axis=0), axis=1).sum()
    assert distances.max() <= 0.05 * max(length, 1)
    # as the pieces of the curve are straight, its length is a little less than the true one
    assert abs(len(found) - 1 - max(1, length / spacing)) <= 0.5 + 0.06 * length / spacing


@settings(max_examples=50, deadline=None)
@given(st.lists(points, min_size=7, max_size=7))
def test_all_ways_to_say_a_curve_are_the_same(ends: list[tuple[float, float]]) -> None:
    p = np.array(ends)
    p[4] = 2 * p[3] - p[2]  # the first control point of the second curve mirrors the last one of the first
    absolute = f"M{text_of(*p[0])}C{text_of(*p[1:4].ravel())}C{text_of(*p[4:].ravel())}"
    smooth = f"M {text_of(*p[0])} C {text_of(*p[1:4].ravel())} S {text_of(*p[5:].ravel())}"
    again = f"M{text_of(*p[0])}C{text_of(*p[1:].ravel())}"
    first, second = p[1:4] - p[0], p[4:] - p[3]
    relative = f"m{text_of(*p[0])}c{text_of(*first.ravel())}c{text_of(*second.ravel())}"
    relative_smooth = f"M{text_of(*p[0])}c{text_of(*first.ravel())}s{text_of(*second[1:].ravel())}"
    (expected,) = drawn([absolute], 5)
    for path in (smooth, again, relative, relative_smooth):
        (found,) = drawn([path], 5)
        assert np.allclose(found, expected, atol=0.05), path


def test_numbers_may_touch_and_have_exponents() -> None:
    (plain,) = drawn(["M10,20 C 1,2 3,4 5,-6"], 3)
    (touching,) = drawn(["M1e1,20C1,2,3,4,5-6"], 3)
    assert np.allclose(plain, touching)


def test_a_smooth_curve_after_a_move_starts_where_the_pen_is() -> None:
    (found,) = drawn(["M10,20S15,25,30,40"], 3)
    (expected,) = drawn(["M10,20C10,20,15,25,30,40"], 3)
    assert np.allclose(found, expected)


def test_strokes_side_by_side_are_those_of_each_alone() -> None:
    strokes = ["M1,2c0,30,0,20,30,40", "M50,50C50,50,50,50,50,50", "M9,8C20,30,40,50,60,70S1,2,3,4"]
    together = drawn(strokes, 4)
    assert [len(stroke) for stroke in together] == [len(drawn([stroke], 4)[0]) for stroke in strokes]
    for stroke, found in zip(strokes, together, strict=True):
        assert np.allclose(drawn([stroke], 4)[0], found, atol=1e-9)


@pytest.mark.parametrize(
    "path",
    ["", "M1,2", "M1,2L3,4", "M1,2C3,4,5,6", "M1,2c3,4,x,6,7,8", "M1,2 C 1,2 3,4 5 M", "1,2,3,4", "M1;2c1,2,3,4,5,6"],
)
def test_another_path_is_refused(path: str) -> None:
    with pytest.raises(UserError, match="no path of moves and cubic curves"):
        drawn([path], 5)


def test_a_drawing_is_read_whatever_the_name_space_of_its_attributes() -> None:
    strokes = ("M1,2c0,1,0,2,3,4", "M3,4c0,1,0,2,3,4")
    for radical in (
        'kvg:element="木" kvg:radical="general"',
        'kvg:element="㐅" kvg:original="木" kvg:radical="general"',
    ):
        assert read_drawing("kanji/06728.svg", svg(radical, strokes=strokes)) == Character("木", "tree", strokes)
    no_dtd = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:kvg="urn:other">'
    found = read_drawing("kanji/06728.svg", svg('kvg:element="木" kvg:radical="general"', head=no_dtd))
    assert found.radical == "tree"


def test_the_radical_of_tradition_stands_where_lexicographers_disagree() -> None:
    both = ('kvg:element="口" kvg:radical="nelson"', 'kvg:element="木" kvg:radical="tradit"')
    assert read_drawing("kanji/06728.svg", svg(*both)).radical == "tree"
    assert read_drawing("kanji/06728.svg", svg(both[0])).radical == ""
    assert read_drawing("kanji/06728.svg", svg('kvg:element="龘" kvg:radical="general"')).radical == ""


def test_there_are_214_radicals_and_a_form_of_one() -> None:
    assert len(RADICALS) == 215
    assert (RADICALS["水"], RADICALS["人"], RADICALS["辶"]) == ("water", "man", "walk")


def test_entities_are_refused_before_they_can_grow() -> None:
    lines = "".join(f'<!ENTITY e{number + 1} "{f"&e{number};" * 10}">' for number in range(12))
    bomb = f'<!DOCTYPE svg [<!ENTITY e0 "ha">{lines}]><svg xmlns="http://www.w3.org/2000/svg"><g>&e12;</g></svg>'
    for encoding in ("utf-8", "utf-16"):
        with pytest.raises(UserError, match=r"kanji/06728\.svg of KanjiVG (defines entities|is no XML in UTF-8)"):
            read_drawing("kanji/06728.svg", bomb.encode(encoding))


def test_nothing_outside_the_file_is_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.dtd"
    secret.write_text('<!ENTITY secret "found">')
    content = svg().replace(b"http://www.w3.org/TR/2001/REC-SVG-20010904/DTD/svg10.dtd", secret.as_uri().encode())
    assert read_drawing("kanji/06728.svg", content).strokes == ("M1,2c0,1,0,2,3,4",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (svg()[:-9], "is no XML in UTF-8"),
        ("<svg>木</svg>".encode("utf-16"), "is no XML in UTF-8"),
        (b"", "is no XML in UTF-8"),
        (svg(strokes=()), "has no strokes"),
    ],
    ids=["cut off", "UTF-16", "empty", "no strokes"],
)
def test_what_is_no_drawing_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(UserError, match=rf"kanji/06728\.svg of KanjiVG {message}"):
        wheel(tmp_path, {"kanji/06728.svg": content}).read(tmp_path)


def test_variants_and_other_scripts_are_left_out(tmp_path: Path) -> None:
    tree = svg('kvg:element="木" kvg:radical="general"')
    names = ["kanji/06728.svg", "kanji/06728-Kaisho.svg", "kanji/03042.svg", "kanji/06797.svg", "other/04e00.svg"]
    dataset = wheel(tmp_path, dict.fromkeys(names, tree))
    assert [character.text for character in dataset.read(tmp_path)] == ["木", "林"]


strokes_of_points = st.lists(st.lists(points, min_size=2, max_size=5).map(np.array), min_size=1, max_size=5)


@given(strokes_of_points)
def test_the_moves_of_the_pen_lead_through_all_points(strokes: list[np.ndarray]) -> None:
    moves = pen_moves(strokes, 8.0)
    places = SIDE / 2 + 8 * np.cumsum(moves[:, :2], axis=0)
    assert np.allclose(places, np.concatenate(strokes), atol=1e-3)
    assert moves[0, 2] == 0
    assert (moves[:, 2] == 0).sum() == len(strokes)
    begins = np.flatnonzero(moves[:, 2] == 0)
    assert np.diff([*begins, len(moves)]).tolist() == [len(stroke) for stroke in strokes]


def test_directions_are_counted_where_they_are_drawn() -> None:
    part = SIDE / PARTS
    right = np.array([[part / 2 - 4, part / 2], [part / 2 + 4, part / 2]])
    down = np.array([[SIDE - part / 2, SIDE - part / 2 - 8], [SIDE - part / 2, SIDE - part / 2 + 8]])
    above, drawn_there = np.split(direction_features(pen_moves([right, down], 8.0), 8.0) ** 2, 2)
    expected = np.zeros((PARTS, PARTS, DIRECTIONS))
    expected[0, 0, 0], expected[-1, -1, DIRECTIONS // 4] = 1, 2
    assert np.allclose(drawn_there.reshape(expected.shape), expected, atol=1e-5)
    # from the middle of the square to the first stroke, and on to the second
    ways = [right[0] - SIDE / 2, down[0] - right[1]]
    assert above.sum() == pytest.approx(sum(map(np.linalg.norm, ways)) / 8, rel=1e-5)


def test_a_move_on_a_border_is_shared_out() -> None:
    """Half way between two parts and between two directions."""
    middle, turn = 2 * SIDE / PARTS, np.pi / DIRECTIONS
    half = 4 * np.array([np.cos(turn), np.sin(turn)])
    place = np.array([middle, SIDE / PARTS / 2])
    found = direction_features(pen_moves([np.array([place - half, place + half])], 8.0), 8.0) ** 2
    shares = found.reshape(2, PARTS, PARTS, DIRECTIONS)[1, 0, 1:3, :2]
    assert shares == pytest.approx(np.full((2, 2), 0.25), abs=1e-5)


def test_a_path_is_as_many_points_whatever_its_length() -> None:
    line = np.array([[10.0, 20.0], [50.0, 20.0]])
    found = path_points(pen_moves([line], 1.0)) + SIDE / 2
    assert np.allclose(found, np.concatenate([np.linspace(10, 50, 64), np.full(64, 20)]), atol=1e-4)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it comes."""
    folder = tmp_path_factory.mktemp("kanjivg")
    Kanji("kanjivg", "kanjivg").fetch(folder, mirror="")
    return folder


@pytest.fixture(scope="module")
def task(real: Path, tmp_path_factory: pytest.TempPathFactory) -> HandwritingData:
    folder = tmp_path_factory.mktemp("processed")
    found = HandwritingData("handwriting", classes=6, spacing=12)
    meta = found.prepare(Kanji("kanjivg", "kanjivg"), real, folder)
    found.open(folder, {**meta, "digest": ""}, seed=0)
    return found


def test_the_characters_of_the_package(real: Path, task: HandwritingData) -> None:
    characters = {character.text: character for character in Kanji("kanjivg", "kanjivg").read(real)}
    assert len(characters) > 6300
    named = re.search(r"for (.), the (\w+)", HandwritingData.__doc__ or "")
    assert named is not None
    assert characters[named[1]].radical == named[2]
    assert len(characters[named[1]].strokes) == 6
    assert task.classes == ["tree", "water", "grass", "hand", "mouth", "man"]


def test_each_character_is_in_one_split(task: HandwritingData, real: Path) -> None:
    counts = [len(task.labels[split]) for split in ("train", "validation", "test")]
    kept = [c for c in Kanji("kanjivg", "kanjivg").read(real) if c.radical in task.classes]
    assert sum(counts) == len(kept)
    seen = {split: {moves.tobytes() for moves in task.characters(split)} for split in ("train", "validation", "test")}
    assert not seen["train"] & (seen["validation"] | seen["test"])
    assert not seen["validation"] & seen["test"]
    radical_of = {c.text: c.radical for c in kept}
    strokes_of = {c.text: len(c.strokes) for c in kept}
    parts: tuple[tuple[Split, int], ...] = (("validation", counts[1]), ("test", counts[2]))
    for split, count in parts:
        table = HandwritingJudging(task).table(np.full((count, 6), 1 / 6), split)
        assert [radical_of[text] for text in table["character"]] == [task.classes[label] for label in table["label"]]
        assert [strokes_of[text] for text in table["character"]] == table["strokes"].tolist()


def test_a_batch_is_made_of_moves_of_one_unit(task: HandwritingData) -> None:
    batch = next(iter(task.loader("validation")))
    assert batch.lengths is not None
    on_paper = batch.inputs[..., 2] == 1
    lengths = batch.inputs[..., :2].norm(dim=-1)[on_paper]
    assert 0.9 < float(lengths.median()) < 1.1
    assert float(lengths.max()) < 1.55, "a stroke of less than one and a half units is one piece"
    for moves, length in zip(batch.inputs, batch.lengths, strict=True):
        assert not moves[length:].any()
        assert moves[0, 2] == 0


def test_baselines_know_more_than_the_frequencies(task: HandwritingData) -> None:
    judging = HandwritingJudging(task)
    fitted = HandwritingBaselines(judging).fitted()
    right = {name: judging.judge(predict("test"))["accuracy"] for name, predict in fitted.items()}
    assert min(right["svm"], right["linear"]) > right["nearest"] > 2 * right["frequency"]
