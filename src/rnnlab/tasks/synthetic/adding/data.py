"""The adding problem: two numbers of a long sequence are marked, what is their sum?"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnnlab.data.batches import Batch
from rnnlab.losses import SquaredError
from rnnlab.spec import TaskSpec
from rnnlab.tasks.raw_input import Column, arrays, sequences
from rnnlab.tasks.synthetic.data import Drawn, SyntheticMemory, mark_lengths
from rnnlab.tasks.task import Array, Model, Split

SOLVED = 0.01
"""A mean squared error below which the problem counts as solved: a sixteenth of that of always saying 1."""


class AddingData(SyntheticMemory):
    """Numbers drawn evenly from [0, 1], one of them marked in each half of the sequence:

        input    0.39 0.81 0.07 0.55 0.94 0.13 0.20 0.68
                 0    1    0    0    0    0    1    0
        target   1.01

    From Hochreiter and Schmidhuber (1997), in the form of Le, Jaitly and Hinton (2015). Always saying 1 has a mean
    squared error of 1/6.

    length: timesteps.
    """

    reference: ClassVar[str] = "constant"
    layout = "many_to_one"
    unit = "timesteps"
    least_length = 2

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        super().open(folder, meta, seed)
        self._test_sums: Array = self._targets["test"].double().numpy()[:, 0]

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.spec = TaskSpec(
            task=self.task_name,
            layout=self.layout,
            input_size=2,
            output_size=1,
            loss=SquaredError(),
            metrics={"mse": "min", "mae": "min", "solved": "max"},
            rank_by="mse",
            parts=self.unit,
        )

    def draw(self, rng: np.random.Generator, size: int, length: int) -> Drawn:
        rows, half = np.arange(size), length // 2
        inputs = np.zeros((size, length, 2), np.float32)
        inputs[:, :, 0] = rng.random((size, length), np.float32)
        first, second = rng.integers(half, size=size), rng.integers(half, length, size=size)
        inputs[rows, first, 1] = inputs[rows, second, 1] = 1
        return inputs, inputs[rows, first, :1] + inputs[rows, second, :1]

    def raw_columns(self) -> dict[str, Column]:
        return {"sequence": Column("number", "pairs of a number from 0 to 1 and its mark, 0 or 1", 2)}

    def raw_example(self) -> pd.DataFrame:
        return pd.DataFrame({"sequence": [self.draw(np.random.default_rng(0), 1, self.length)[0][0].tolist()]})

    def encode(self, table: pd.DataFrame) -> Batch:
        return sequences([pairs.astype(np.float32) for pairs in arrays(table, "sequence", (None, 2))])

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """predicted: the sum."""
        sums = model(batch.to(model.device))[:, 0].double().cpu().numpy()
        return pd.DataFrame({"predicted": sums}, index=table.index)

    def _table(self, sums: Array) -> pd.DataFrame:
        """A row for each test sequence."""
        return pd.DataFrame({"length": self.length_of, "actual": self._test_sums, "predicted": sums})

    def predict(self, model: Model) -> pd.DataFrame:
        return self._table(self.outputs(model)[:, 0])

    def baselines(self) -> dict[str, pd.DataFrame]:
        """constant: 1, the mean of all sums. linear: a line in the mean of the sequence's numbers, least squares.

        By symmetry a line in the mean is what linear regression on all the numbers comes to. Every number is marked
        with probability 2 / T, so it explains 1 / 3T of the variance of 1/6.
        """
        slope, intercept = np.polyfit(self._means("train"), self._targets["train"].numpy()[:, 0], 1)
        return {
            "constant": self._table(np.ones(len(self._test_sums))),
            "linear": self._table(intercept + slope * self._means("test")),
        }

    def _means(self, split: Split) -> Array:
        inputs = self._inputs[split]
        sums = np.add.reduceat(inputs.values[:, 0], inputs.offsets[:-1].numpy(), dtype=np.float64)
        means: Array = sums / inputs.lengths.numpy()
        return means

    def losses(self, predictions: pd.DataFrame) -> Array:
        """The squared error of each sequence of the training length."""
        return _squared_errors(predictions[predictions["length"] == self.length])

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """Of the sequences of the training length, and with the suffix _<length> of each length:

        mse, mae  mean squared and mean absolute error
        solved    1 where mse is below 0.01, else 0: over seeds, the share of those that solve it
        """
        result: dict[str, float] = {}
        for length in self.lengths:
            squared = _squared_errors(predictions[predictions["length"] == length])
            found = {
                "mse": float(squared.mean()),
                "mae": float(np.sqrt(squared).mean()),
                "solved": float(squared.mean() < SOLVED),
            }
            result |= {f"{key}_{length}": value for key, value in found.items()}
            if length == self.length:
                result |= found
        return result

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """Mean squared error by length."""
        metrics = self.metrics(predictions)
        return pd.DataFrame({"part": self.lengths, "score": [metrics[f"mse_{length}"] for length in self.lengths]})

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        figure = Figure(figsize=(10.5, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
        rows = self.plot_rows(predictions)
        left.plot(rows["part"], rows["score"], marker="o", color="C1", label=name)
        left.axhline(1 / 6, color="black", linewidth=1, linestyle="--", label="always 1")
        left.axhline(SOLVED, color="C2", linewidth=1, linestyle="--", label="solved")
        mark_lengths(left, self.lengths, self.length, self.unit)
        left.set_yscale("log")
        left.set_ylabel("mean squared error")
        left.set_title(f"{name}: error by length, mean of {len(predictions)} seed(s)", fontsize=10)
        left.legend(frameon=False, fontsize=8)

        trained = predictions[0][predictions[0]["length"] == self.length]
        right.plot([0, 2], [0, 2], color="black", linewidth=1, linestyle="--")
        right.scatter(trained["actual"], trained["predicted"], s=5, color="C1", alpha=0.5, linewidths=0)
        right.set_xlim(0, 2)
        right.set_xlabel("sum")
        right.set_ylabel("answer")
        right.set_title(f"{self.length} timesteps, one seed", fontsize=10)
        return {"by_length": figure}

    def look(self, model: Model) -> dict[str, Figure]:
        """One test sequence, and what the net would answer if it ended after each of its timesteps."""
        batch, steps, outputs = self.unfold(model)
        numbers, marks = batch.inputs[0].cpu().numpy().T
        marked = np.flatnonzero(marks)
        known = np.cumsum(numbers * marks)
        figure = Figure(figsize=(9, 4), layout="constrained")
        axes = figure.subplots()
        time = np.arange(1, len(numbers) + 1)
        axes.bar(time, numbers, color="0.8", width=0.8, label="numbers")
        axes.bar(marked + 1, numbers[marked], color="C1", width=0.8, label="marked")
        axes.step(
            time, known, where="post", color="black", linewidth=1, linestyle="--", label="sum of the marked so far"
        )
        axes.plot(steps, outputs[:, 0], color="C0", linewidth=1.8, label="answer so far")
        axes.set_xlabel("timestep")
        axes.set_title(f"Sum {known[-1]:.2f}, answer {outputs[-1, 0]:.2f}", fontsize=10)
        axes.legend(frameon=False, fontsize=8, ncols=4)
        return {"answer": figure}


def _squared_errors(predictions: pd.DataFrame) -> Array:
    errors: Array = (predictions["predicted"] - predictions["actual"]).to_numpy(np.float64) ** 2
    return errors
