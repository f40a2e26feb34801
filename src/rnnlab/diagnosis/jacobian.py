"""How a net's state and the loss's gradient travel through time: gradients k steps back, Jacobians, their growth.

Nothing here changes a number of the net, of its gradients or of anybody's random numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from rnnlab.cells.cell import Cell, Projected, Shared, State, matmul_of
from rnnlab.diagnosis.activations import Sigmoids, split_gates
from rnnlab.errors import UserError
from rnnlab.unroll.hooks import step_hook
from rnnlab.unroll.loop import Step
from rnnlab.unroll.program import parts_of, rebuilt
from rnnlab.unroll.recurrent import Recurrent

JACOBIANS = 16
"""Timesteps, evenly spread, whose Jacobian is looked at."""

ROUNDS = 200
"""Of power iteration, at most."""

TOLERANCE = 1e-6
"""Relative change of every singular value at which power iteration ends."""


@dataclass
class Passage:
    """What one cell did in reading a batch, in the order in which it read: a backward direction from the end.

    before, after: the state before and after each timestep. `before` is a copy of the `after` that precedes it, so that
    dafter[t]/dbefore[t] is the Jacobian of one step, its fields being independent of each other. lengths: (batch,).
    """

    lengths: Tensor
    step: Step | None = None
    shared: Shared = field(default_factory=dict)
    projected: list[Projected] = field(default_factory=list)
    before: list[State] = field(default_factory=list)
    after: list[State] = field(default_factory=list)
    sigmoids: list[list[Tensor]] = field(default_factory=list)

    @property
    def real(self) -> Tensor:
        """(time, batch): true up to each sequence's own length."""
        return torch.arange(len(self.after), device=self.lengths.device)[:, None] < self.lengths


@contextmanager
def passages(recurrent: Recurrent) -> Iterator[list[Passage]]:
    """While it lasts, the net runs step by step, and what each cell does is kept, cell by cell.

    Of the top layer's outputs each sequence's last alone hands a gradient back, so that a loss of all timesteps counts
    as far as it is read at the end. Values stay as they are.
    """
    found: list[Passage] = []
    top = len(recurrent.cells) - recurrent.directions

    def begin(_: Any, args: Any, kwargs: dict[str, Any]) -> None:
        batch, time = args[0].shape[:2] if recurrent.batch_first else args[0].shape[:2][::-1]
        lengths = kwargs.get("lengths")
        lengths = torch.full((batch,), time) if lengths is None else lengths
        found[:] = [Passage(lengths.to(args[0].device)) for _ in recurrent]

    def record(index: int, step: Step) -> Step:
        def recorded(projected: Projected, state: State, matmul: Any, shared: Shared) -> tuple[Tensor, State]:
            passage = found[index]
            passage.step, passage.shared = step, shared
            state = type(state)._make(
                part.view_as(part) if part.requires_grad else part.detach().requires_grad_() for part in state
            )
            with Sigmoids() as sigmoids:
                output, after = step(projected, state, matmul, shared)
            if index >= top:
                last = passage.lengths == len(passage.after) + 1
                output = torch.where(last[:, None], output, output.detach())
            passage.projected.append(projected)
            passage.before.append(state)
            passage.after.append(after)
            passage.sigmoids.append(sigmoids.found)
            return output, after

        return recorded

    hook = recurrent.register_forward_pre_hook(begin, with_kwargs=True)
    try:
        with torch.enable_grad(), step_hook(recurrent, record):
            yield found
    finally:
        hook.remove()


def watch_passages(recurrent: Recurrent, run: Callable[[], Tensor]) -> tuple[Tensor, list[Passage]]:
    """What `run` gives, a loss, and what each cell did in it.

    Raises: `UserError` where the net does not read a whole sequence in one go, as a decoder with attention.
    """
    with passages(recurrent) as found:
        value = run()
    if not found or not found[0].after:
        raise UserError("This net is run token by token, as attention wants it: its memory cannot be looked into.")
    return value, found


