"""What training minimises, as objects: a task names one, its net has as many outputs as the loss needs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pkgutil import resolve_name
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rnnlab.data.batches import Batch
from rnnlab.data.vocabulary import BLANK, IGNORED
from rnnlab.errors import UserError


@dataclass(frozen=True)
class Loss(ABC):
    """A mean over predictions. `_target_` in a task's config names the class; its fields are its options.

    outputs_per_target: outputs of the net for each target, 1 but for losses of quantiles or distributions.
    """

    name: ClassVar[str]
    """As runs are described and compared."""

    outputs_per_target: ClassVar[int] = 1

    @abstractmethod
    def __call__(self, prediction: Tensor, batch: Batch) -> tuple[Tensor, int]:
        """The mean loss, and over how many predictions it is the mean."""

    def as_dict(self) -> dict[str, Any]:
        """`_target_` and options, as in a config."""
        return {"_target_": f"{type(self).__module__}.{type(self).__qualname__}", **asdict(self)}


@dataclass(frozen=True)
class RegressionLoss(Loss):
    """A loss of targets that are numbers, y: (batch, targets)."""


@dataclass(frozen=True)
class AbsoluteError(RegressionLoss):
    """|ŷ - y|. Both: (batch, targets)."""

    name: ClassVar[str] = "mae"

    def __call__(self, prediction: Tensor, batch: Batch) -> tuple[Tensor, int]:
        return nn.functional.l1_loss(prediction, batch.targets), len(prediction)


@dataclass(frozen=True)
class SquaredError(RegressionLoss):
    """(ŷ - y)². Both: (batch, targets)."""

    name: ClassVar[str] = "mse"

    def __call__(self, prediction: Tensor, batch: Batch) -> tuple[Tensor, int]:
        return nn.functional.mse_loss(prediction, batch.targets), len(prediction)


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """-ln softmax(ŷ) of the true class, in nats per target that counts. ŷ: (..., classes); y: (...)."""

    name: ClassVar[str] = "cross_entropy"

    def __call__(self, prediction: Tensor, batch: Batch) -> tuple[Tensor, int]:
        flat = prediction.reshape(-1, prediction.shape[-1])
        targets = batch.targets.reshape(-1)
        count = int((targets != IGNORED).sum())
        # the mean over no target at all would not be a number: a batch of a stream's padding
        total = nn.functional.cross_entropy(flat, targets, ignore_index=IGNORED, reduction="sum")
        return total / max(count, 1), count


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """-Σ over the outputs of y ln ŷ + (1 - y) ln(1 - ŷ), in nats per timestep. Both: (batch, time, n), ŷ as logits."""

    name: ClassVar[str] = "binary_cross_entropy"

    def __call__(self, prediction: Tensor, batch: Batch) -> tuple[Tensor, int]:
        each = nn.functional.binary_cross_entropy_with_logits(prediction, batch.targets, reduction="none").sum(-1)
        if batch.lengths is None:
            return each.mean(), each.numel()
        real = torch.arange(each.shape[1], device=each.device) < batch.lengths[:, None]
        count = int(batch.lengths.sum())
        return (each * real).sum() / count, count


@dataclass(frozen=True)
class ConnectionistTemporal(Loss):
    """-ln p(y | x) per label, p(y | x) the sum over all paths that become y when repeats, then blanks are removed
    (Graves et al. 2006); infinite where an input is shorter than its labels need.

    ŷ: ln p of each token and of the blank (0) at each timestep, (batch, time, tokens); y: (batch, labels), from 1 on.
    """

    name: ClassVar[str] = "ctc"

    def __call__(self, prediction: Tensor, batch: Batch) -> tuple[Tensor, int]:
        targets = batch.targets
        real = targets != IGNORED
        lengths = batch.lengths
        if lengths is None:
            lengths = torch.full((len(targets),), prediction.shape[1], device=targets.device)
        count = max(int(real.sum()), 1)
        total = nn.functional.ctc_loss(
            prediction.transpose(0, 1), targets.masked_fill(~real, BLANK), lengths, real.sum(1), BLANK, "sum"
        )
        return total / count, count


def loss_of(content: Mapping[str, Any]) -> Loss:
    """From what `Loss.as_dict` gave.

    Raises: `UserError` where it names anything but a loss.
    """
    options = dict(content)
    target = str(options.pop("_target_"))
    try:
        found = resolve_name(target)
    except (ImportError, AttributeError, ValueError):
        found = None
    if not (isinstance(found, type) and issubclass(found, Loss)):
        raise UserError(f"{target} is no loss: a class made from rnnlab.losses.Loss is needed.")
    return found(**options)
