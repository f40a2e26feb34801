"""What answers sequences drawn by rule without recurrence."""

from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from rnnlab.data.ragged import Ragged
from rnnlab.data.vocabulary import IGNORED
from rnnlab.tasks.baselines.baselines import Predict
from rnnlab.tasks.baselines.classifiers import Classify
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.classification.baselines import ClassificationBaselines
from rnnlab.tasks.synthetic.data import SyntheticClassificationData
from rnnlab.tasks.synthetic.judging import SyntheticClassificationJudging
from rnnlab.tasks.task import SPLITS, Array, Split

WIDTHS = (4, 16, 64)
"""Of windows, in timesteps; none is longer than the longest training sequence."""

ANSWERS = 40_000
"""That a window is fitted to, at most: so many say which place matters."""


class ChanceBaselines(ClassificationBaselines):
    """chance: every answer as likely as any other."""

    trivial: ClassVar[str] = "chance"
    task: SyntheticClassificationData
    judging: SyntheticClassificationJudging

    def fitted(self) -> dict[str, Predict]:
        return {"chance": self.chance}

    def chance(self, split: Split = "test") -> pd.DataFrame:
        """Every answer as likely as any other.

        Which one is given is drawn, the same each time, so that of each length one in so many is right, as is to be
        expected: always the first class would be right as often as the split happens to have it.
        """
        labels, classes = self.task.labels[split], len(self.task.classes)
        table = self.judging.table(np.full((len(labels), classes), 1 / classes), split)
        rng = np.random.default_rng(0)
        counts = table.groupby("length").size()  # the rows are in the order of their lengths
        beside = np.concatenate([rng.permutation(np.arange(count) % classes) for count in counts])
        return table.assign(predicted=(labels + beside) % classes)


class WindowBaselines(ChanceBaselines):
    """window: logistic regression on which token stands at each place of a window, that is each of the last timesteps
    and, where the whole sequence has one answer, each of the first. How many, the accuracy on validation decides. It
    looks back where a cell has to remember. chance: every answer as likely as any other.
    """

    def fitted(self) -> dict[str, Predict]:
        return {"window": self._window(), **super().fitted()}

    def _window(self) -> Predict:
        longest = int(self.task.inputs["train"].lengths.max())
        asked, y = {split: self._asked(split) for split in SPLITS}, self.task.labels
        learnt = np.random.default_rng(0).permutation(len(y["train"]))[:ANSWERS]
        best: tuple[Classify, int] | None = None
        highest = -np.inf
        for width in sorted({min(width, longest) for width in WIDTHS}):
            x = self._places("train", asked["train"][learnt], width)
            x_validation = self._places("validation", asked["validation"], width)
            classify = logistic_regression(x, y["train"][learnt], x_validation, y["validation"], len(self.task.classes))
            accuracy = (classify(x_validation).argmax(axis=1) == y["validation"]).mean()
            if accuracy > highest:
                best, highest = (classify, width), accuracy
        assert best is not None
        classify, width = best
        return lambda split: self.judging.table(classify(self._places(split, asked[split], width)), split)

    def _asked(self, split: Split) -> NDArray[np.int64]:
        """The timesteps that have an answer, as places in the values of all sequences."""
        targets = self.task.targets[split]
        if isinstance(targets, Ragged):
            return np.flatnonzero(targets.values != IGNORED)
        return self.task.inputs[split].offsets.numpy()[1:] - 1

    def _places(self, split: Split, asked: NDArray[np.int64], width: int) -> sparse.csr_matrix:
        """For each answer a row, zero at places before the beginning of its sequence or behind its end."""
        inputs, size = self.task.inputs[split], len(self.task.tokens)
        begins = np.repeat(inputs.offsets.numpy()[:-1], inputs.lengths.numpy())[asked]
        steps = np.arange(width)
        at = asked[:, None] - steps
        if self.task.layout == "many_to_one":
            at = np.hstack([at, begins[:, None] + steps])
        inside = (at >= begins[:, None]) & (at <= asked[:, None])
        columns = inputs.values[np.where(inside, at, 0)].astype(np.int64) + size * np.arange(at.shape[1])
        ends = np.cumsum(inside.sum(axis=1))
        return sparse.csr_matrix(
            (np.ones(ends[-1]), columns[inside], np.append(0, ends)), (len(asked), size * at.shape[1])
        )


class BagBaselines(WindowBaselines):
    """linear: logistic regression on how often each token occurs, whatever the order. window: on which token stands at
    each place of a window. chance: every answer as likely as any other. For tasks with one answer to each sequence.
    """

    def fitted(self) -> dict[str, Predict]:
        x, y = {split: self._bags(split) for split in SPLITS}, self.task.labels
        linear = logistic_regression(x["train"], y["train"], x["validation"], y["validation"], len(self.task.classes))
        return {"linear": self.predict_by(linear, x), **super().fitted()}

    def _bags(self, split: Split) -> Array:
        inputs = self.task.inputs[split]
        bags = np.zeros((len(inputs), len(self.task.tokens)))
        np.add.at(bags, (np.repeat(np.arange(len(inputs)), inputs.lengths.numpy()), inputs.values), 1)
        return bags
