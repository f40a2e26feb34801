"""Tables with a row for each timestep, or for each value, of each sequence."""

import re
from datetime import UTC
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.data.sequences.columns import (
    Numbers,
    Sample,
    Texts,
    number_of_each,
    read_columns,
    readers_of_channels,
    refuse_empty,
    text_of_each,
)
from rnnlab.data.sequences.roles import Roles, missing_label, part_named
from rnnlab.data.sequences.sequences import Reading, Sequences
from rnnlab.data.tables.values import DATES, number_of, written_in
from rnnlab.errors import UserError

_TIME_OF_DAY = re.compile(r"\d+:\d\d(:\d\d(\.\d+)?)?")

OF_A_TIMESTEP = "; where each timestep has a label of its own: task.kind=tagging"


def read_long(table: Sample, roles: Roles, how: Reading) -> Sequences:
    """The rows of each id, in order of time; see `rnnlab.data.sequences.tables`.

    Raises: `UserError` for an id, time or label that is missing or contradicts another row.
    """
    if roles.id is None:
        raise UserError(f"{table.shown}: no column says which rows are of one sequence; name it, as task.id=NAME.")
    if how.labelled and roles.label is None:
        roles.label = missing_label(table, how)
    melted = roles.channel is not None and roles.value is not None
    channels = readers_of_channels(table, [roles.value or 0] if melted else roles.inputs, bool(how.channels))
    texts = {role: Texts() for role, place in roles.texts().items() if place is not None}
    if melted and (ignored := [table.columns[place] for place in roles.inputs]):
        table.note(f"columns left out beside the values of the channels: {', '.join(ignored)}")
    label = _label_reader(table, roles, how)
    read = {getattr(roles, role): reader for role, reader in texts.items()} | channels
    lines = read_columns(table, read if label is None else {**read, roles.label or 0: label})

    ids = texts["id"].codes()
    refuse_empty(table, ids, lines, roles.id, "id")
    called = texts["id"].texts
    if "group" in texts:
        ids, called = _within_groups(table, roles, ids, called, texts["group"])
    times = times_of(table, texts["time"], roles.time or 0, lines) if "time" in texts else None
    order = np.lexsort((np.arange(len(ids)) if times is None else times, ids))
    if times is None:
        table.note("no column of times: the rows of an id are taken in the order of the file")
    elif not melted and bool((np.diff(order)[np.diff(ids[order]) == 0] < 0).any()):
        table.note("rows sorted by time within each id; they came unsorted")
    values = np.stack([reader.all() for reader in channels.values()], axis=1)
    names = [table.columns[place] for place in channels]
    if melted:
        order, values, names = _pivoted(table, order, ids, times, texts["channel"], values[:, 0], lines)
    else:
        values = values[order]
        if times is not None:
            _refuse_repeated_times(table, ids[order], times[order], lines[order], called)
    ids, lines = ids[order], lines[order]
    _refuse_changing(table, roles, values, list(channels), ids, lines)
    begin = np.flatnonzero(np.diff(ids, prepend=-1))
    spans = list(zip(begin.tolist(), [*begin[1:].tolist(), len(ids)], strict=True))
    places = [f"{table.shown}, {table.columns[roles.id]} {called[ids[first]]}" for first, _ in spans]

    def of_each(role: str) -> list[str] | None:
        if role not in texts:
            return None
        return text_of_each(texts[role], order, spans, places, lines, table.columns[getattr(roles, role)])

    parts = of_each("split")
    return Sequences(
        values=[values[first:end] for first, end in spans],
        channels=names,
        labels=_labels(table, roles, label, order, spans, places, lines, how),
        places=places,
        categories={index: reader.texts for index, reader in enumerate(channels.values()) if isinstance(reader, Texts)},
        groups=of_each("group"),
        parts=None if parts is None else [part_named(part, place) for part, place in zip(parts, places, strict=True)],
        starts=None if times is None else times[order][begin],
        ids=[called[ids[first]] for first, _ in spans],
        notes=table.notes,
    )


def _within_groups(
    table: Sample, roles: Roles, ids: NDArray[np.int64], called: list[str], groups: Texts
) -> tuple[NDArray[np.int64], list[str]]:
    """Ids that are counted from the first in each group, as the trials of each patient are: one for each pair. As they
    are where each is of one group."""
    codes = groups.codes()
    pairs, first, number = np.unique(ids * len(groups.texts) + codes, return_index=True, return_inverse=True)
    if len(pairs) == len(called) or (codes < 0).any():
        return ids, called
    id_name, group_name = table.columns[roles.id or 0], table.columns[roles.group or 0]
    table.note(f"the same '{id_name}' comes in several '{group_name}': a sequence is one of each")
    in_file = np.argsort(first)  # pairs in the order in which they come
    rank = np.argsort(in_file)
    names = [f"{called[ids[row]]} of {groups.texts[codes[row]]}" for row in first[in_file]]
    return rank[number], names


