"""Writing with a net that says, at each token, what the next one may be."""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
from torch import Tensor

from rnnlab.arguments import Positive, Range, check_arguments
from rnnlab.data.batches import Batch

Temperature = Annotated[float, Range(at_least=0)]


def probabilities(
    logits: Tensor, temperature: Temperature = 1.0, top_k: Positive | None = None, never: Sequence[int] = ()
) -> Tensor:
    """p ∝ exp(logit / temperature) of the `top_k` likeliest tokens that are not among `never`, 0 of all others.

    At temperature 0 the likeliest token has p = 1. logits: (..., tokens) -> the same shape.

    Raises: `UserError` for a temperature below 0 or a top_k below 1.
    """
    check_arguments(probabilities, {"temperature": temperature, "top_k": top_k})
    logits = logits.clone()
    logits[..., list(never)] = -torch.inf
    kept = 1 if temperature == 0 else min(top_k or logits.shape[-1], logits.shape[-1])
    values, tokens = logits.topk(kept, dim=-1)
    # the largest taken off first: at a temperature close to 0, the others become -inf and not NaN
    of_kept = ((values - values[..., :1]) / (temperature or 1)).softmax(dim=-1)
    return torch.zeros_like(logits).scatter(-1, tokens, of_kept)


@torch.inference_mode()
def sample(
    net: Any,
    prompt: Tensor,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    never: Sequence[int] = (),
    generator: torch.Generator | None = None,
) -> Tensor:
    """Tokens that the net writes behind the prompt, each drawn from `probabilities` and read again.

    net: a layout with a prediction at each timestep, in evaluation mode. prompt: (batch, time), of at least one token
    -> (batch, length), without the prompt. generator: of the draws, on the net's device.
    """
    logits, state = net(Batch(prompt, prompt))
    logits, prepared = logits[:, -1], net.recurrent.prepare()
    written = []
    for _ in range(length):
        p = probabilities(logits, temperature, top_k, never)
        written.append(torch.multinomial(p, 1, generator=generator)[:, 0])
        logits, state = net.step(written[-1], state, prepared)
    return torch.stack(written, dim=1)
