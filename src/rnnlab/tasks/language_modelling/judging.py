"""How the next token of a text is predicted, scored and written."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.arguments import Natural, check_arguments
from rnnlab.data.batches import Batch
from rnnlab.data.sampling import Temperature, sample
from rnnlab.data.vocabulary import END, PADDING, START, UNKNOWN
from rnnlab.tasks.judging import MANY_UNKNOWN, Judging, Model, losses_of_ratio
from rnnlab.tasks.language_modelling.data import WINDOW, LanguageModellingData
from rnnlab.tasks.raw_input import check_columns, texts
from rnnlab.tasks.task import Array, Split

PARTS = 10
WRITTEN = 600
SCORED = 2000
"""Tokens of raw text that are read at a time."""
TEMPERATURES = (0.5, 1.0)
NEVER = (PADDING, START, END, UNKNOWN)
"""What is not written."""


@dataclass(frozen=True)
class Continuation:
    """What is asked of a net that goes on with a text. length: of the continuation. temperature, top_k, seed: of its
    draws, see `rnnlab.data.sampling`; top_k=0: all tokens."""

    length: Natural = 200
    temperature: Temperature = 1.0
    top_k: Natural = 0
    seed: Natural = 0


class LanguageModellingJudging(Judging):
    """-ln p of each token of a part, and what a net writes by itself."""

    task: LanguageModellingData

    def predict(self, model: Model) -> pd.DataFrame:
        first, end = self.task.meta["splits"]["test"]
        nats, right = np.zeros(end - first - 1, np.float32), np.zeros(end - first - 1, np.bool_)
        places = self.task.loader("test").places()
        for (batch, logits), (inputs, counted) in zip(self.answers(model), places, strict=True):
            targets = batch.targets.clamp(min=0)[..., None]
            log_p = logits.float().log_softmax(-1).gather(-1, targets)[..., 0]
            at = inputs[counted] - first
            nats[at] = -log_p.cpu().numpy()[counted]
            right[at] = (logits.argmax(-1) == batch.targets).cpu().numpy()[counted]
        return self.table(nats, right)

    def table(self, nats: NDArray[np.floating], right: NDArray[np.bool_], split: Split = "test") -> pd.DataFrame:
        """A row for each token of a part but its first: -ln p of it, and whether it was the likeliest."""
        first, end = self.task.meta["splits"][split]
        tokens = np.array(self.task.tokens[first + 1 : end])
        return pd.DataFrame({"token": tokens, "nats": nats.astype(np.float32), "right": right})

    def losses(self, predictions: pd.DataFrame) -> Array:
        """Of each window of 100 tokens, in nats per token; the last one takes the rest as well."""
        return losses_of_ratio(*_pieces(nats_of(predictions), max(1, len(predictions) // WINDOW), WINDOW))

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """Of one table, the unit being a character or a byte:

        nats_per_character   the mean of -ln p of the true next character
        bits_per_character   the same in bits: divided by ln 2
        accuracy             share of characters that were the likeliest ones
        """
        nats = float(nats_of(predictions).mean())
        return {
            f"nats_per_{self.task.unit}": nats,
            f"bits_per_{self.task.unit}": nats / float(np.log(2)),
            "accuracy": float(predictions["right"].mean()),
        }

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """Nats per token by tenth of the test part."""
        sums, sizes = _pieces(mean_nats(predictions), PARTS, len(predictions[0]) // PARTS)
        return pd.DataFrame({"part": np.arange(1, PARTS + 1), "score": sums / sizes})

    def raw_options(self) -> dict[str, int | float]:
        """See `Continuation`."""
        return asdict(Continuation())

    def misfits(self, table: pd.DataFrame) -> list[str]:
        given = [self.task.units(text) for text in table.get("prompt", ()) if isinstance(text, str)]
        known = [unit in self.task.vocabulary for units in given for unit in units]
        if np.mean(known or [True]) >= 1 - MANY_UNKNOWN:
            return []
        return [f"{1 - np.mean(known):.0%} of the {self.task.unit}s are none of those in training"]

    def respond(self, model: Model, tables: Iterable[pd.DataFrame], **options: Any) -> Iterator[pd.DataFrame]:
        """The `continuation` of each prompt, and the mean of -ln p of the prompt's own tokens, but for the first."""
        asked = Continuation(**options)
        check_arguments(Continuation, vars(asked))
        # torch takes no integers of numpy, which a served model is asked with
        length, top_k, seed = int(asked.length), int(asked.top_k) or None, int(asked.seed)
        for table in tables:
            check_columns(table, self.task.raw_columns())
            rows = []
            for prompt in texts(table, "prompt"):
                nats = pd.concat(list(self.score(model, [prompt])))["nats"]
                continuation = self.write(model, prompt, length, asked.temperature, top_k, seed)
                rows.append({"continuation": continuation, f"nats_per_{self.task.unit}": nats.mean()})
            yield pd.DataFrame(rows, index=table.index)

    @torch.inference_mode()
    def score(self, model: Model, text: Iterable[str]) -> Iterator[pd.DataFrame]:
        """A row for each token of a text but its first: its `place`, the `token`, `nats` = -ln p of it after all those
        before it, and the `likeliest` token there. The text comes in pieces; none but the one at work is kept."""
        model.eval()
        state, place = None, 1
        last = np.empty(0, np.int64)
        names = np.array(self.task.vocabulary.tokens, dtype=object)
        for piece in text:
            units = self.task.units(piece)
            for first in range(0, len(units), SCORED):
                encoded = self.task.vocabulary.encode(units[first : first + SCORED])
                tokens = np.concatenate([last, encoded]).astype(np.int64)
                last = tokens[-1:]
                if len(tokens) < 2:
                    continue
                inputs = torch.from_numpy(tokens[None]).to(model.device)
                logits, state = model.net(Batch(inputs[:, :-1], inputs[:, 1:]), state)
                log_p = logits[0].float().log_softmax(-1)
                nats = -log_p.gather(-1, inputs[0, 1:, None])[:, 0].cpu().numpy()
                likeliest = logits[0].argmax(-1).cpu().numpy()
                places = np.arange(place, place + len(nats))
                place += len(nats)
                yield pd.DataFrame(
                    {"place": places, "token": names[tokens[1:]], "nats": nats, "likeliest": names[likeliest]}
                )
        if place == 1:
            yield pd.DataFrame({"place": [], "token": [], "nats": [], "likeliest": []})

    def samples(self, model: Model) -> dict[str, str | bytes]:
        """A text for each temperature, behind a line end."""
        return {
            f"temperature_{temperature}.txt": self.write(model, "\n", temperature=temperature)
            for temperature in TEMPERATURES
        }

    def write(
        self,
        model: Model,
        prompt: str,
        length: int = WRITTEN,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int = 0,
    ) -> str:
        """What the net writes behind a prompt of at least one token; see `rnnlab.data.sampling`."""
        tokens = torch.from_numpy(self.task.vocabulary.encode(self.task.units(prompt))).long()[None].to(model.device)
        if length == 0:
            return ""
        written: Tensor = sample(
            model.net,
            tokens,
            length,
            temperature=temperature,
            top_k=top_k,
            never=NEVER,
            generator=torch.Generator(model.device).manual_seed(seed),
        )
        text = "".join(self.task.vocabulary.decode(written[0].tolist()))
        return text.encode("latin-1").decode(errors="replace") if self.task.unit == "byte" else text


def nats_of(predictions: pd.DataFrame) -> Array:
    return predictions["nats"].to_numpy(np.float64)


def mean_nats(predictions: list[pd.DataFrame]) -> Array:
    """Of each token, over the seeds."""
    result: Array = np.mean([nats_of(table) for table in predictions], axis=0)
    return result


def _pieces(values: Array, count: int, size: int) -> tuple[Array, Array]:
    """The sum, and how many, of `count` pieces of `size`; the last one takes the rest as well."""
    starts = size * np.arange(count)
    return np.add.reduceat(values, starts), np.diff(starts, append=len(values)).astype(np.float64)