def gradients_back(loss: Tensor, found: Sequence[Passage]) -> list[dict[str, Tensor]]:
    """g_k = √(B · mean over sequences of ‖dL/ds_{T-k}‖²), k = 1 ... T, for each cell: of the whole state (`state`) and
    of each of its fields; k = 1 comes first.

    T: the last timestep of each sequence in reading order, where L reads the output or the final state. s: the state
    after a timestep, s_0 before the first, its fields independent of each other: s_{T-1} is what the last step starts
    from. B: the sequences in the batch; where all are equally long, g is the norm over the whole batch.
    """
    parts = [part for passage in found for state in passage.before for part in state]
    flat = iter(torch.autograd.grad(loss, parts, allow_unused=True, materialize_grads=True, retain_graph=True))
    result = []
    for passage in found:
        squares: dict[str, list[Tensor]] = {}
        for state in passage.before:
            for name in state._fields:
                squares.setdefault(name, []).append(next(flat).flatten(1).double().square().sum(1))
        of_fields = {name: torch.stack(values) for name, values in squares.items()}
        whole = torch.stack(list(of_fields.values())).sum(0)
        result.append({name: _by_steps_back(value, passage) for name, value in {"state": whole, **of_fields}.items()})
    return result


def _by_steps_back(squares: Tensor, passage: Passage) -> Tensor:
    """√(B · mean) over the sequences that are long enough. squares: (time, batch) -> (longest,)."""
    longest = int(passage.lengths.max())
    at = passage.lengths - 1 - torch.arange(longest, device=squares.device)[:, None]
    there = at >= 0
    aligned = squares.gather(0, at.clamp(min=0)) * there
    return (squares.shape[1] * aligned.sum(1) / there.sum(1)).sqrt()


def singular_values(passage: Passage, timesteps: int = JACOBIANS, rounds: int = ROUNDS) -> Tensor:
    """σ₁ = max ‖J u‖ over ‖u‖ = 1, J_t = ds_t/ds_{t-1} of the whole state: (n,), over sequences and `timesteps`.

    Power iteration on JᵀJ, of all at once: σ₁ of each is approached from below. Pascanu, Mikolov, Bengio, "On the
    difficulty of training recurrent neural networks", 2013: below 1 at all timesteps, gradients vanish.
    """
    push, pull = _products(passage, timesteps)
    generator = torch.Generator().manual_seed(0)
    u = [torch.randn(part.shape, generator=generator, dtype=torch.float64).to(part) for part in pull(None)]
    values = torch.zeros_like(_norm(u))
    for _ in range(rounds):
        u, _ = _unit(u)
        pushed = push(u)
        before, values = values, _norm(pushed)
        if (values - before).abs().le(TOLERANCE * values).all():
            break
        u = pull(pushed)
    return values.double()


Product = Callable[[Any], list[Tensor]]


def _products(passage: Passage, timesteps: int) -> tuple[Product, Product]:
    """u -> J u and v -> Jᵀ v, of several timesteps side by side: a step treats each row of the batch by itself."""
    assert passage.step is not None
    count = len(passage.after)
    chosen = sorted({round(t) for t in torch.linspace(0, count - 1, min(timesteps, count)).tolist()})
    real = passage.real[chosen].flatten()
    make = type(passage.after[0])._make

    def rows(tensors: list[Tensor]) -> Tensor:
        return torch.cat([tensor.detach() for tensor in tensors])[real]

    projected = rebuilt(passage.projected[0])(
        [rows(list(parts)) for parts in zip(*(parts_of(passage.projected[t]) for t in chosen), strict=True)]
    )
    held = {name: tensor.detach() for name, tensor in passage.shared.items()}
    with torch.enable_grad():
        states = [
            rows(list(parts)).requires_grad_() for parts in zip(*(passage.before[t] for t in chosen), strict=True)
        ]
        _, after = passage.step(projected, make(states), matmul_of(held), held)
        reached = [i for i, part in enumerate(after) if part.requires_grad]
        dummies = [torch.zeros_like(after[i], requires_grad=True) for i in reached]
        # linear in the dummies, so that its derivative by them is J itself
        pulled = _grad([after[i] for i in reached], states, dummies, create_graph=True)

    def pull(v: list[Tensor] | None) -> list[Tensor]:
        return states if v is None else _grad([after[i] for i in reached], states, [v[i] for i in reached])

    def push(u: list[Tensor]) -> list[Tensor]:
        pairs = [(part, given) for part, given in zip(pulled, u, strict=True) if part.requires_grad]
        pushed = [torch.zeros_like(part) for part in after]
        derivatives = _grad([part for part, _ in pairs], dummies, [given for _, given in pairs])
        for i, derivative in zip(reached, derivatives, strict=True):
            pushed[i] = derivative
        return pushed

    return push, pull


