"""Figures of sums: errors by length, and the answer after each timestep."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnnlab.tasks.figures import Figures
from rnnlab.tasks.judging import Model
from rnnlab.tasks.synthetic.adding.data import SOLVED, AddingData
from rnnlab.tasks.synthetic.figures import mark_lengths, unfold


class AddingFigures(Figures):
    """Errors by length, and what a net would answer after each timestep of one sequence."""

    task: AddingData

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        figure = Figure(figsize=(10.5, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
        rows = self.judging.plot_rows(predictions)
        left.plot(rows["part"], rows["score"], marker="o", color="C1", label=name)
        left.axhline(1 / 6, color="black", linewidth=1, linestyle="--", label="always 1")
        left.axhline(SOLVED, color="C2", linewidth=1, linestyle="--", label="solved")
        mark_lengths(left, self.task.lengths, self.task.length, self.task.parts)
        left.set_yscale("log")
        left.set_ylabel("mean squared error")
        left.set_title(f"{name}: error by length, mean of {len(predictions)} seed(s)", fontsize=10)
        left.legend(frameon=False, fontsize=8)

        trained = predictions[0][predictions[0]["length"] == self.task.length]
        right.plot([0, 2], [0, 2], color="black", linewidth=1, linestyle="--")
        right.scatter(trained["actual"], trained["predicted"], s=5, color="C1", alpha=0.5, linewidths=0)
        right.set_xlim(0, 2)
        right.set_xlabel("sum")
        right.set_ylabel("answer")
        right.set_title(f"{self.task.length} timesteps, one seed", fontsize=10)
        return {"by_length": figure}

    def inspect(self, model: Model) -> dict[str, Figure]:
        """One test sequence, and what the net would answer if it ended after each of its timesteps."""
        batch, steps, outputs = unfold(self.task, model)
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
