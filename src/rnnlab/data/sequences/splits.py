"""Which sequences train, choose and judge: as their file says, or drawn so that no group is in two parts."""

import numpy as np
from numpy.typing import NDArray

from rnnlab.data.sequences.sequences import PARTS, Sequences
from rnnlab.data.splits import SPLIT_SEED, Splits, split_at_random, split_by_class
from rnnlab.errors import UserError

BY = ("label", "group", "time")
"""What parts are drawn by: the same share of each label; whole groups; the latest sequences for the test."""

DRAWS = 200
"""Of groups, of which the one is kept whose parts are the closest to the shares asked for."""


def split_sequences(found: Sequences, kind: str, by: str | None, validation: float, test: float) -> tuple[Splits, str]:
    """The parts, and how they came about, in words.

    by: one of `BY`; None: by group where the file names groups, else by label. Where the file names the test part,
    `validation` is a share of the other sequences, drawn by group where there are groups; `test` says nothing then.

    Raises: `UserError` where a part would be empty, or what `by` needs is not there.
    """
    labels = None
    if kind == "classification":
        labels = np.unique(np.asarray(found.labels, str), return_inverse=True)[1]
    if by == "group" and found.groups is None:
        raise UserError(
            "task.by=group: no group is known of a sequence; name the column of groups, as task.group=patient."
        )
    if by == "time" and found.starts is None:
        raise UserError("task.by=time: no time is known of a sequence; name the column of times, as task.time=date.")
    if found.parts is not None:
        if by is not None:
            raise UserError(f"task.by={by}: the file says itself which sequences are of which part; leave task.by out.")
        return _as_given(found, found.parts, labels, validation)
    names = sorted(set(found.labels or ())) if kind == "classification" else None
    return _draw(found, labels, names, by, validation, test)


def _as_given(
    found: Sequences, parts: list[str], labels: NDArray[np.int64] | None, validation: float
) -> tuple[Splits, str]:
    splits = {part: np.flatnonzero(np.array(parts) == part) for part in PARTS}
    for part in ("train", "test"):
        if not len(splits[part]):
            raise UserError(f"The file names the parts of its sequences, and none is of the {part} part.")
    if len(splits["validation"]):
        return splits, "as the file says, the validation part too"
    splits |= hold_out(found, labels, splits["train"], validation)
    return splits, "as the file says"


def hold_out(
    found: Sequences, labels: NDArray[np.int64] | None, training: NDArray[np.int64], validation: float
) -> Splits:
    """Of the sequences to train on, those that are kept for validation, and the others: whole groups where there are
    several, else a share of each label. labels: of all sequences, as numbers; None: they have no classes.

    Raises: `UserError` where a part would be empty.
    """
    of_training = None if labels is None else labels[training]
    if found.groups is not None and len({found.groups[index] for index in training}) > 1:
        chosen = _groups(np.array(found.groups)[training], of_training, {"validation": validation})
        kept = training[chosen == 1]
    else:
        kept = training[_some_of_each(of_training, training, validation)]
    rest = np.setdiff1d(training, kept)
    if not len(rest) or not len(kept):
        raise UserError(f"{len(training)} sequences to train on are too few: none is left for a validation part.")
    return {"train": rest, "validation": kept}


def _some_of_each(labels: NDArray[np.int64] | None, training: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """Places within the training part; of each label with two sequences or more, one at least."""
    rng = np.random.default_rng(SPLIT_SEED)
    labels = np.zeros(len(training), np.int64) if labels is None else labels
    chosen = []
    for label in np.unique(labels):
        free = rng.permutation(np.flatnonzero(labels == label))
        if len(free) > 1:
            chosen.append(free[: max(1, round(share * len(free)))])
    return np.concatenate([*chosen, np.zeros(0, np.int64)])


def _draw(
    found: Sequences,
    labels: NDArray[np.int64] | None,
    names: list[str] | None,
    by: str | None,
    validation: float,
    test: float,
) -> tuple[Splits, str]:
    if by == "time":
        assert found.starts is not None
        order = np.argsort(found.starts, kind="stable")
        for_test, for_validation = round(test * len(found)), round(validation * len(found))
        if min(for_test, for_validation, len(found) - for_test - for_validation) < 1:
            raise UserError(f"{len(found)} sequences are too few: a part would be empty. Give more, or other shares.")
        begin = len(found) - for_test
        parts = (order[: begin - for_validation], order[begin - for_validation : begin], order[begin:])
        return {name: np.sort(part) for name, part in zip(PARTS, parts, strict=True)}, "the latest sequences"
    if by == "group" or (by is None and found.groups is not None):
        assert found.groups is not None
        count = len(set(found.groups))
        if count < len(PARTS):
            raise UserError(
                f"{count} groups cannot fill {len(PARTS)} parts without one in two of them: give more groups, or draw "
                "the parts by label (task.by=label), which shows how well a net knows these groups."
            )
        place = _groups(np.array(found.groups), labels, {"validation": validation, "test": test})
        return {name: np.flatnonzero(place == number) for number, name in enumerate(PARTS)}, "drawn, whole groups"
    if labels is None:
        return split_at_random(len(found), validation, test), "drawn"
    return split_by_class(labels, validation, test, names=names), "drawn, the same share of each label"


def _groups(groups: NDArray[np.str_], labels: NDArray[np.int64] | None, shares: dict[str, float]) -> NDArray[np.int8]:
    """Of each sequence 0, the training part, or the place of its part in `shares` from 1 on.

    Of `DRAWS` orders of the groups the one whose parts are closest to the shares, of each label too, and whose training
    part has all labels; no part is empty.
    """
    names, of_sequence = np.unique(groups, return_inverse=True)
    kinds = np.zeros(len(groups), np.int64) if labels is None else labels
    counts = np.zeros((len(names), kinds.max() + 1))
    np.add.at(counts, (of_sequence, kinds), 1)
    total = counts.sum(axis=0)
    rng = np.random.default_rng(SPLIT_SEED)
    best: tuple[float, NDArray[np.int8]] | None = None
    for _ in range(DRAWS):
        order = rng.permutation(len(names))
        place = np.zeros(len(names), np.int8)
        begin = 0
        for part, share in enumerate(shares.values(), 1):
            left = len(shares) - part + 1  # a group for each part to come, the training part's among them
            sizes = counts.sum(axis=1)[order[begin : len(names) - left]]
            # one more at times: few groups may need it for each label to be met
            end = begin + min(_nearest_end(sizes, share * total.sum()) + int(rng.integers(2)), len(sizes))
            place[order[begin:end]] = part
            begin = end
        found = np.stack([counts[place == part].sum(axis=0) for part in range(len(shares) + 1)])
        wanted = np.array([1 - sum(shares.values()), *shares.values()])[:, None] * total
        lacking = 2 * (found[0] == 0).sum() + 0.5 * (found[1:] == 0).sum()
        cost = float(np.abs(found - wanted).sum() + total.sum() * lacking)
        if best is None or cost < best[0]:
            best = cost, place
    assert best is not None
    return best[1][of_sequence]


def _nearest_end(sizes: NDArray[np.float64], wanted: float) -> int:
    """How many of the groups, one at least, come closest to the size wanted."""
    return int(np.abs(np.cumsum(sizes) - wanted).argmin()) + 1
