"""What a task tells about itself: all that a cell's module needs to know of it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class TaskSpec:
    """The one place where a task's dimensions are stated.

    layout: how the sequence enters and leaves the net.
    input_size, output_size: numbers per timestep in, numbers per prediction out.
    loss: what training minimises. metrics: each with the direction that is better. rank_by: the metric that ranks.
    """

    task: str
    layout: Literal["many_to_one"]
    input_size: int
    output_size: int
    loss: Literal["mae", "mse"]
    metrics: dict[str, Literal["min", "max"]]
    rank_by: str

    def as_dict(self) -> dict[str, Any]:
        """Plain types only, so that a checkpoint that holds it loads without unpickling classes."""
        return asdict(self)
