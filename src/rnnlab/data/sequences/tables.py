"""Tables of sequences: a row for each timestep, or a row for each sequence; which one is found, and columns' roles too.

long     id, time, x, y, label              a row for each timestep of each id
melted   id, time, channel, value, label    a row for each value: long as well
wide     label, x0, x1, x2, ...             a row for each sequence, a column for each timestep (the form of UCR)
nested   label, x, y                        a row for each sequence, a list in each cell: [0.1, 0.2, 0.3]
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnlab.data.sequences.columns import Numbers, Reader, Sample, Texts, read_columns, refuse_empty
from rnnlab.data.sequences.long_table import read_long, times_of
from rnnlab.data.sequences.roles import Roles, missing_label
from rnnlab.data.sequences.row_tables import numbered, read_nested, read_wide
from rnnlab.data.sequences.sequences import Reading, Sequences
from rnnlab.errors import UserError

READERS = {"long": read_long, "wide": read_wide, "nested": read_nested}
TABLES = tuple(READERS)

FEWEST_UNNAMED = 8
"""Columns below which a table without a header may well be one with a row for each timestep."""


def read_table(path: Path, shown: str, how: Reading) -> Sequences:
    """Read a table in any of the forms above, from any kind of file that `Rows` reads.

    Raises: `UserError` that names the file, line and column, and what is to be given.
    """
    table = Sample.of(path, shown, how)
    roles = Roles.find(table, how)
    form = how.form if how.form in READERS else _form(table, roles)
    found = READERS[form](table, roles, how)
    table.notes.insert(0, f"read as a {form} table: {roles.described(table.columns, form)}")
    return found


def _form(table: Sample, roles: Roles) -> str:
    if not table.named and len(table.columns) < FEWEST_UNNAMED:
        raise UserError(
            f"{table.shown} has no line with the names of its columns, which are too few to be timesteps for certain. "
            "Put such a line first, as id,time,x,label; or give task.form=wide, where each row is a sequence."
        )
    if any(table.holds_lists(place) for place in roles.channels):
        return "nested"
    count, rows = len(set(table.cells(roles.id))) if roles.id is not None else 0, len(table.first[1])
    # ids of which a few come twice are those of a wide table, which refuses them
    if roles.id is not None and count < rows and (roles.time is not None or 2 * count <= rows):
        return "long"
    marks = numbered([table.columns[place] for place in roles.channels])
    if table.named and 2 * sum(marks) < len(marks) and rows > 1:
        shown, id_column = table.shown, "" if roles.id is None else table.columns[roles.id]
        if roles.time is not None:
            which = (
                f"another value of '{id_column}' in each row"
                if id_column
                else "none that says which rows are of one sequence"
            )
            raise UserError(
                f"{shown} has a column of times, '{table.columns[roles.time]}', and {which}: name the column that rows "
                "of one sequence share, as task.id=NAME; or task.form=wide where each row is a sequence."
            )
        if id_column and (shared := roles.other_id(table)) is not None:
            raise UserError(
                f"{shown} has another value of '{id_column}' in each row, and '{shared}' in several: name the column "
                f"that rows of one sequence share, as task.id={shared}; or task.form=wide where each row is a sequence."
            )
    return "wide"


def read_one(
    path: Path, shown: str, how: Reading, notes: list[str]
) -> tuple[NDArray[np.float64], list[str], list[str] | None]:
    """A table that is one sequence, a row for each timestep.

    Returns: its values, (time, channels), the channels' names, and, where they are asked for, the labels of its rows.
    """
    table = Sample.of(path, shown, how)
    roles = Roles.find(table, how) if table.named else Roles(channels=list(range(len(table.columns))))
    tagging = how.kind == "tagging" and how.labelled
    if tagging and roles.label is None:
        missing_label(table, how)
    if not tagging and how.label is None and roles.label is not None:
        roles.channels = sorted([*roles.channels, roles.label])  # the folder is the label
    channels = {place: Numbers(table, place) for place in roles.inputs if table.is_numeric(place)}
    left_out = [table.columns[place] for place in roles.inputs if place not in channels]
    if left_out:
        notes.append(f"columns without numbers left out: {', '.join(left_out)}")
    if not channels:
        raise UserError(f"{shown} has no column of numbers.")
    tags = Texts()
    times = Texts() if roles.time is not None else None
    read: dict[int, Reader] = {**channels}
    if tagging:
        read[roles.label or 0] = tags
    if times is not None:
        read[roles.time or 0] = times
    lines = read_columns(table, read)
    order = np.arange(len(lines))
    if times is not None:
        order = np.argsort(times_of(table, times, roles.time or 0, lines), kind="stable")
    if times is not None and (np.diff(order) < 0).any():
        notes.append("rows sorted by time; they came unsorted")
    notes.extend(table.notes)
    values = np.stack([reader.all() for reader in channels.values()], axis=1)[order]
    labels = None
    if tagging:
        refuse_empty(table, tags.codes(), lines, roles.label or 0, "label")
        texts = tags.texts
        labels = [texts[code] for code in tags.codes()[order]]
    return values, [table.columns[place] for place in channels], labels
