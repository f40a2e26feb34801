"""Which column of a table of sequences is what: named by the user, or found by its usual name."""

import re
from dataclasses import dataclass, field
from typing import NoReturn

from rnnlab.data.sequences.columns import Sample
from rnnlab.data.sequences.sequences import PARTS, Reading
from rnnlab.data.splits import PART_NAMES
from rnnlab.data.tables.table import nearest
from rnnlab.errors import UserError

USUAL_NAMES = {
    "label": ("label", "labels", "class", "classlabel", "category", "target", "y", "activity", "outcome", "tag",
        "classid", "labelid", "activityid", "classname", "labelname", "activityname",
    ),
    "id": (
        "id", "caseid", "case", "sequenceid", "sequence", "seriesid", "series", "sampleid", "sample", "uid", "key",
        "recording", "recordingid", "trial", "trialid", "run", "session", "unit", "instance", "window", "file",
    ),
    "time": (
        "time", "timestamp", "datetime", "date", "t", "step", "timestep", "timeindex", "readingid", "seconds", "frame",
        "cycle", "index",
    ),
    "group": ("group", "subject", "subjectid", "patient", "patientid", "person", "participant", "user", "speaker"),
    "split": ("split", "set", "part", "subset"),
    "channel": ("channel", "dim", "dimid", "dimension", "variable", "sensor", "feature"),
    "value": ("value", "reading"),
}  # fmt: skip
"""What columns are called that have a role, without spaces and marks, in small letters; the likeliest first."""

NEEDED = ("id", "time")
"""Roles without which sequences that are to be answered cannot be read."""


@dataclass
class Roles:
    """Which column is what, by its place."""

    label: int | None = None
    id: int | None = None
    time: int | None = None
    group: int | None = None
    split: int | None = None
    channel: int | None = None
    value: int | None = None
    static: list[int] = field(default_factory=list)
    channels: list[int] = field(default_factory=list)

    @classmethod
    def find(cls, table: Sample, how: Reading) -> "Roles":
        """Named columns first, then those with usual names; the others are channels."""
        roles = cls()
        plain = [_without_unit(name) for name in table.columns]
        for role in ("label", "id", "time", "group", "split"):
            named = getattr(how, role)
            if named is not None and (how.labelled or role in NEEDED or _plain(named) in map(_plain, table.columns)):
                setattr(roles, role, _column(table, named, role))
        roles.static = [_column(table, name, "static") for name in how.static]
        fixed = [_column(table, name, "channels") for name in how.channels]
        taken = {*roles.taken(), *fixed}
        if len(taken) < len(roles.taken()) + len(fixed):
            raise UserError(
                f"{table.shown}: two of task.id, time, label, group, split, static and channels name one column."
            )
        for role in ("label", "id", "time", "group", "split", "channel", "value"):
            if getattr(roles, role) is None and table.named:
                found = (plain.index(name) for name in USUAL_NAMES[role] if name in plain)
                place = next(
                    (place for place in found if place not in taken and roles._suits(role, place, table)), None
                )
                if place is not None:
                    setattr(roles, role, place)
                    taken.add(place)
        if roles.channel is None or roles.value is None:
            taken -= {roles.channel, roles.value}
            roles.channel = roles.value = None
        others = [place for place in range(len(table.columns)) if place not in taken]
        if not fixed and others and table.is_index(others[0]):
            table.note("the first column, which only counts the rows, is left out")
            others = others[1:]
        roles.channels = fixed or others
        return roles

    def _suits(self, role: str, place: int, table: Sample) -> bool:
        cells = table.cells(place)
        if _plain(table.columns[place]) == "y" and any(_plain(name) in ("x", "z") for name in table.columns):
            return False  # a place in space, and no label
        if role == "split":
            return all(cell.lower() in PART_NAMES for cell in cells)
        if role == "value":
            return table.is_numeric(place)
        if role == "channel":
            return len(set(cells)) <= max(2, len(cells) // 2)
        return not table.holds_lists(place)  # else it is a channel whose cells are lists

    def taken(self) -> list[int]:
        places = (self.label, self.id, self.time, self.group, self.split, self.channel, self.value)
        return [*(place for place in places if place is not None), *self.static]

    def other_id(self, table: Sample) -> str | None:
        """A channel with a usual name of an id, which comes in several rows."""
        found = (place for place in self.channels if _plain(table.columns[place]) in USUAL_NAMES["id"])
        return next((table.columns[p] for p in found if len(set(table.cells(p))) < len(table.first[1])), None)

    def texts(self) -> dict[str, int | None]:
        """Those that are texts of a row, whatever they look like."""
        return {"id": self.id, "time": self.time, "group": self.group, "split": self.split, "channel": self.channel}

    @property
    def inputs(self) -> list[int]:
        """What is read at each timestep."""
        return [*self.channels, *self.static]

    def described(self, columns: list[str], form: str) -> str:
        """The roles in words."""
        named = {role: getattr(self, role) for role in ("id", "time", "label", "group", "split")}
        parts = [f"{role} '{columns[place]}'" for role, place in named.items() if place is not None]
        if self.channel is not None and form == "long":
            parts.append(f"a value in each row, of the channel that '{columns[self.channel]}' names")
        return ", ".join(parts) or "no column has a usual name"


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _without_unit(name: str) -> str:
    """Time (s) -> time"""
    return _plain(re.sub(r"\s*[(\[][^)\]]*[)\]]\s*$", "", name)) or _plain(name)


def _column(table: Sample, name: str, role: str) -> int:
    for same in (str.strip, _plain):
        found = [place for place, known in enumerate(table.columns) if same(known) == same(name)]
        if found:
            return found[0]
    listed = ", ".join(f"'{column}'" for column in table.columns[:20])
    more = f" and {len(table.columns) - 20} more" if len(table.columns) > 20 else ""
    raise UserError(
        f"{table.shown} has no column '{name}' (task.{role}); it has {listed}{more}{nearest(name, table.columns)}"
    )


def missing_label(table: Sample, how: Reading) -> NoReturn:
    """Raises: `UserError` that says how the label's column is named."""
    what = "number to be found" if how.kind == "regression" else "label"
    listed = ", ".join(f"'{column}'" for column in table.columns[:20])
    raise UserError(
        f"{table.shown} has no column of a usual name for the {what}; name it, as task.label=NAME. It has {listed}."
    )


def part_named(text: str, place: str) -> str:
    """The part that a cell of a split column names. Raises: `UserError` for another text."""
    if text.lower() not in PART_NAMES:
        raise UserError(f"{place}: '{text}' is no part (task.split); {', '.join(PARTS)} are.")
    return PART_NAMES[text.lower()]
