"""Which examples train, choose and judge: drawn once, the same for every seed of a training."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnnlab.arguments import refusal
from rnnlab.errors import UserError

SPLIT_SEED = 0

Splits = dict[str, NDArray[np.int64]]
"""The indices of "train", "validation" and "test", each ascending."""


PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What each part of a data set is called, in lower case."""


def split_by_class(
    labels: NDArray[np.integer],
    validation: float,
    test: float,
    is_test: NDArray[np.bool_] | None = None,
    names: Sequence[str] | None = None,
) -> Splits:
    """The same share of each class to each part.

    validation, test: shares of all examples; where `is_test` marks an official test split, `validation` is a share of
    the rest, and `test` says nothing. names: of the classes, for an error.

    Raises: `UserError` where a class that occurs at all is missing from a part, but for an official test split.
    """
    official = is_test is not None and bool(is_test.any())
    rng = np.random.default_rng(SPLIT_SEED)
    part = np.zeros(len(labels), np.int8)  # 0 train, 1 validation, 2 test
    if official:
        assert is_test is not None
        part[is_test] = 2
    for label in np.unique(labels):
        free = rng.permutation(np.flatnonzero((labels == label) & (part == 0)))
        for_test = 0 if official else round(test * len(free))
        for_validation = round(validation * len(free))
        part[free[:for_test]] = 2
        part[free[for_test : for_test + for_validation]] = 1
        counts = np.bincount(part[labels == label], minlength=3)
        for name, count in zip(("train", "validation", "test"), counts, strict=True):
            if count == 0 and not (official and name == "test"):
                raise UserError(
                    f"class {label if names is None else names[label]} has {len(free)} examples to share out, and none "
                    f"is left for the {name} part: give more data, or other shares."
                )
    return {name: np.flatnonzero(part == number) for number, name in enumerate(("train", "validation", "test"))}


def split_at_random(size: int, validation: float, test: float) -> Splits:
    """Raises: `UserError` where a part would be empty."""
    order = np.random.default_rng(SPLIT_SEED).permutation(size)
    for_test, for_validation = round(test * size), round(validation * size)
    parts = {
        "train": order[for_test + for_validation :],
        "validation": order[for_test : for_test + for_validation],
        "test": order[:for_test],
    }
    for name, indices in parts.items():
        if len(indices) == 0:
            raise UserError(
                f"{size} examples are too few: none is left for the {name} part. Give more, or other shares."
            )
    return {name: np.sort(indices) for name, indices in parts.items()}


def with_training(splits: Splits, size: int | None, labels: NDArray[np.integer] | None = None) -> Splits:
    """The same parts with `size` of the training examples, the same at each call; None: all.

    labels: of all examples; where they are given, as many of each class are kept as its share allows. What a smaller
    size keeps, a larger one keeps as well.

    Raises: `UserError` where there are fewer, and where one class alone would be left, which teaches nothing.
    """
    if size is None:
        return splits
    training = splits["train"]
    if size > len(training):
        raise UserError(refusal("task.train", f"at most {len(training)}, the size of the training part", size))
    rng = np.random.default_rng(SPLIT_SEED)
    place = np.empty(len(training))
    classes = np.zeros(len(training)) if labels is None else labels[training]
    for label in np.unique(classes):
        of_class = np.flatnonzero(classes == label)
        # evenly from 0 to 1, so that those up to any place hold the share of each class
        place[rng.permutation(of_class)] = (np.arange(len(of_class)) + 0.5) / len(of_class)
    order = np.argsort(place, kind="stable")
    others = np.flatnonzero(classes[order] != classes[order[0]])
    if len(others) and size <= others[0]:
        raise UserError(refusal("task.train", f"at least {others[0] + 1}, of which two classes are met", size))
    return {**splits, "train": np.sort(training[order[:size]])}
