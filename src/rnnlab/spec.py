"""What a task tells about itself: all that a cell's module needs to know of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rnnlab.losses import Loss, loss_of

LayoutName = Literal["one_to_one", "one_to_many", "many_to_one", "many_to_many", "sequence_to_sequence"]


@dataclass(frozen=True)
class TaskSpec:
    """The one place where a task's dimensions are stated.

    layout: how the sequence enters and leaves the net.
    input_size: numbers per timestep in; of tokens, the size of their vocabulary.
    output_size: targets of a prediction; of classes or tokens, how many there are.
    loss: what training minimises; it says how many outputs of the net each target takes.
    metrics: each with the direction that is better. rank_by: the metric that ranks.
    categories: of the last numbers of each timestep, which stand for one of a few values, how many values each has.
    tokens: whether the input is made of token numbers. image: (height, width) where the input is one.
    causal: whether the targets of a timestep are inputs of later ones, so that nothing may be read from the end.
    streamed: whether a batch goes on where the one before ended, so that the state is carried over.
    parts: what the number at the end of a metric's name counts, where metrics are given for parts of the test split.
    unit: what of the test split has one loss, and can be taken for independent of the others: a review, a sentence, a
    video; overlap: None, or, where these come in order of time and depend on each other all the same, how many in a row
    share what they are judged on: a forecast's horizon, 1 where none do.
    solved: the value of the metric that ranks from which on the task counts as solved; None where there is no such.
    """

    task: str
    layout: LayoutName
    input_size: int
    output_size: int
    loss: Loss
    metrics: dict[str, Literal["min", "max"]]
    rank_by: str
    tokens: bool = False
    image: tuple[int, int] | None = None
    causal: bool = False
    streamed: bool = False
    parts: str = "part"
    unit: str = "example"
    overlap: int | None = None
    solved: float | None = None
    categories: tuple[int, ...] = ()

    @property
    def head_size(self) -> int:
        """Numbers that leave the net for each prediction."""
        return self.output_size * self.loss.outputs_per_target

    def as_dict(self) -> dict[str, Any]:
        """Plain types only, so that a checkpoint that holds it loads without unpickling classes."""
        return {**asdict(self), "loss": self.loss.as_dict()}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "TaskSpec":
        """From what `as_dict` gave.

        Raises: `UserError` where its loss is none.
        """
        # JSON has lists alone
        categories = tuple(content.get("categories", ()))
        return cls(**{**content, "loss": loss_of(content["loss"]), "categories": categories})
