"""What a task tells about itself: all that a cell's module needs to know of it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

LayoutName = Literal["one_to_one", "one_to_many", "many_to_one", "many_to_many", "sequence_to_sequence"]
LossName = Literal["mae", "mse", "cross_entropy", "binary_cross_entropy", "ctc"]


@dataclass(frozen=True)
class TaskSpec:
    """The one place where a task's dimensions are stated.

    layout: how the sequence enters and leaves the net.
    input_size: numbers per timestep in; of tokens, the size of their vocabulary.
    output_size: numbers per prediction out; of classes or tokens, how many there are.
    loss: what training minimises. metrics: each with the direction that is better. rank_by: the metric that ranks.
    tokens: whether the input is made of token numbers. image: (height, width) where the input is one.
    causal: whether the targets of a timestep are inputs of later ones, so that nothing may be read from the end.
    streamed: whether a batch goes on where the one before ended, so that the state is carried over.
    parts: what the number at the end of a metric's name counts, where metrics are given for parts of the test split.
    overlap: how many consecutive items of the test split share what they are judged on; a forecast's horizon.
    """

    task: str
    layout: LayoutName
    input_size: int
    output_size: int
    loss: LossName
    metrics: dict[str, Literal["min", "max"]]
    rank_by: str
    tokens: bool = False
    image: tuple[int, int] | None = None
    causal: bool = False
    streamed: bool = False
    overlap: int = 1
    parts: str = "part"

    def as_dict(self) -> dict[str, Any]:
        """Plain types only, so that a checkpoint that holds it loads without unpickling classes."""
        return asdict(self)