def _grad(outputs: list[Tensor], inputs: list[Tensor], given: list[Tensor], **options: Any) -> list[Tensor]:
    """`torch.autograd.grad`, zero where nothing depends."""
    if not outputs:
        return [torch.zeros_like(part) for part in inputs]
    found = torch.autograd.grad(
        outputs, inputs, given, allow_unused=True, materialize_grads=True, retain_graph=True, **options
    )
    return list(found)


def growth_rate(passage: Passage) -> float:
    """λ = mean of ln ‖J_tᵀ v_t‖, v_{t-1} = J_tᵀ v_t / ‖J_tᵀ v_t‖ from a random v_T back: per timestep, in nats.

    What a gradient is multiplied by on its way back is e^λ for each timestep, in the long run: the largest Lyapunov
    exponent, over the trained length. The last quarter of the timesteps turns v into the direction that grows most and
    is not counted. -inf where the product is zero. Benettin et al., "Lyapunov characteristic exponents for smooth
    dynamical systems", 1980; of recurrent nets: Engelken, Wolf, Abbott, "Lyapunov spectra of chaotic recurrent neural
    networks", 2023.
    """
    generator = torch.Generator().manual_seed(0)
    v = [torch.randn(part.shape, generator=generator, dtype=torch.float64).to(part) for part in passage.after[0]]
    v, _ = _unit(v)
    total, counted = 0.0, 0
    settled = passage.lengths - (passage.lengths + 3) // 4
    for t in reversed(range(len(passage.after))):
        inside = t < passage.lengths
        reached = [i for i, part in enumerate(passage.after[t]) if part.requires_grad]
        pulled = _grad([passage.after[t][i] for i in reached], list(passage.before[t]), [v[i] for i in reached])
        pulled, norms = _unit(pulled)
        v = [torch.where(_column(inside, new), new, old) for new, old in zip(pulled, v, strict=True)]
        part = inside & (t < settled)
        total += float(norms[part].double().log().sum())
        counted += int(part.sum())
    return total / counted if counted else float("nan")


def _norm(parts: Sequence[Tensor]) -> Tensor:
    """Of each row, over all parts."""
    norms: Tensor = torch.linalg.vector_norm(torch.cat([part.detach().flatten(1) for part in parts], dim=1), dim=1)
    return norms


def _unit(parts: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
    """Each row at length one, and the lengths; a row of zeros stays one."""
    norms = _norm(parts)
    scale = torch.where(norms > 0, 1 / norms, torch.zeros_like(norms))
    return [part.detach() * _column(scale, part) for part in parts], norms


def _column(row: Tensor, like: Tensor) -> Tensor:
    return row.view(-1, *[1] * (like.dim() - 1))


def saturation(passage: Passage, cell: Cell, low: float = 0.1, high: float = 0.9) -> list[tuple[float, float]]:
    """For each gate, in the order in which a step opens them: the share of its values below `low`, and above `high`.

    Over sequences, their own timesteps and units. Karpathy, Johnson, Fei-Fei, "Visualizing and understanding recurrent
    networks", 2015.
    """
    shares = []
    real = passage.real
    for at in zip(*passage.sigmoids, strict=True):
        for gate in split_gates(torch.stack(at), cell):
            values = gate.detach()[real]
            shares.append((float((values < low).double().mean()), float((values > high).double().mean())))
    return shares
