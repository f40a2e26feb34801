"""Texts and their labels, of any table: which columns hold them is found by usual names, or said.

found = read_labelled(Path("my.csv"), "my.csv", Wanted(texts=("text", "review")))
found.texts, found.labels, found.notes
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from rnnlab.data.splits import PART_NAMES
from rnnlab.data.tables.rows import Rows, plain_name
from rnnlab.data.tables.table import nearest
from rnnlab.data.tables.values import likely_marks, number_of
from rnnlab.errors import UserError

TEXTS = (
    "text", "review", "sentence", "comment", "content", "message", "tweet", "body", "document", "phrase", "utterance",
    "reviewtext", "reviewbody", "commenttext", "question", "description", "headline", "title",
)  # fmt: skip
LABELS = (
    "label", "class", "sentiment", "category", "target", "y", "polarity", "emotion", "topic", "intent", "labels",
    "classindex", "stars", "rating", "score", "overall",
)  # fmt: skip
SPLITS = ("split", "subset", "partition")

ORDERED = (
    ("neg", "pos"), ("negative", "positive"), ("negative", "neutral", "positive"), ("neg", "neu", "pos"), ("no", "yes"),
    ("false", "true"), ("bad", "good"), ("ham", "spam"),
)  # fmt: skip
"""Classes that have an order by what they mean, in lower case."""


@dataclass(frozen=True)
class Wanted:
    """The columns that are looked for.

    text, label, split: their names, in any case and spacing; None: found by the usual names, a split only if there is
    one. texts, labels: the usual names of the first two, the likeliest first.
    """

    text: str | None = None
    label: str | None = None
    split: str | None = None
    texts: Sequence[str] = TEXTS
    labels: Sequence[str] = LABELS


@dataclass(frozen=True)
class LabelledRows:
    """texts, labels: as the cells have them. parts: of each, a value of `PART_NAMES`; None where no column says so.
    places: of each, for messages. columns: the names of the two columns. notes: on how the file was read."""

    texts: list[str]
    labels: list[str]
    parts: list[str] | None
    places: list[str]
    columns: tuple[str, str]
    notes: list[str] = field(default_factory=list)


def read_labelled(path: Path, shown: str, wanted: Wanted) -> LabelledRows:
    """Raises: `UserError` for what `Rows` refuses, columns that are not there or not known, and an empty label."""
    rows = Rows.open(path, shown)
    if _lacks_header(rows, wanted):
        rows = Rows.open(path, shown, header=False)
        rows.notes.append("no header: the first line is taken for data")
        text, label = _by_length(rows)
        split = None
    else:
        text, label = _two_columns(rows, wanted)
        split = _split_column(rows, wanted.split)
        if split is not None:
            rows.notes.append(f"parts as column '{rows.columns[split]}' says")
    texts: list[str] = []
    labels: list[str] = []
    places: list[str] = []
    parts: list[str] = []
    for lines, cells in rows:
        for line, row in zip(lines, cells, strict=True):
            place = f"{shown}, {rows.counted} {line}"
            if not row[label]:
                raise UserError(
                    f"{place}: the label (column '{rows.columns[label]}') is empty; give it, or leave the row out."
                )
            texts.append(row[text])
            labels.append(row[label])
            places.append(place)
            if split is not None:
                part = PART_NAMES.get(row[split].casefold())
                if part is None:
                    raise UserError(
                        f"{place}, column '{rows.columns[split]}' (task.split): found '{row[split][:40]}', one of "
                        "train, validation and test is needed."
                    )
                parts.append(part)
    names = (rows.columns[text], rows.columns[label])
    usual = (wanted.text or wanted.texts[0], wanted.label or wanted.labels[0])
    if tuple(map(plain_name, names)) != tuple(map(plain_name, usual)):
        rows.notes.append(f"columns: '{names[0]}' taken for the text, '{names[1]}' for the label")
    return LabelledRows(texts, labels, parts if split is not None else None, places, names, rows.notes)


def find_column(columns: Sequence[str], names: Iterable[str]) -> int | None:
    """The first column of the first of these names that there is, in any case and spacing."""
    plain = [plain_name(column) for column in columns]
    for name in names:
        for known, wanted in ((columns, name), (plain, plain_name(name))):
            if wanted in known:
                return known.index(wanted)
    return None


def _lacks_header(rows: Rows, wanted: Wanted) -> bool:
    """Whether two columns without usual names come with a first line that is like the others: one of its cells is a
    label that comes again."""
    usual = (*wanted.texts, *wanted.labels)
    asked = any(name is not None for name in (wanted.text, wanted.label, wanted.split))
    if asked or rows.typed or len(rows.columns) != 2 or find_column(rows.columns, usual) is not None:
        return False
    return any(name in row for _, cells in islice(rows, 1) for row in cells for name in rows.columns)


def _two_columns(rows: Rows, wanted: Wanted) -> tuple[int, int]:
    """Where the text and the label are."""
    text = _named(rows, wanted.text, wanted.texts, "text")
    label = _named(rows, wanted.label, [name for name in wanted.labels if name != wanted.text], "label")
    if text is not None and text == label:
        raise UserError(f"task.label must be another column than task.text, got {rows.columns[text]}.")
    if len(rows.columns) == 2:
        if text is None and label is None:
            return _by_length(rows)
        text = 1 - label if text is None and label is not None else text
        label = 1 - text if label is None and text is not None else label
    if text is None or label is None:
        key = "text" if text is None else "label"
        raise UserError(
            f"{rows.shown} has no column that is known to hold the {key}: its columns are {_listed(rows)}. Name it, as "
            f"task.{key}=NAME."
        )
    return text, label


def _listed(rows: Rows) -> str:
    return ", ".join(f"'{column}'" for column in rows.columns)


def _named(rows: Rows, name: str | None, usual: Sequence[str], key: str) -> int | None:
    found = find_column(rows.columns, usual if name is None else [name])
    if found is None and name is not None:
        close = nearest(name, rows.columns)
        raise UserError(f"{rows.shown} has no column '{name}' (task.{key}); it has {_listed(rows)}{close}")
    return found


def _by_length(rows: Rows) -> tuple[int, int]:
    """Of two columns without known names, the one with the longer cells holds the texts."""
    lengths = [0, 0]
    for _, cells in islice(rows, 1):
        for row in cells:
            lengths = [length + len(cell) for length, cell in zip(lengths, row, strict=True)]
    return (0, 1) if lengths[0] >= lengths[1] else (1, 0)


def _split_column(rows: Rows, name: str | None) -> int | None:
    """The one that says which part each row is of; one that nobody asked for counts only where all its cells do."""
    found = _named(rows, name, SPLITS, "split")
    if found is None or name is not None:
        return found
    known = all(row[found].casefold() in PART_NAMES for _, cells in rows for row in cells)
    return found if known else None


def classes_of(labels: Sequence[str], given: Sequence[str], places: Sequence[str], notes: list[str]) -> list[str]:
    """The classes in their order: as `given`; else as `ORDERED`, by number, or by the alphabet.

    Labels that differ in case alone are one class, by the spelling that is the most frequent.

    Raises: `UserError` where a label is not among those given, fewer than two are met, or hardly any comes twice.
    """
    counts = Counter(labels)
    spelling = _spelling(counts)
    if given:
        known = {label.casefold() for label in given}
        for label, place in zip(labels, places, strict=True):
            if label.casefold() not in known:
                raise UserError(f"{place}: the label '{label}' is none of {', '.join(given)} (task.classes).")
        met = {label.casefold() for label in counts}
        for label in given:
            if label.casefold() not in met:
                raise UserError(f"No text has the label '{label}' (task.classes).")
        return list(given)
    names = list(dict.fromkeys(spelling[label.casefold()] for label in counts))
    if len(names) < 2:
        raise UserError(f"{places[0].rsplit(', ', 1)[0]} has one label only, '{names[0]}': two classes are needed.")
    if len(names) > max(2, len(labels) // 2):
        raise UserError(
            f"{places[0].rsplit(', ', 1)[0]} has {len(names)} different labels in {len(labels)} rows, such as "
            f"'{names[0][:40]}': these are no classes. Name the column of the labels, as task.label=NAME."
        )
    if len(names) < len(counts):
        other = [label for label in counts if spelling[label.casefold()] != label]
        notes.append(f"labels that differ in case alone are one class: {', '.join(other[:5])}")
    return in_order(names)


def numbers_of(labels: Sequence[str], places: Sequence[str]) -> list[float]:
    """Raises: `UserError` for a label that is no number, or an infinite one, and where all are the same."""
    mark = likely_marks(list(labels))[0]
    found = []
    for label, place in zip(labels, places, strict=True):
        number = number_of(label, mark)
        if number is None or math.isinf(number):
            raise UserError(f"{place}: found the label '{label[:40]}' where a number belongs (task.kind=regression).")
        found.append(number)
    if len(set(found)) < 2:
        raise UserError(f"{places[0].rsplit(', ', 1)[0]}: all labels are {labels[0]}; there is nothing to learn.")
    return found


def _spelling(counts: Counter[str]) -> dict[str, str]:
    """The most frequent spelling of each label, by the label in lower case."""
    return {label.casefold(): label for label, _ in reversed(counts.most_common())}


def in_order(names: Sequence[str]) -> list[str]:
    """Classes by what they mean, by number, or by the alphabet."""
    plain = {name.casefold(): name for name in names}
    for ordered in ORDERED:
        if set(ordered) == plain.keys():
            return [plain[name] for name in ordered]
    numbers = {name: number_of(name, likely_marks([name])[0]) for name in names}
    if all(number is not None for number in numbers.values()):
        return sorted(names, key=lambda name: (numbers[name], name))
    return sorted(names, key=lambda name: (name.casefold(), name))
