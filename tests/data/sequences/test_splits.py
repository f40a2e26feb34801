"""Which sequences train, choose and judge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlab.data.sequences.sequences import Sequences
from rnnlab.data.sequences.splits import split_sequences
from rnnlab.errors import UserError


def some(labels: list[str], **more: object) -> Sequences:
    values = [np.array([[float(number)]]) for number in range(len(labels))]
    places = [f"line {number}" for number in range(len(labels))]
    return Sequences(values, ["x"], list(labels), places, **more)  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), min_size=12, max_size=60))
def test_nobody_is_in_two_parts(drawn: list[tuple[int, int]]) -> None:
    groups = [f"p{person}" for person, _ in drawn]
    found = some([f"c{label}" for _, label in drawn], groups=groups)
    if len(set(groups)) < 3:
        with pytest.raises(UserError, match="groups cannot fill"):
            split_sequences(found, "classification", None, 0.2, 0.2)
        return
    splits, _ = split_sequences(found, "classification", None, 0.2, 0.2)
    assert sorted(np.concatenate([*splits.values()])) == list(range(len(groups)))
    met = [{groups[index] for index in part} for part in splits.values()]
    assert all(met)
    assert len(set.union(*met)) == sum(map(len, met))


def test_the_latest_are_the_test() -> None:
    starts = np.random.default_rng(0).permutation(20).astype(float)
    splits, _ = split_sequences(some(["a", "b"] * 10, starts=starts), "classification", "time", 0.2, 0.2)
    assert starts[splits["train"]].max() < starts[splits["validation"]].min()
    assert starts[splits["validation"]].max() < starts[splits["test"]].min()


def test_a_test_part_that_is_given_is_kept_and_no_group_is_in_two_of_the_others() -> None:
    parts = ["train"] * 12 + ["test"] * 4
    groups = [f"p{number // 3}" for number in range(12)] + ["q"] * 4
    found = some(["a", "b"] * 8, parts=parts, groups=groups)
    splits, _ = split_sequences(found, "classification", None, 0.2, 0.2)
    assert splits["test"].tolist() == [12, 13, 14, 15]
    train, validation = ({groups[index] for index in splits[part]} for part in ("train", "validation"))
    assert not train & validation


def test_a_class_of_one_sequence_is_left_to_train_on() -> None:
    found = some(["a"] * 10 + ["b"] + ["a", "b"], parts=["train"] * 11 + ["test"] * 2)
    splits, _ = split_sequences(found, "classification", None, 0.2, 0.2)
    assert 10 in splits["train"]
    assert len(splits["validation"]) == 2


@pytest.mark.parametrize(("by", "said"), [("group", "task.group=patient"), ("time", "task.time=date")])
def test_what_parts_are_drawn_by_must_be_there(by: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        split_sequences(some(["a", "b"] * 5), "classification", by, 0.2, 0.2)


def test_a_part_that_is_empty_is_refused() -> None:
    with pytest.raises(UserError, match="none is of the test part"):
        split_sequences(some(["a", "b"], parts=["train", "train"]), "classification", None, 0.2, 0.2)
    with pytest.raises(UserError, match="2 examples to share out"):
        split_sequences(some(["a", "b"] * 2), "classification", None, 0.2, 0.2)
