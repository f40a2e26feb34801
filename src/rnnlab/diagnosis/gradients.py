"""Looking into a training: norms of weights and gradients, and how the gradient fades or grows on its way back in time.

Nothing here changes a number of the training, its random numbers and running statistics included.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.optim import Optimizer

from rnnlab.arguments import Positive, check_arguments
from rnnlab.cells.cell import State
from rnnlab.data.batches import Batch
from rnnlab.modules.module import SequenceModule
from rnnlab.unroll.hooks import step_hook
from rnnlab.unroll.loop import Step
from rnnlab.unroll.recurrent import Recurrent

Norms = list[dict[str, list[float]]]
"""For each cell, in the order of `Recurrent`: the field of its state -> a norm for each timestep."""


def gradient_by_timestep(recurrent: Recurrent, x: Tensor, loss: Callable[[Tensor], Tensor]) -> Norms:
    """‖dL/dsₜ‖ for each timestep t of x, for each cell, for each field s of its state; L = loss(outputs).

    The derivative is the total one: it counts what sₜ does to the loss by way of the output at t and of all later
    timesteps of its own cell and of the layers above. The norm is over the whole batch. An LSTM's `hidden` alone says
    little: most of what it keeps travels by `cell`.
    """
    return _gradients(recurrent, lambda: loss(recurrent(x)[0]))


def _gradients(recurrent: Recurrent, run: Callable[[], Tensor]) -> Norms:
    with torch.enable_grad(), _recorded(recurrent) as states:
        value = run()
    parts = [part for of_cell in states for state in of_cell for part in state]
    gradients = torch.autograd.grad(value, parts, allow_unused=True, materialize_grads=True)
    flat = iter(torch.stack([gradient.norm() for gradient in gradients]).tolist())
    norms: Norms = []
    for index, of_cell in enumerate(states):
        by_step = [[next(flat) for _ in state] for state in of_cell]
        by_time = by_step[::-1] if index % recurrent.directions == 1 else by_step
        norms.append({field: [at[i] for at in by_time] for i, field in enumerate(of_cell[0]._fields)})
    return norms


@contextmanager
def _recorded(recurrent: Recurrent) -> Iterator[list[list[State]]]:
    """While it lasts, the net runs step by step, and every new state of every cell is kept, cell by cell."""
    states: list[list[State]] = [[] for _ in recurrent]
    with step_hook(recurrent, lambda index, step: _recording(step, states[index])):
        yield states


def _recording(step: Step, states: list[State]) -> Step:
    def recording(*args: Any) -> tuple[Tensor, State]:
        output, state = step(*args)
        # a state that only keeps inputs depends on no weight: it becomes a leaf, to have a derivative at all
        state = type(state)(*(part if part.requires_grad else part.detach().requires_grad_() for part in state))
        states.append(state)
        return output, state

    return recording


class LogNorms(Callback):
    """Logs the norm of every weight and of its gradient, and of all together, every `log_every_n_steps` steps.

    The gradient is the true one: before it is clipped, and without the factor of mixed precision.
    """

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        assert isinstance(pl_module, SequenceModule)
        if pl_module.logger is None or trainer.global_step % pl_module.log_every_n_steps != 0:
            return
        row: dict[str, float] = {}
        parameters = dict(pl_module.net.named_parameters())
        gradients = {name: weight.grad for name, weight in parameters.items() if weight.grad is not None}
        for kind, tensors in (("weight", parameters), ("gradient", gradients)):
            norms = torch.stack([tensor.detach().norm() for tensor in tensors.values()])
            values = [norms.norm().item(), *norms.tolist()]
            row |= {f"{kind}_norm/{name}_step": value for name, value in zip(["all", *tensors], values, strict=True)}
        pl_module.logger.log_metrics(row | {"epoch": trainer.current_epoch}, trainer.global_step)


class LogTimestepGradients(Callback):
    """Logs `gradient_by_timestep` of the first training batch of every n-th epoch from the first on, before its step.

    One series for each epoch, cell and field of the state, the timestep standing where others have the training step.
    """

    def __init__(self, every_n_epochs: Positive) -> None:
        check_arguments(LogTimestepGradients, locals())
        self.every_n_epochs = every_n_epochs

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, SequenceModule)
        epoch = trainer.current_epoch
        if pl_module.logger is None or batch_idx != 0 or epoch % self.every_n_epochs != 0:
            return
        devices = [pl_module.device] if pl_module.device.type == "cuda" else []
        buffers = [buffer.clone() for buffer in pl_module.buffers()]
        with torch.random.fork_rng(devices):  # dropout must not draw from the training's own numbers
            norms = _gradients(pl_module.recurrent, lambda: pl_module.loss(batch))
        for buffer, before in zip(pl_module.buffers(), buffers, strict=True):
            buffer.copy_(before)  # the running statistics of a batch norm count this batch once
        for index, fields in enumerate(norms):
            for field, values in fields.items():
                key = f"timestep_gradient/cells.{index}.{field}/epoch_{epoch + 1}_step"
                for timestep, value in enumerate(values):
                    pl_module.logger.log_metrics({key: value, "epoch": epoch}, timestep)
