"""What the data of all tasks have in common that answer with one of a few classes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnlab.tasks.task import Split, Task

METRICS: dict[str, Any] = {"accuracy": "max", "macro_f1": "max", "nll": "min", "calibration_error": "min"}


class ClassificationData(Task):
    """A task with one label for each example. A task that derives from it sets what `open` finds:

    classes: their names, in the order of the net's outputs.
    labels: of each split, the class of each of its examples, (examples,).
    """

    classes: list[str]
    labels: dict[Split, NDArray[np.int64]]
