"""How a task enters and leaves a recurrent net: what stands before it, after it, and the loss."""

from torch import Tensor, nn

from rnnlab.errors import UserError
from rnnlab.spec import TaskSpec
from rnnlab.unroll.recurrent import Recurrent

LOSSES = {"mae": nn.functional.l1_loss, "mse": nn.functional.mse_loss}


class ManyToOne(nn.Module):
    """A sequence in, one prediction out: ŷ = W [h_T; h̄_1] + b.

    h_T is the forward direction's output at the last timestep, h̄_1 the backward direction's (where there is one) at
    the first: each has then read the whole sequence. x: (batch, time, input_size) -> (batch, output_size).
    """

    def __init__(self, recurrent: Recurrent, spec: TaskSpec) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.head = nn.Linear(recurrent.output_size, spec.output_size)

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.recurrent(x)
        last = outputs[:, -1]
        if self.recurrent.directions == 2:
            hidden_size = self.recurrent.output_size // 2
            last = last.clone()
            last[:, hidden_size:] = outputs[:, 0, hidden_size:]
        prediction: Tensor = self.head(last)
        return prediction


LAYOUTS = {"many_to_one": ManyToOne}


def build(spec: TaskSpec, recurrent: Recurrent) -> nn.Module:
    if spec.layout not in LAYOUTS:
        raise UserError(f"Task {spec.task} has the layout {spec.layout}, which is none of {', '.join(LAYOUTS)}.")
    return LAYOUTS[spec.layout](recurrent, spec)
