"""Tables with a row for each sequence: a column for each timestep, or a list in each cell."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.data.sequences.columns import (
    Lists,
    Numbers,
    Reader,
    Sample,
    Texts,
    mark_of_timesteps,
    number_of_each,
    read_columns,
    readers_of_channels,
    refuse_empty,
    text_of_each,
)
from rnnlab.data.sequences.long_table import times_of
from rnnlab.data.sequences.roles import Roles, missing_label, part_named
from rnnlab.data.sequences.sequences import Reading, Sequences
from rnnlab.data.tables.values import number_of
from rnnlab.errors import UserError

STATIC_HINT = "one that says something of the sequence: task.static=[NAME]"


def read_wide(table: Sample, roles: Roles, how: Reading) -> Sequences:
    """A column for each timestep. Empty cells at the end of a row are none of its sequence.

    Raises: `UserError` for a row without a number or a label, and for an id that comes twice.
    """
    if how.kind == "tagging" and how.labelled:
        raise UserError(f"{table.shown}: a label for each timestep (task.kind=tagging) needs a row for each timestep.")
    if roles.label is None:
        roles.label = _label_of_wide(table, roles, how)
    channels = [place for place in roles.channels if place != roles.label]
    if how.time is None and roles.time is not None:
        if not how.channels:
            channels = sorted([*channels, roles.time])  # a column that is called t, among others
        roles.time = None
    if not how.channels:
        channels = _called_alike(table, channels)
    numeric = [place for place in channels if table.is_numeric(place)]
    mark = mark_of_timesteps(table, numeric)
    timesteps = {place: Numbers(table, place, mark) for place in numeric}
    _note_left_out(table, [place for place in channels if place not in timesteps], "without numbers")
    if not timesteps:
        raise UserError(f"{table.shown} has no column of numbers beside its label; give a column for each timestep.")
    rows = _Rows(table, roles, how, timesteps)
    names, layout = _channels_of_wide([table.columns[place] for place in timesteps], table)
    matrix = np.stack([reader.all() for reader in timesteps.values()], axis=1)[:, layout]
    values = []
    for row, place in zip(matrix, rows.places, strict=True):
        known = np.flatnonzero(~np.isnan(row).all(axis=1))
        if not len(known):
            raise UserError(f"{place}: all values are missing; delete the row.")
        values.append(row[: known[-1] + 1])
    return rows.sequences(values, names, {}, rows.labels(how))


def read_nested(table: Sample, roles: Roles, how: Reading) -> Sequences:
    """A list in each cell.

    Raises: `UserError` for a cell that is no list, and for rows whose lists are not as long as each other.
    """
    lists = [place for place in roles.channels if table.holds_lists(place)]
    if not lists:
        raise UserError(f"{table.shown} has no column of lists such as [0.1, 0.2, 0.3], as task.form=nested needs.")
    if how.time is None:
        roles.time = None
    if how.labelled and roles.label is None:
        others = [place for place in roles.channels if place not in lists]
        if len(others) != 1 or how.kind == "tagging":
            missing_label(table, how)
        roles.label = others[0]
        table.note(f"column '{table.columns[others[0]]}' taken for the label: there is no other without lists")
    channels = roles.channels if how.channels else lists
    _note_left_out(table, [place for place in roles.channels if place not in (*channels, roles.label)], "without lists")
    readers = {place: Lists(table, place) for place in channels}
    tags = Lists(table, roles.label) if how.labelled and how.kind == "tagging" and roles.label is not None else None
    rows = _Rows(table, roles, how, {**readers, **({} if tags is None else {roles.label or 0: tags})}, tags is not None)
    names = [table.columns[place] for place in readers]
    values = []
    for row, place in enumerate(rows.places):
        own = [reader.rows[row] for reader in readers.values()]
        if len({len(each) for each in own}) > 1:
            counted = ", ".join(f"'{name}' has {len(each)}" for name, each in zip(names, own, strict=True))
            raise UserError(f"{place}: its channels have unlike numbers of timesteps: {counted}.")
        values.append(np.stack(own, axis=1))
    categories = {index: reader.texts for index, reader in enumerate(readers.values()) if reader.texts}
    labels = rows.labels(how) if tags is None else _tags(tags, values, rows.places)
    return rows.sequences(values, names, categories, labels)


def _tags(tags: Lists, values: list[NDArray[np.float64]], places: list[str]) -> list[list[str]]:
    texts, labels = tags.texts, []
    for own, steps, place in zip(tags.rows, values, places, strict=True):
        if len(own) != len(steps) or np.isnan(own).any():
            raise UserError(
                f"{place}: {len(own)} labels for {len(steps)} timesteps; one for each is needed, none null."
            )
        labels.append([texts[int(code)] if texts else f"{code:g}" for code in own])
    return labels


class _Rows:
    """What a row says beside its values: id, label, group, part, and what does not change within the sequence."""

    def __init__(
        self, table: Sample, roles: Roles, how: Reading, channels: dict[int, Any], label_is_read: bool = False
    ) -> None:
        self.table, self.roles = table, roles
        self.static = readers_of_channels(table, roles.static, True) if roles.static else {}
        named = {"id": roles.id, "time": roles.time, "group": roles.group, "split": roles.split}
        self.texts = {role: Texts() for role, place in named.items() if place is not None}
        self.label: Numbers | Texts | None = None
        if how.labelled and roles.label is not None and not label_is_read:
            self.label = Numbers(table, roles.label) if how.kind == "regression" else Texts()
        readers: dict[int, Reader] = {**channels, **self.static}
        readers |= {getattr(roles, role): reader for role, reader in self.texts.items()}
        if self.label is not None:
            readers[roles.label or 0] = self.label
        self.lines = read_columns(table, readers)
        self.order = np.arange(len(self.lines))
        self.spans = [(row, row + 1) for row in range(len(self.lines))]
        self.places = self._places()

    def _places(self) -> list[str]:
        """What each row is called.

        Raises: `UserError` for an id that comes twice.
        """
        if "id" not in self.texts:
            return [self.table.at(line) for line in self.lines.tolist()]
        codes, names, place = self.texts["id"].codes(), self.texts["id"].texts, self.roles.id or 0
        refuse_empty(self.table, codes, self.lines, place, "id")
        _, first, number = np.unique(codes, return_index=True, return_inverse=True)
        again = np.flatnonzero(first[number] != self.order)
        if len(again):
            row = int(again[0])
            raise UserError(
                f"{self.table.shown}: id '{names[codes[row]]}' comes twice (lines {self.lines[first[number[row]]]} and "
                f"{self.lines[row]}), where each row is a sequence; where a row is a timestep: task.form=long."
            )
        return [f"{self.table.shown}, {self.table.columns[place]} {names[code]}" for code in codes]

    def labels(self, how: Reading) -> list[Any] | None:
        if self.label is None or self.roles.label is None:
            return None
        name = self.table.columns[self.roles.label]
        if isinstance(self.label, Numbers):
            return number_of_each(self.label, self.order, self.spans, self.places, self.lines, name)
        return text_of_each(self.label, self.order, self.spans, self.places, self.lines, name)

    def sequences(
        self, values: list[NDArray[np.float64]], names: list[str], categories: dict[int, list[str]], labels: Any
    ) -> Sequences:
        """With the static columns as channels that stay the same."""
        for place, reader in self.static.items():
            if isinstance(reader, Texts):
                categories[len(names)] = reader.texts
            names = [*names, self.table.columns[place]]
            of_rows = reader.all()
            values = [np.column_stack([own, np.full(len(own), one)]) for own, one in zip(values, of_rows, strict=True)]
        parts = self._of_each("split")
        return Sequences(
            values=values,
            channels=names,
            labels=labels,
            places=self.places,
            categories=categories,
            groups=self._of_each("group"),
            ids=self._of_each("id"),
            starts=self._starts(),
            parts=None
            if parts is None
            else [part_named(part, at) for part, at in zip(parts, self.places, strict=True)],
            notes=self.table.notes,
        )

    def _starts(self) -> NDArray[np.float64] | None:
        if "time" not in self.texts:
            return None
        return times_of(self.table, self.texts["time"], self.roles.time or 0, self.lines)

    def _of_each(self, role: str) -> list[str] | None:
        if role not in self.texts:
            return None
        name = self.table.columns[getattr(self.roles, role)]
        return text_of_each(self.texts[role], self.order, self.spans, self.places, self.lines, name)


def numbered(names: list[str]) -> list[bool]:
    """Of each name whether it ends in a number, as t0, x_12 and 3.5 do."""
    return [re.search(r"\d$", name) is not None for name in names]


def _called_alike(table: Sample, places: list[int]) -> list[int]:
    """Without the columns, such as an age, that are not numbered as the most of them are."""
    marks = numbered([table.columns[place] for place in places])
    others = [place for place, marked in zip(places, marks, strict=True) if not marked and table.is_numeric(place)]
    if not others or sum(marks) < max(3, 2 * len(others)):
        return places
    _note_left_out(table, others, "not numbered as the timesteps are")
    return [place for place in places if place not in others]


def _note_left_out(table: Sample, places: list[int], what: str) -> None:
    if places:
        table.note(f"columns {what} left out: {', '.join(table.columns[place] for place in places)}; {STATIC_HINT}")


def _label_of_wide(table: Sample, roles: Roles, how: Reading) -> int | None:
    """Of a table without a usual name: the only column of texts; without a header the first column or the last, if its
    values come again and again as those of the others do not.

    Raises: `UserError` where there is no such, and labels are needed.
    """
    if how.kind == "classification":
        of_texts = [place for place in roles.channels if not table.is_numeric(place)]
        if len(of_texts) == 1:
            table.note(f"column '{table.columns[of_texts[0]]}' taken for the label: it alone holds texts")
            return of_texts[0]
        if not table.named:
            for place in (0, len(table.columns) - 1):
                cells = table.cells(place)
                numbers = [number_of(cell, ".") for cell in cells]
                whole = all(number is not None and number % 1 == 0 for number in numbers)
                if whole and len(set(cells)) <= max(2, len(cells) // 2):
                    table.note(f"no header: the {'first' if place == 0 else 'last'} column is taken for the label")
                    return place
    return missing_label(table, how) if how.labelled else None


def _channels_of_wide(names: list[str], table: Sample) -> tuple[list[str], NDArray[np.int64]]:
    """Channels, and at each timestep of each the place among `names`, (time, channels).

    x_0, x_1, ..., y_0, y_1, ... are two channels, if both have as many timesteps; all others are one, also 0.5, 1.0,
    ... and dates.
    """
    split = [re.fullmatch(r"(.*[^\W\d_].*?)[\W_]*(\d+)", name) for name in names]
    if all(split):
        places: dict[str, list[tuple[int, int]]] = {}
        for place, match in enumerate(split):
            assert match is not None
            places.setdefault(match[1], []).append((int(match[2]), place))
        numbers = [sorted(number for number, _ in found) for found in places.values()]
        if len(places) > 1 and all(found == numbers[0] for found in numbers) and len(numbers[0]) > 1:
            table.note(f"columns read as {len(places)} channels of {len(numbers[0])} timesteps: {', '.join(places)}")
            return list(places), np.array([[place for _, place in sorted(found)] for found in places.values()]).T
    if table.named and len(names) > 1:
        table.note(f"the columns '{names[0]}' to '{names[-1]}' are the {len(names)} timesteps of each row")
    return ["value"], np.arange(len(names))[:, None]