def _refuse_changing(
    table: Sample, roles: Roles, values: NDArray[np.float64], places: list[int], ids: NDArray[np.int64],
    lines: NDArray[np.int32],
) -> None:  # fmt: skip
    """Raises: `UserError` for a column of `static` that is not the same in all rows of a sequence."""
    for index, place in enumerate(places):
        if place in roles.static:
            own = values[:, index]
            changed = np.flatnonzero((np.diff(ids) == 0) & (own[1:] != own[:-1]) & ~(np.isnan(own[1:] + own[:-1])))
            if len(changed):
                first, second = lines[changed[0]], lines[changed[0] + 1]
                raise UserError(
                    f"{table.shown}: column '{table.columns[place]}' of task.static changes within a sequence (lines "
                    f"{first} and {second}); leave it out of task.static, and it is a channel."
                )


def _label_reader(table: Sample, roles: Roles, how: Reading) -> Numbers | Texts | None:
    if not how.labelled or roles.label is None:
        return None
    return Numbers(table, roles.label) if how.kind == "regression" else Texts()


def _labels(
    table: Sample, roles: Roles, label: Numbers | Texts | None, order: NDArray[np.int64],
    spans: list[tuple[int, int]], places: list[str], lines: NDArray[np.int32], how: Reading,
) -> list[Any] | None:  # fmt: skip
    if label is None or roles.label is None:
        return None
    column = table.columns[roles.label]
    if isinstance(label, Numbers):
        return number_of_each(label, order, spans, places, lines, column)
    if how.kind == "tagging":
        codes, known = label.codes()[order], label.texts
        refuse_empty(table, codes, lines, roles.label, "label")
        return [[known[code] for code in codes[first:end]] for first, end in spans]
    return text_of_each(label, order, spans, places, lines, column, OF_A_TIMESTEP)


def times_of(table: Sample, found: Texts, column: int, lines: NDArray[np.int32]) -> NDArray[np.float64]:
    """Of each row, as a number: of dates, seconds since 1970. found: the cells of this column.

    Raises: `UserError` for a cell that is empty, or neither a number nor a date.
    """
    codes, texts = found.codes(), found.texts
    refuse_empty(table, codes, lines, column, "time")
    _, first = np.unique(codes, return_index=True)
    one = table.like([table.columns[column]], [[text] for text in texts], lines[first].tolist())
    if all(_TIME_OF_DAY.fullmatch(text) for text in texts):
        each = np.array([_seconds(text) for text in texts])
    elif all(number_of(text, ".") is not None for text in texts):
        each = np.array([number_of(text, ".") for text in texts], np.float64)
    elif any(written_in(texts[:1000], way) for way in DATES):
        each = np.array([instant.replace(tzinfo=UTC).timestamp() for instant in one.instants(0)])
    else:
        mark = one.decimal_mark(0)
        numbers = [number_of(text, mark) for text in texts]
        if None in numbers:
            row = int(np.flatnonzero(codes == numbers.index(None))[0])
            place = table.at(int(lines[row]), column)
            raise UserError(
                f"{place}: found '{texts[numbers.index(None)]}', which is neither a number nor a date; correct it, or "
                "name another column, as task.time=NAME."
            )
        each = np.array(numbers, np.float64)
    times: NDArray[np.float64] = each[codes]
    return times


def _seconds(text: str) -> float:
    """Of a time of day, or a time since the beginning."""
    hours, minutes, *seconds = text.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + (float(seconds[0]) if seconds else 0.0)


def _refuse_repeated_times(
    table: Sample, ids: NDArray[np.int64], times: NDArray[np.float64], lines: NDArray[np.int32], texts: list[str]
) -> None:
    repeated = np.flatnonzero((np.diff(ids) == 0) & (np.diff(times) == 0))
    if len(repeated):
        at = int(repeated[0])
        first, second = sorted((int(lines[at]), int(lines[at + 1])))
        raise UserError(
            f"{table.shown}: id {texts[ids[at]]} has the same time twice (lines {first} and {second}), and so have "
            f"{len(repeated)} rows in all: correct the times, or name another column, as task.id or task.time."
        )


def _pivoted(
    table: Sample, order: NDArray[np.int64], ids: NDArray[np.int64], times: NDArray[np.float64] | None,
    channel: Texts, value: NDArray[np.float64], lines: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.float64], list[str]]:  # fmt: skip
    """Of a value in each row: a row of the table for each timestep of each id, what stands there, (timesteps,
    channels), and the channels' names. Without times, the values of a channel follow each other."""
    codes, names = channel.codes(), channel.texts
    refuse_empty(table, codes, lines, 0, "channel")
    if times is None:
        counts: dict[tuple[int, int], int] = {}
        times = np.empty(len(ids))
        for row, key in enumerate(zip(ids.tolist(), codes.tolist(), strict=True)):
            times[row] = counts[key] = counts.get(key, -1) + 1
    same = (np.diff(ids[order]) == 0) & (np.diff(times[order]) == 0)
    timestep = np.concatenate([[0], np.cumsum(~same)])
    cells = timestep * len(names) + codes[order]
    by_cell = np.argsort(cells, kind="stable")
    repeated = np.flatnonzero(np.diff(cells[by_cell]) == 0)
    if len(repeated):
        first, second = sorted(lines[order[by_cell[repeated[0] + place]]] for place in (0, 1))
        raise UserError(f"{table.shown}, lines {first} and {second}: the same id, time and channel twice; keep one.")
    values = np.full((int(timestep[-1]) + 1, len(names)), np.nan)
    values[timestep, codes[order]] = value[order]
    return order[np.flatnonzero(np.diff(timestep, prepend=-1))], values, names
