"""What all tasks share whose sequences are drawn by rule: what does a cell remember, and for how long?"""

from abc import abstractmethod
from pathlib import Path
from string import ascii_uppercase
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from rnnlab.data.batches import Batch, Batches, ByLength
from rnnlab.data.ragged import Ragged
from rnnlab.data.vocabulary import IGNORED
from rnnlab.datasets.generated import Generated
from rnnlab.errors import UserError
from rnnlab.losses import CrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.statistics import proportion_interval
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.classification.base import METRICS, Classification
from rnnlab.tasks.raw_input import Column, refuse, sequences, tokens
from rnnlab.tasks.task import SPLITS, Array, Model, Split, Task, check_whole

ROUNDS = 100
"""How often sequences that another part has already are drawn anew, before there are taken to be too few of them."""

SHOWN_STEPS = 200
SHOWN_TOKENS = 90

Drawn = tuple[NDArray[Any], NDArray[Any]]
"""Inputs (sequences, time, ...) and targets, (sequences, ...) or (sequences, time)."""


class SyntheticMemory(Task):
    """Sequences drawn by rule, once. A task that derives from it gives `draw`, and says in `unit` what `length` counts.

    length: of the sequences to train and to validate on, and of those that rank. shortest: train on all lengths from
        this one to `length`; None: on `length` alone. test_lengths: what is tested beside `length`.
    train, validation, test: how many sequences; of `test`, for each length.

    The test part is drawn first; what it holds is drawn for no other part, nor the validation part's for training.
    """

    layout: ClassVar[Literal["many_to_one", "many_to_many"]]
    unit: ClassVar[str]
    least_length: ClassVar[int] = 1

    def __init__(
        self,
        name: str,
        length: int,
        shortest: int | None = None,
        test_lengths: Any = (),
        train: int = 20_000,
        validation: int = 1_000,
        test: int = 1_000,
        batch_size: int = 64,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.length = length
        self.shortest = length if shortest is None else shortest
        self.test_lengths = test_lengths
        self.sizes: dict[Split, int] = {"train": train, "validation": validation, "test": test}
        self.batch_size = batch_size

    @abstractmethod
    def draw(self, rng: np.random.Generator, size: int, length: int) -> Drawn:
        """`size` sequences of one length. Targets of `many_to_many` are `IGNORED` where nothing is asked."""

    def check(self) -> None:
        if not hasattr(self.test_lengths, "__iter__") or isinstance(self.test_lengths, str):
            raise UserError(f"task.test_lengths={self.test_lengths}: a list is needed, such as [100,200], or [].")
        for key, lengths in (
            ("length", [self.length]),
            ("shortest", [self.shortest]),
            ("test_lengths", self.test_lengths),
        ):
            for length in lengths:
                self.check_length(key, length)
        if self.shortest > self.length:
            raise UserError(f"task.shortest={self.shortest} is more than task.length={self.length}.")
        for key, size in self.sizes.items():
            check_whole(key, size, at_least=2)
        check_whole("batch_size", self.batch_size)

    def check_length(self, key: str, length: Any) -> None:
        """Raises: `UserError` for a length that no sequence can have."""
        check_whole(key, length, at_least=self.least_length)

    @property
    def lengths(self) -> list[int]:
        """All lengths that are tested, ascending."""
        return sorted({self.length, *self.test_lengths})

    def _counts(self, split: Split) -> dict[int, int]:
        """How many sequences of each length a part has."""
        size = self.sizes[split]
        if split == "test":
            return dict.fromkeys(self.lengths, size)
        if split == "validation":
            return {self.length: size}
        lengths = range(self.shortest, self.length + 1)
        share, rest = divmod(size, len(lengths))
        return {length: share + (number < rest) for number, length in enumerate(lengths)}

    def prepare(self, dataset: Generated, raw: Path, folder: Path) -> dict[str, Any]:
        dataset.fetched(raw)
        seen: set[bytes] = set()
        for split in reversed(SPLITS):
            drawn = [
                self._draw_unseen(dataset.generator(SPLITS.index(split), length), size, length, seen)
                for length, size in self._counts(split).items()
            ]
            if split != "train":
                seen.update(row.tobytes() for inputs, _ in drawn for row in inputs)
            rows = [row for inputs, _ in drawn for row in inputs]
            Ragged.write(folder, f"{split}_inputs", rows, drawn[0][0].dtype)
            targets = [row for _, targets in drawn for row in targets]
            if self.layout == "many_to_many":
                Ragged.write(folder, f"{split}_targets", targets, drawn[0][1].dtype)
            else:
                np.save(folder / f"{split}_targets.npy", np.stack(targets))
        trained = f"{self.shortest} to {self.length}" if self.shortest < self.length else f"{self.length}"
        return {
            "report": {
                "train": f"{self.sizes['train']} sequences of {trained} {self.unit}",
                "validation": f"{self.sizes['validation']} sequences of {self.length} {self.unit}",
                "test": f"{self.sizes['test']} sequences of each of {', '.join(map(str, self.lengths))} {self.unit}",
            }
        }

    def _draw_unseen(self, rng: np.random.Generator, size: int, length: int, seen: set[bytes]) -> Drawn:
        inputs, targets = self.draw(rng, size, length)
        for _ in range(ROUNDS):
            again = np.flatnonzero([row.tobytes() in seen for row in inputs])
            if not len(again):
                return inputs, targets
            inputs[again], targets[again] = self.draw(rng, len(again), length)
        raise UserError(
            f"There are too few different sequences of {length} {self.unit} for {size} that no other part has: give a "
            f"larger task.length (or task.test_lengths, task.shortest), or smaller parts than {self.sizes}."
        )

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self._inputs = {split: Ragged.open(folder, f"{split}_inputs") for split in SPLITS}
        self._targets: dict[Split, Any] = {
            split: Ragged.open(folder, f"{split}_targets")
            if self.layout == "many_to_many"
            else torch.from_numpy(np.load(folder / f"{split}_targets.npy"))
            for split in SPLITS
        }
        self.length_of = np.repeat(self.lengths, self.sizes["test"])

    def _take(self, split: Split, indices: Tensor) -> Batch:
        inputs, lengths = self._inputs[split].take(indices)
        targets = self._targets[split]
        uneven = bool((lengths != inputs.shape[1]).any())
        return Batch(
            inputs,
            targets.take(indices, padding=IGNORED)[0] if isinstance(targets, Ragged) else targets[indices],
            lengths if uneven else None,  # all cells are faster where no sequence ends before the others
        )

    def loader(self, split: Split) -> Batches:
        order = ByLength(self._inputs[split].lengths, self.seed if split == "train" else None)
        return Batches(lambda indices: self._take(split, indices), order, self.batch_size)

    def unfold(self, model: Model) -> tuple[Batch, NDArray[np.int64], Array]:
        """One test sequence of the training length, and what the net says after so many of its timesteps.

        Returns: the sequence as a batch, the numbers of timesteps (n,), and the outputs (n, output_size).
        """
        index = int(np.flatnonzero(self.length_of == self.length)[0])
        batch = self._take("test", torch.tensor([index])).to(model.device)
        time = batch.inputs.shape[1]
        model.eval()
        with torch.inference_mode():
            if self.layout == "many_to_many":
                return batch, np.arange(1, time + 1), model(batch)[0].double().cpu().numpy()
            steps = torch.linspace(1, time, min(time, SHOWN_STEPS)).long()
            inputs, targets = (part.expand(len(steps), *part.shape[1:]) for part in (batch.inputs, batch.targets))
            outputs = model(Batch(inputs, targets, steps.to(model.device)))
        return batch, steps.numpy(), outputs.double().cpu().numpy()


class MemoryClassification(SyntheticMemory, Classification):
    """Answers with one of a few classes, to the whole sequence or at some of its timesteps.

    The table of predictions has a row for each answer, and beside the columns of `Classification` the number of its
    `sequence`, that one's `length`, and the `position` of the answer among those of the sequence, from 1.
    """

    @abstractmethod
    def names(self) -> tuple[list[str], list[str]]:
        """Of the input's tokens and of the answers, by their numbers."""

    def prepare(self, dataset: Generated, raw: Path, folder: Path) -> dict[str, Any]:
        facts = super().prepare(dataset, raw, folder)
        targets = {split: set(np.load(folder / f"{split}_targets.npy").tolist()) for split in SPLITS}
        unknown = (targets["validation"] | targets["test"]) - targets["train"]
        if unknown:
            classes = self.names()[1]
            raise UserError(
                f"task.train={self.sizes['train']}: no training sequence has the answer "
                f"{', '.join(classes[number] for number in sorted(unknown))}: give more of them."
            )
        return facts

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        super().open(folder, meta, seed)
        targets = self._targets["test"]
        if isinstance(targets, Ragged):
            asked = targets.values != IGNORED
            counts = np.add.reduceat(asked, targets.offsets[:-1].numpy(), dtype=np.int64)
            self.test_labels = targets.values[asked].astype(np.int64)
        else:
            counts = np.ones(len(targets), np.int64)
            self.test_labels = targets.numpy()
        self._sequence = np.repeat(np.arange(len(counts)), counts)
        self._position = np.arange(len(self._sequence)) - np.repeat(np.cumsum(counts) - counts, counts) + 1

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.tokens, self.classes = self.names()
        several = {"exact": "max"} if self.layout == "many_to_many" else {}
        self.spec = TaskSpec(
            task=self.task_name,
            layout=self.layout,
            input_size=len(self.tokens),
            output_size=len(self.classes),
            loss=CrossEntropy(),
            metrics=METRICS | several,
            rank_by="accuracy",
            tokens=True,
            parts=self.unit,
        )

    def raw_columns(self) -> dict[str, Column]:
        return {"sequence": Column("text", f"a list of tokens, of {' '.join(self.tokens)}", 1)}

    def raw_example(self) -> pd.DataFrame:
        inputs, _ = self.draw(np.random.default_rng(0), 1, self.length)
        return pd.DataFrame({"sequence": [[self.tokens[number] for number in inputs[0].tolist()]]})

    def encode(self, table: pd.DataFrame) -> Batch:
        number_of = {token: number for number, token in enumerate(self.tokens)}
        found = []
        for row, given in zip(table.index, tokens(table, "sequence"), strict=True):
            unknown = [token for token in given if token not in number_of]
            if unknown:
                refuse(row, "sequence", f"found {unknown[0]!r}, which is none of {' '.join(self.tokens)}")
            found.append(np.array([number_of[token] for token in given]))
        return sequences(found)

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """As of any classification; of `many_to_many` at each timestep, also where nothing is asked."""
        if self.layout == "many_to_one":
            return super().say(model, batch, table)
        return self.named_timesteps(model(batch.to(model.device)), batch, table)

    def columns(self) -> dict[str, Any]:
        return {
            "sequence": self._sequence,
            "length": self.length_of[self._sequence],
            "position": self._position,
        }

    def predict(self, model: Model) -> pd.DataFrame:
        logits, counts = [], []
        for batch, prediction in self.answers(model):
            asked = batch.targets != IGNORED
            logits.append(prediction[asked].double().cpu())
            counts.append(asked.reshape(len(asked), -1).sum(1).cpu())
        sequence = self.loader("test").positions().repeat_interleave(torch.cat(counts))
        as_they_lie = torch.argsort(sequence, stable=True)
        return self.table(softmax(torch.cat(logits)[as_they_lie].numpy(), axis=1))

    def losses(self, predictions: pd.DataFrame) -> Array:
        """The share of wrong answers in each sequence of the training length."""
        return 1.0 - _right_by_sequence(predictions[predictions["length"] == self.length])

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """Those of `Classification`, of the training length, and with the suffix _<length> of each length.

        The 95 % interval of the accuracy counts a sequence as one trial, for its answers depend on each other. Where
        it has several, `exact` is the share of sequences without a wrong one.
        """
        result: dict[str, float] = {}
        for length in self.lengths:
            part = predictions[predictions["length"] == length]
            right = _right_by_sequence(part)
            found = super().judge(part)
            found["accuracy_low"], found["accuracy_high"] = proportion_interval(right, 1)
            if self.layout == "many_to_many":
                found["exact"] = float((right == 1).mean())
            found |= self.further_metrics(length, found)
            result |= {f"{key}_{length}": value for key, value in found.items()}
            if length == self.length:
                result |= found
        return result

    def further_metrics(self, length: int, found: dict[str, float]) -> dict[str, float]:
        """What the literature reports beside the others, from those of one length."""
        return {}

    def chance(self) -> pd.DataFrame:
        """Every answer as likely as any other.

        Which one is given is drawn, the same each time, so that of each length one in so many is right, as is to be
        expected: always the first class would be right as often as the test part happens to have it.
        """
        classes = len(self.classes)
        table = self.table(np.full((len(self.test_labels), classes), 1 / classes))
        rng = np.random.default_rng(0)
        counts = table.groupby("length").size()  # the rows lie in the order of their lengths
        beside = np.concatenate([rng.permutation(np.arange(count) % classes) for count in counts])
        return table.assign(predicted=(self.test_labels + beside) % classes)

    def baselines(self) -> dict[str, pd.DataFrame]:
        """chance: every answer as likely as any other. linear, many to one: logistic regression on how often each token
        occurs, whatever the order."""
        if self.layout == "many_to_many":
            return {"chance": self.chance()}
        probabilities = logistic_regression(
            self._bags("train"),
            self._targets["train"].numpy(),
            self._bags("validation"),
            self._targets["validation"].numpy(),
            self._bags("test"),
            len(self.classes),
        )
        return {"linear": self.table(probabilities), "chance": self.chance()}

    def _bags(self, split: Split) -> Array:
        inputs = self._inputs[split]
        bags = np.zeros((len(inputs), len(self.tokens)))
        np.add.at(bags, (np.repeat(np.arange(len(inputs)), inputs.lengths.numpy()), inputs.values), 1)
        return bags

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """Accuracy by length."""
        whole = pd.concat(predictions)
        right = whole["label"] == whole["predicted"]
        return right.groupby(whole["length"]).mean().rename_axis("part").reset_index(name="score")

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        trained = [table[table["length"] == self.length] for table in predictions]
        return {"by_length": self._draw_by_length(predictions, name), **super().figures(trained, name)}

    def _draw_by_length(self, predictions: list[pd.DataFrame], name: str) -> Figure:
        """Accuracy by length and, where a sequence has several answers, by their place in it."""
        panels = 2 if self.layout == "many_to_many" else 1
        figure = Figure(figsize=(5.5 * panels, 4), layout="constrained")
        left, *right = figure.subplots(1, panels, squeeze=False)[0]
        rows = self.plot_rows(predictions)
        left.plot(rows["part"], rows["score"], marker="o", color="C1", label=name)
        mark_lengths(left, self.lengths, self.length, self.unit)
        left.set_title(f"{name}: accuracy by length", fontsize=10)
        for axes in right:
            whole = pd.concat(predictions)
            whole = whole.assign(right=whole["label"] == whole["predicted"])
            for number, (length, part) in enumerate(whole.groupby("length")):
                score = part.groupby("position")["right"].mean()
                axes.plot(score.index, score, color=f"C{number}", linewidth=1.2, label=f"{length} {self.unit}")
            axes.set_xlabel("place of the answer in its sequence")
            axes.set_title("by place", fontsize=10)
        for axes in (left, *right):
            axes.axhline(1 / len(self.classes), color="black", linewidth=1, linestyle="--", label="chance")
            axes.set_ylim(-0.02, 1.05)
            axes.set_ylabel("share of right answers")
            axes.legend(frameon=False, fontsize=8)
        return figure

    def look(self, model: Model) -> dict[str, Figure]:
        batch, steps, outputs = self.unfold(model)
        tokens = [self.tokens[number] for number in batch.inputs[0].tolist()]
        targets = np.full(len(tokens), IGNORED)
        targets[-1 if self.layout == "many_to_one" else slice(None)] = batch.targets[0].cpu().numpy()
        return {"answers": self._draw_answers(tokens, targets, steps, softmax(outputs, axis=1))}

    def _draw_answers(
        self, tokens: list[str], targets: NDArray[np.int64], steps: NDArray[np.int64], probabilities: Array
    ) -> Figure:
        """The probability of each answer after each timestep of one sequence; circles: the right ones, where asked."""
        width = float(np.clip(0.17 * len(tokens) + 1.8, 5.5, 16))
        figure = Figure(figsize=(width, 1.6 + 0.2 * len(self.classes)), layout="constrained")
        axes = figure.subplots()
        picture = axes.pcolormesh(
            steps, np.arange(len(self.classes)), probabilities.T, cmap="Blues", vmin=0, vmax=1, shading="nearest"
        )
        asked = np.flatnonzero(targets != IGNORED)
        axes.scatter(asked + 1, targets[asked], s=22, facecolors="none", edgecolors="C1", linewidths=1.3)
        axes.set_yticks(range(len(self.classes)), self.classes, fontsize=8)
        axes.invert_yaxis()
        if len(tokens) <= SHOWN_TOKENS:
            turned = max(map(len, tokens)) > 1
            axes.set_xticks(range(1, len(tokens) + 1), tokens, rotation=90 if turned else 0, fontsize=7)
        axes.set_xlabel("what the net has read")
        axes.set_ylabel("its answer")
        axes.set_title("Probability of each answer so far; circles: the right ones", fontsize=9)
        figure.colorbar(picture, ax=axes, shrink=0.8)
        return figure


def _right_by_sequence(predictions: pd.DataFrame) -> Array:
    right = (predictions["label"] == predictions["predicted"]).astype(np.float64)
    return np.asarray(right.groupby(predictions["sequence"]).mean())


def mark_lengths(axes: Axes, lengths: list[int], trained: int, unit: str) -> None:
    """An axis of the tested lengths, with a line where training ended."""
    axes.axvline(trained, color="grey", linewidth=1, linestyle=":", label=f"trained up to {trained}")
    axes.set_xscale("log")
    axes.set_xticks(lengths, [str(length) for length in lengths])
    axes.minorticks_off()
    axes.set_xlabel(unit)


def check_symbols(symbols: Any) -> None:
    """Raises: `UserError` unless task.symbols is from 2 to 26, a letter for each."""
    check_whole("symbols", symbols, at_least=2)
    if symbols > len(ascii_uppercase):
        raise UserError(f"task.symbols={symbols}: at most {len(ascii_uppercase)} have a letter of their own.")
