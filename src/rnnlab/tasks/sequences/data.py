"""Labelled numbers over time: which class is a sequence, which number belongs to it, or what is each timestep?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.arguments import OneOf, Part, Positive
from rnnlab.data.batches import Batch, Batches, ByLength
from rnnlab.data.ragged import Ragged
from rnnlab.data.scaler import Scaler
from rnnlab.data.sequences.reading import read_sequences
from rnnlab.data.sequences.sequences import Kind, Reading, Sequences
from rnnlab.data.sequences.splits import BY, hold_out, split_sequences
from rnnlab.data.splits import Splits, with_training
from rnnlab.data.tables.values import Notation
from rnnlab.data.vocabulary import IGNORED
from rnnlab.errors import UserError
from rnnlab.losses import AbsoluteError, CrossEntropy, Loss
from rnnlab.spec import TaskSpec
from rnnlab.tasks.classification.data import METRICS, ClassificationData
from rnnlab.tasks.raw_input import Column, FileRead, Timestep, refuse, sequences, unlabelled
from rnnlab.tasks.task import SPLITS, Split, check_parts

UNKNOWN_CATEGORY = "<unknown>"
"""What a value of a categorical channel is read as that the training part does not have."""

CLASS_METRICS: dict[str, Any] = {"accuracy": "max", "balanced_accuracy": "max", **METRICS}
NUMBER_METRICS: dict[str, Any] = {"mae": "min", "rmse": "min", "r2": "max"}


@dataclass(frozen=True)
class Channels:
    """How raw values become what the net reads, learnt from the training part.

    names: of the channels. numeric, categorical: their indices. gaps: indices of numeric channels with missing values,
    each of which is followed by a channel that says what was measured. scaler: of the numeric channels. values: of each
    categorical channel, what its numbers stand for, the first being `UNKNOWN_CATEGORY`.
    """

    names: list[str]
    numeric: list[int]
    categorical: list[int]
    gaps: list[int]
    scaler: Scaler
    values: list[list[str]]

    @classmethod
    def learn(cls, found: Sequences, training: NDArray[np.int64]) -> "Channels":
        """From the sequences of the training part; which channels have gaps, from all."""
        numeric = [index for index in range(len(found.channels)) if index not in found.categories]
        categorical = sorted(found.categories)
        known = np.concatenate([found.values[index] for index in training])
        values = []
        for index in categorical:
            met = np.unique(known[:, index][~np.isnan(known[:, index])]).astype(int)
            values.append([UNKNOWN_CATEGORY, *(found.categories[index][number] for number in met)])
        missing = np.any([np.isnan(each).any(axis=0) for each in found.values], axis=0)
        return cls(
            names=found.channels,
            numeric=numeric,
            categorical=categorical,
            gaps=[index for index in numeric if missing[index]],
            scaler=Scaler.fit(known[:, numeric]),
            values=values,
        )

    @property
    def input_size(self) -> int:
        return len(self.numeric) + len(self.gaps) + len(self.categorical)

    def encode(self, values: NDArray[np.float64], categories: Mapping[int, Sequence[str]]) -> NDArray[np.float32]:
        """(time, channels) -> (time, input_size): numeric channels scaled, then 1 or 0 for what was measured or not in
        those with gaps, then categorical ones.

        A missing value is the last one known, before the first the mean of training.
        """
        numbers = self.scaler.scale(values[:, self.numeric])
        measured = ~np.isnan(numbers)
        if not measured.all():
            last = np.maximum.accumulate(np.where(measured, np.arange(len(numbers))[:, None], -1), axis=0)
            numbers = np.where(last < 0, 0.0, np.take_along_axis(numbers, last.clip(0), axis=0))
        flags = measured[:, [self.numeric.index(index) for index in self.gaps]]
        codes = np.zeros((len(values), len(self.categorical)))
        for column, index in enumerate(self.categorical):
            place = {text: number for number, text in enumerate(self.values[column])}
            # behind the others: what a missing value, NaN, is looked up as
            table = np.array([*(place.get(text, 0) for text in categories[index]), 0])
            codes[:, column] = table[np.nan_to_num(values[:, index], nan=len(table) - 1).astype(int)]
        return np.concatenate([numbers, flags, codes], axis=1).astype(np.float32)

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "scaler": self.scaler.as_dict()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Channels":
        return cls(**{**content, "scaler": Scaler.from_dict(content["scaler"])})


class SequencesData(ClassificationData):
    """Sequences of one or more channels, of any length, and what is asked of each:

        kind=classification   input   (x₁, y₁), (x₂, y₂), ... (x_T, y_T)     target   "walking"
        kind=regression       input   likewise                              target   17.5
        kind=tagging          input   likewise                              target   "rest", "rest", ... "walk"

    The parts that a file names, or a second file is, are kept. Else they are drawn, the same whatever the seed: a share
    of each class, or of all where there are no classes (by=label); whole groups, so that nobody is in two parts
    (by=group); or the latest sequences for the test (by=time). by=null: by group where groups are given, else by label.

    Numbers are scaled to mean 0 and standard deviation 1 over the timesteps of the training part, numbers that are
    asked for likewise. A missing value is the last one known; of a channel that has any, a further one says what was
    measured. A categorical channel enters as learnt vectors.

    What is judged as one unit is a sequence; where parts share no group, a group, for what is of one person depends on
    who that is.

    validation, test: shares of all sequences; of a file that has its own test part, `validation` is a share of the
    rest. train: how many of the training sequences are read; None: all. loss: of kind=regression.
    """

    learnt: ClassVar[tuple[str, ...]] = ("channels", "classes", "target", "unit", "reading")

    def __init__(
        self,
        name: str,
        kind: Kind = "classification",
        by: Annotated[str, OneOf(BY)] | None = None,
        validation: Part = 0.2,
        test: Part = 0.2,
        train: Positive | None = None,
        batch_size: Positive = 32,
        loss: Loss | None = None,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.kind = kind
        self.by = by
        self.validation = validation
        self.test = test
        self.train = train
        self.batch_size = batch_size
        self.loss = loss or AbsoluteError()

    def check(self) -> None:
        super().check()
        check_parts(self.validation, self.test)

    def prepare(self, dataset: Any, raw: Path, folder: Path) -> dict[str, Any]:
        facts = self.prepare_sequences(dataset.read(raw), folder, dataset.reading())
        return {**facts, "set": dataset.set_name if self.train is None else None}

    def prepare_sequences(self, found: Sequences, folder: Path, reading: Mapping[str, Any]) -> dict[str, Any]:
        """As `prepare`, of sequences in memory. reading: how a file of raw input is read, see `read_file`."""
        assert found.labels is not None
        splits, by = split_sequences(found, self.kind, self.by, self.validation, self.test)
        labels = np.unique(found.labels, return_inverse=True)[1] if self.kind == "classification" else None
        splits = with_training(splits, self.train, labels)
        if self.kind == "regression" and len({found.labels[index] for index in splits["train"]}) < 2:
            raise UserError(
                f"The training part has the number {found.labels[splits['train'][0]]:g} alone to be found, which "
                "teaches nothing: give sequences of several."
            )
        facts = self._write_labels(found, splits, folder)
        channels = Channels.learn(found, splits["train"])
        names = found.names()
        for split, indices in splits.items():
            encoded = (channels.encode(found.values[index], found.categories) for index in indices)
            Ragged.write(folder, f"{split}_series", encoded, np.float32)
            _write_texts(folder / f"{split}_names.npy", [names[index] for index in indices])
            if found.groups is not None:
                _write_texts(folder / f"{split}_groups.npy", [found.groups[index] for index in indices])
        apart = found.groups is not None and _share_no_group(found.groups, splits)
        return {
            **facts,
            "channels": channels.as_dict(),
            "unit": "group" if apart else "sequence",
            "has_groups": found.groups is not None,
            "reading": dict(reading),
            "report": self._report(found, splits, by, channels, facts),
        }

    def _write_labels(self, found: Sequences, splits: Splits, folder: Path) -> dict[str, Any]:
        """What is learnt of them, with the labels of each part in a file."""
        facts, targets = self._encode_labels(found, splits)
        for split, values in targets.items():
            if self.kind == "tagging":
                Ragged.write(folder, f"{split}_tags", values, np.int64)
            else:
                np.save(folder / f"{split}_{'targets' if self.kind == 'regression' else 'labels'}.npy", values)
        return facts

    def _encode_labels(self, found: Sequences, splits: Splits) -> tuple[dict[str, Any], dict[str, Any]]:
        """Classes, or the scale of the numbers; and of each part the numbers of the classes, or the numbers."""
        assert found.labels is not None
        if self.kind == "regression":
            numbers = np.asarray(found.labels, np.float64)
            scaler = Scaler.fit(numbers[splits["train"], None])
            of_parts = {split: numbers[indices] for split, indices in splits.items()}
            return {"classes": [], "target": scaler.as_dict()}, of_parts
        tagging = self.kind == "tagging"
        met = {
            split: set().union(*(found.labels[index] if tagging else [found.labels[index]] for index in indices))
            for split, indices in splits.items()
        }
        classes = sorted(set().union(*met.values()), key=_natural)
        if len(met["train"]) < 2:
            raise UserError(
                f"The training part has the label '{next(iter(met['train']), '')}' alone, which teaches nothing: give "
                "sequences of two classes at least."
            )
        if unseen := sorted(set(classes) - met["train"], key=_natural):
            raise UserError(
                f"The training part has no sequence with the label {_listed(unseen)}, which other parts have: no net "
                "can learn it. Give such sequences to train on, or leave these out."
            )
        number = {label: place for place, label in enumerate(classes)}
        targets: dict[str, Any] = {}
        for split, indices in splits.items():
            labels = [found.labels[index] for index in indices]
            if tagging:
                targets[split] = [np.array([number[label] for label in each]) for each in labels]
            else:
                targets[split] = np.array([number[label] for label in labels])
        return {"classes": classes, "target": None}, targets

    def _report(
        self, found: Sequences, splits: Splits, by: str, channels: Channels, facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        lengths = np.array([len(values) for values in found.values])
        same = lengths.min() == lengths.max()
        categorical = {found.channels[index] for index in channels.categorical}
        named = [f"{name} (categories)" if name in categorical else name for name in found.channels]
        return {
            **{split: _described(found, indices, self.kind, facts["classes"]) for split, indices in splits.items()},
            "test split": by,
            "channels": f"{len(named)}: {_listed(named)}",
            "timesteps": f"{lengths[0]} each"
            if same
            else f"{lengths.min()} to {lengths.max()}, {lengths.mean():.1f} on the average",
            "notes": [*found.notes, *_remarks(found, splits, channels)],
        }

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self.series = {split: Ragged.open(folder, f"{split}_series") for split in SPLITS}
        self.names = {split: _read_texts(folder / f"{split}_names.npy") for split in SPLITS}
        self.groups = {
            split: np.array(_read_texts(folder / f"{split}_groups.npy")) if meta["has_groups"] else None
            for split in SPLITS
        }
        if self.kind == "regression":
            self.targets = {split: np.load(folder / f"{split}_targets.npy") for split in SPLITS}
        elif self.kind == "tagging":
            self.tags = {split: Ragged.open(folder, f"{split}_tags") for split in SPLITS}
            self.labels = {split: np.array(self.tags[split].values) for split in SPLITS}
        else:
            self.labels = {split: np.load(folder / f"{split}_labels.npy") for split in SPLITS}

    def hold(self, found: Sequences, seed: int) -> None:
        """Open for training with sequences in memory, all but the share `validation` to train on: what `prepare` and
        `open` do of a file that has its own test part, without any file."""
        assert found.labels is not None
        classes = self.kind == "classification"
        labels = np.unique(np.asarray(found.labels, str), return_inverse=True)[1] if classes else None
        splits = hold_out(found, labels, np.arange(len(found)), self.validation)
        facts, targets = self._encode_labels(found, splits)
        of_training: tuple[Split, ...] = ("train", "validation")
        channels = Channels.learn(found, splits["train"])
        self.restore({**facts, "channels": channels.as_dict(), "unit": "sequence", "reading": {}, "digest": ""})
        self.seed = seed
        self.series = {
            split: Ragged.of([channels.encode(found.values[index], found.categories) for index in splits[split]])
            for split in of_training
        }
        if self.kind == "regression":
            self.targets = {split: targets[split] for split in of_training}
        elif self.kind == "tagging":
            self.tags = {split: Ragged.of(targets[split]) for split in of_training}
        else:
            self.labels = {split: targets[split] for split in of_training}

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.encoding = Channels.from_dict(learnt["channels"])
        self.channels = self.encoding.names
        self.classes = learnt["classes"]
        of_numbers = self.kind == "regression"
        if of_numbers:
            self.target_scaler = Scaler.from_dict(learnt["target"])
        self.spec = TaskSpec(
            task=self.task_name,
            layout="many_to_many" if self.kind == "tagging" else "many_to_one",
            input_size=self.encoding.input_size,
            output_size=1 if of_numbers else len(self.classes),
            loss=self.loss if of_numbers else CrossEntropy(),
            metrics=NUMBER_METRICS if of_numbers else CLASS_METRICS,
            rank_by="mae" if of_numbers else "accuracy",
            unit=learnt["unit"],
            categories=tuple(map(len, self.encoding.values)),
        )

    def raw_columns(self) -> dict[str, Column]:
        categorical = {self.channels[index] for index in self.encoding.categorical}
        return {
            name: Column("text", "a value at each timestep", 1)
            if name in categorical
            else Column("number", "a number at each timestep", 1)
            for name in self.channels
        }

    def raw_example(self) -> pd.DataFrame:
        means = dict(zip(self.encoding.numeric, self.encoding.scaler.mean.tolist(), strict=True))
        values = dict(zip(self.encoding.categorical, self.encoding.values, strict=True))
        cells = {
            name: [[means[index]] * 10 if index in means else [values[index][-1]] * 10]
            for index, name in enumerate(self.channels)
        }
        return pd.DataFrame(cells)

    def read_file(self, path: Path, notation: Notation) -> FileRead:
        """A file or folder in any of the forms that training takes, without labels or with.

        Raises: `UserError` for a file that cannot be read, or that has other channels.
        """
        how = Reading(kind=self.kind, labelled=False, notation=notation, **self.meta["reading"])
        found = read_sequences(path, str(path), how)
        if missing := [name for name in self.channels if name not in found.channels]:
            raise UserError(f"{path} has no channel '{missing[0]}'; it has {_listed(found.channels)}.")
        if others := [name for name in found.channels if name not in self.channels]:
            found.notes.append(f"channels that the net does not read: {_listed(others)}")
        cells: dict[str, list[Any]] = {name: [] for name in self.channels}
        for values in found.values:
            for name in self.channels:
                index = found.channels.index(name)
                column = values[:, index]
                texts = found.categories.get(index)
                cells[name].append(
                    column if texts is None else [None if np.isnan(each) else texts[int(each)] for each in column]
                )
        return FileRead(pd.DataFrame(cells), "sequence", found.names(str(path)), found.places, found.notes)

    def raw_timestep(self) -> Column:
        kind: Literal["text", "number"] = "text" if self.encoding.categorical else "number"
        return Column(kind, f"a value of each channel ({_listed(self.channels)}), by name or in this order", 1)

    def read_timestep(self, value: Any, before: Timestep | None = None) -> Timestep:
        """value: of each channel, by name or in their order; None, NaN or an empty text where it is missing."""
        now = {
            name: None if _is_missing(cell) or cell == "" else cell for name, cell in self._by_channel(value).items()
        }
        table = pd.DataFrame({name: [[cell]] for name, cell in now.items()})
        if before is None:
            return Timestep(table, self.encode(table), now)
        # a missing number is the last one known
        last = pd.DataFrame({name: [[before.known[name], cell]] for name, cell in now.items()})
        known = {name: before.known[name] if cell is None else cell for name, cell in now.items()}
        return Timestep(table, unlabelled(self.encode(last).inputs[:, -1:]), known)

    def _by_channel(self, value: Any) -> dict[str, Any]:
        cells = value if isinstance(value, Mapping | list | tuple | np.ndarray) else [value]
        if isinstance(cells, Mapping):
            unlike = sorted({*map(str, cells)} ^ {*self.channels})
            if unlike:
                what = "it is missing" if unlike[0] in self.channels else "there is no such channel"
                refuse(0, unlike[0], f"{what}; {_listed(self.channels)} are needed")
            return {name: cells[name] for name in self.channels}
        if len(cells) != len(self.channels):
            refuse(0, self.channels[0], f"found {len(cells)} values, {len(self.channels)} are needed, of "
                   f"{_listed(self.channels)}")  # fmt: skip
        return dict(zip(self.channels, cells, strict=True))

    def encode(self, table: pd.DataFrame) -> Batch:
        return sequences([self._encode_row(row, table) for row in range(len(table))])

    def _encode_row(self, row: int, table: pd.DataFrame) -> NDArray[np.float32]:
        called = table.index[row]
        cells = {name: _cell(table[name].iloc[row], called, name) for name in self.channels}
        lengths = {name: len(cell) for name, cell in cells.items()}
        if len(set(lengths.values())) > 1:
            longest, shortest = max(lengths, key=lengths.__getitem__), min(lengths, key=lengths.__getitem__)
            what = f"{lengths[shortest]} timesteps, and channel '{longest}' has {lengths[longest]}"
            refuse(called, shortest, what)
        values = np.empty((max(lengths.values()), len(self.channels)))
        categories: dict[int, list[str]] = {}
        for index, name in enumerate(self.channels):
            if index in self.encoding.categorical:
                texts = [None if _is_missing(each) else str(each) for each in cells[name]]
                categories[index] = list(dict.fromkeys(text for text in texts if text is not None))
                values[:, index] = [np.nan if text is None else categories[index].index(text) for text in texts]
            else:
                values[:, index] = _numbers(cells[name], called, name)
        return self.encoding.encode(values, categories)

    def features(self, split: Split) -> list[NDArray[np.float32]]:
        """Of each sequence what the net reads, (time, features), categorical channels as a column of 0 and 1 for each
        of their values."""
        categories = self.spec.categories
        numbers = self.spec.input_size - len(categories)

        def columns(series: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
            yield series[:, :numbers]
            for place, size in enumerate(categories, numbers):
                yield np.eye(size, dtype=np.float32)[series[:, place].astype(int)]

        every = (self.series[split][index] for index in range(len(self.series[split])))
        return [np.concatenate(list(columns(series)), axis=1) for series in every]

    def loader(self, split: Split) -> Batches:
        def take(indices: Tensor) -> Batch:
            inputs, lengths = self.series[split].take(indices)
            if self.kind == "tagging":
                targets, _ = self.tags[split].take(indices, padding=IGNORED)
            elif self.kind == "regression":
                scaled = self.target_scaler.scale(self.targets[split][indices.numpy(), None])
                targets = torch.from_numpy(scaled).float()
            else:
                targets = torch.from_numpy(self.labels[split])[indices]
            return Batch(inputs, targets, lengths)

        order = ByLength(self.series[split].lengths, self.seed if split == "train" else None)
        return Batches(take, order, self.batch_size)


def _natural(label: str) -> tuple[int, float, str]:
    """Numbers in their order, before other labels."""
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label


def _listed(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _described(found: Sequences, indices: NDArray[np.int64], kind: str, classes: list[str]) -> str:
    assert found.labels is not None
    text = f"{len(indices)} sequences"
    if found.groups is not None:
        text += f" of {len({found.groups[index] for index in indices})} groups"
    if kind == "regression":
        numbers = np.asarray(found.labels, np.float64)[indices]
        return f"{text}, targets from {numbers.min():.4g} to {numbers.max():.4g}, {numbers.mean():.4g} on the average"
    if kind == "tagging":
        return f"{text}, {sum(len(found.values[index]) for index in indices)} timesteps"
    counts = dict.fromkeys(classes, 0)
    for index in indices:
        counts[found.labels[index]] += 1
    return f"{text}: {_listed([f'{count} {label}' for label, count in counts.items()])}"


def _remarks(found: Sequences, splits: Splits, channels: Channels) -> Iterator[str]:
    """What is worth knowing before anything is learnt."""
    known = np.concatenate([found.values[index] for index in splits["train"]])
    for index in channels.numeric:
        of_channel = known[:, index][~np.isnan(known[:, index])]
        if not len(of_channel):
            yield f"channel '{found.channels[index]}' has no value in the training part: it enters as zeros"
        elif of_channel.min() == of_channel.max():
            yield f"channel '{found.channels[index]}' is always {of_channel[0]:g} in the training part: it says nothing"
    if channels.gaps:
        share = np.mean(np.concatenate([np.isnan(values[:, channels.gaps]).ravel() for values in found.values]))
        yield (
            f"missing values: {share:.1%} of {_listed([found.channels[index] for index in channels.gaps])}; each is "
            "read as the last value known, and a further channel says what was measured"
        )
    places: dict[bytes, set[str]] = {}
    for split, indices in splits.items():
        for index in indices:
            places.setdefault(found.values[index].tobytes(), set()).add(split)
    shared = [parts for parts in places.values() if len(parts) > 1]
    if shared:
        in_test = sum("test" in parts for parts in shared)
        yield f"sequences that occur in two parts: {len(shared)}, of which {in_test} in the test part"


def _share_no_group(groups: list[str], splits: Splits) -> bool:
    met = [{groups[index] for index in indices} for indices in splits.values()]
    return len(set().union(*met)) == sum(map(len, met))


def _write_texts(path: Path, texts: list[str]) -> None:
    np.save(path, np.frombuffer("\n".join(text.replace("\n", " ") for text in texts).encode(), np.uint8))


def _read_texts(path: Path) -> list[str]:
    return bytes(np.load(path).tobytes()).decode().split("\n")


def _cell(cell: Any, row: Any, column: str) -> list[Any] | NDArray[Any]:
    if not isinstance(cell, list | tuple | np.ndarray) or not len(cell):
        refuse(row, column, "a list of a value for each timestep is needed, such as [0.1, 0.2, 0.3]")
    return list(cell) if isinstance(cell, tuple) else cell


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _numbers(cell: list[Any] | NDArray[Any], row: Any, column: str) -> NDArray[np.float64]:
    """NaN where a value is missing."""
    try:
        found = np.array([np.nan if each is None else each for each in cell], np.float64)
    except (TypeError, ValueError, OverflowError):
        refuse(row, column, "not all of its values are numbers")
    if np.isinf(found).any() or found.ndim != 1:
        refuse(row, column, "not all of its values are finite numbers")
    return found
