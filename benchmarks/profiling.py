"""Where the time of one net goes: its pieces, each timed, then what torch's profiler sees."""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity

from benchmarks.nets import TORCH, Shape, build, training_step
from benchmarks.timing import clock, pin
from rnnlab.unroll import compiled
from rnnlab.unroll.cpp.kernel import CppKernel
from rnnlab.unroll.program import parts_of

ROUNDS = 5


def profile(cell: str, unroll: str, shape: Shape, threads: int, device: str, seconds: float) -> None:
    pin(threads)
    net = build(f"{cell} {unroll}", *shape[2:])
    pieces = pieces_of_projection(net.cells[0], shape, device, seconds) | pieces_of_net(net, shape, device, seconds)
    total = pieces.pop("all")
    pieces["rest"] = total - sum(pieces.values())
    print(f"{cell} {unroll} {shape}, {threads} thread(s): {total:.2f} ms")
    for name, milliseconds in pieces.items():
        print(f"  {name:<36}{milliseconds:9.2f} ms {milliseconds / total:6.1%}")
    run = training_step(net, shape, device)
    show(f"{cell} {unroll}", run)
    if cell in TORCH:
        peer = training_step(build(f"nn.{TORCH[cell]}", *shape[2:]), shape, device)
        print(f"\nnn.{TORCH[cell]}: {median(peer, seconds):.2f} ms")
        show(f"nn.{TORCH[cell]}", peer)


def pieces_of_projection(cell: Any, shape: Shape, device: str, seconds: float) -> dict[str, float]:
    """The product of the input with its weights, forward and back."""
    batch, time, input_size, _ = shape
    cell.to(device)
    x = torch.randn(time, batch, input_size, device=device, requires_grad=True)
    projected = parts_of(cell.project(x))
    gradients = [torch.randn_like(part) for part in projected]
    weights = list(cell.parameters())

    def backward(leaves: list[Tensor]) -> Callable[[], None]:
        return lambda: torch.autograd.grad(projected, leaves, gradients, retain_graph=True, allow_unused=True)

    return {
        "input projection": median(lambda: cell.project(x), seconds),
        "gradient of the input": median(backward([x]), seconds),
        "gradient of the input's weights": median(backward(weights), seconds),
    }


def pieces_of_net(net: Any, shape: Shape, device: str, seconds: float) -> dict[str, float]:
    """Everything, and of it the kernels and the gradients of the recurrent weights."""
    run = training_step(net, shape, device)
    run()
    spent: dict[str, list[float]] = defaultdict(list)
    start = time.perf_counter()
    while len(spent["all"]) < ROUNDS or time.perf_counter() - start < seconds:
        calls: dict[str, float] = defaultdict(float)
        call = timed(CppKernel.run, calls, lambda _kernel, function, *_: f"{function} kernel")
        gradient = timed(compiled._weight_gradient, calls, lambda *_: "gradient of the recurrent weights")
        with patch.object(CppKernel, "run", call), patch.object(compiled, "_weight_gradient", gradient):
            calls["all"] = clock(run)
        for name, milliseconds in calls.items():
            spent[name].append(milliseconds)
    return {name: statistics.median(values) for name, values in spent.items()}


def timed(function: Callable[..., Any], calls: dict[str, float], label: Callable[..., str]) -> Callable[..., Any]:
    @wraps(function)
    def wrapped(*arguments: Any) -> Any:
        start = time.perf_counter()
        value = function(*arguments)
        calls[label(*arguments)] += (time.perf_counter() - start) * 1000
        return value

    return wrapped


def median(run: Callable[[], object], seconds: float) -> float:
    """Milliseconds."""
    run()
    values: list[float] = []
    start = time.perf_counter()
    while len(values) < ROUNDS or time.perf_counter() - start < seconds:
        values.append(clock(run))
    return statistics.median(values)


def show(name: str, run: Callable[[], None]) -> None:
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
    with torch.profiler.profile(activities=activities) as profiler:
        run()
    print(f"\n{name}, one call as torch's profiler sees it:")
    print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=12, max_name_column_width=50))
