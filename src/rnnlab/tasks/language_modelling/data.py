"""What all tasks share that predict the next token of one long text."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from rnnlab.data.batches import Batch, Streams
from rnnlab.data.vocabulary import END, PADDING, SPECIAL, START, UNKNOWN, Vocabulary
from rnnlab.datasets.plain_text import Codes
from rnnlab.diagnosis.activations import activations, draw_activations
from rnnlab.errors import UserError
from rnnlab.layouts.sampling import probabilities, sample
from rnnlab.losses import CrossEntropy
from rnnlab.spec import TaskSpec
from rnnlab.tasks.baselines.kneser_ney import LONGEST, KneserNey
from rnnlab.tasks.language_modelling.passages import draw_next, draw_passage, draw_places, shown
from rnnlab.tasks.raw_input import Column, check_columns, texts
from rnnlab.tasks.task import SPLITS, Array, Model, Split, Task, check_parts, check_whole

CODES = 0x110000
"""One more than the largest code point."""

WINDOW = 100
"""Tokens whose mean loss is taken for independent of that of the next ones."""

PARTS = 10
COUNTED = 3_000_000
PIECE = 500_000
EVALUATED_STREAMS = 32
EVALUATED_TIMESTEPS = 200
WARM_UP = 100
PASSAGE = 800
SENTENCE = 70
WRITTEN = 600
SCORED = 2000
"""Tokens of raw text that are read at a time."""
TEMPERATURES = (0.5, 1.0)
NEVER = (PADDING, START, END, UNKNOWN)
"""What is not written."""


class LanguageModelling(Task):
    """The next token of a text, a character or a byte, after all those before it.

    The text is cut into a validation, a training and a test part, in this order, so that what is known just before the
    test part is learnt from: half a play read, its other half is easier. The vocabulary is that of the training part;
    what is not in it is one unknown token. An epoch reads the training part as streams side by side,
    each batch going on with the state in which the one before ended. The other parts are read in streams as well, each
    from a little before its first token, so that every token is predicted from a past.

    unit: "character" or "byte". validation, test: shares of the text, but at most `largest_part` tokens each.
    at_least: how often a token must occur in training to be in the vocabulary. timesteps: of a batch, which the
    gradient goes back over. batch_size: streams. epoch_steps: batches of an epoch at most; the next one goes on
    elsewhere.
    """

    reference: ClassVar[str] = "ngram"
    learnt: ClassVar[tuple[str, ...]] = ("vocabulary", "unit")

    def __init__(
        self,
        name: str,
        unit: str = "character",
        validation: float = 0.05,
        test: float = 0.1,
        largest_part: int = 2_000_000,
        at_least: int = 1,
        timesteps: int = 100,
        batch_size: int = 16,
        epoch_steps: int | None = None,
    ) -> None:
        super().__init__()
        self.task_name = name
        self.unit = unit
        self.validation = validation
        self.test = test
        self.largest_part = largest_part
        self.at_least = at_least
        self.timesteps = timesteps
        self.batch_size = batch_size
        self.epoch_steps = epoch_steps

    def check(self) -> None:
        check_parts(self.validation, self.test)
        check_whole("largest_part", self.largest_part, 2 * WINDOW)
        for key in ("at_least", "timesteps", "batch_size"):
            check_whole(key, getattr(self, key))
        if self.epoch_steps is not None:
            check_whole("epoch_steps", self.epoch_steps)

    def prepare(self, dataset: Any, raw: Path, folder: Path) -> dict[str, Any]:
        """Three passes over the text in pieces: its length, the vocabulary, the tokens."""
        size = sum(len(codes) for codes in dataset.codes(raw))
        splits = self._split(size)
        counts = np.zeros(CODES, np.int64)
        for codes in _between(dataset.codes(raw), *splits["train"]):
            counts += np.bincount(codes, minlength=CODES)
        kept = np.flatnonzero(counts >= self.at_least)
        kept = kept[np.argsort(-counts[kept], kind="stable")]
        if len(kept) < 2:
            raise UserError(
                f"The training part has {len(np.flatnonzero(counts))} kind(s) of {self.unit}, {len(kept)} of them at "
                f"least {self.at_least} time(s) (task.at_least): there is nothing to predict."
            )
        vocabulary = Vocabulary([*SPECIAL, *map(chr, kept)])
        numbers = np.full(CODES, UNKNOWN, np.min_scalar_type(len(vocabulary) - 1))
        numbers[kept] = np.arange(len(SPECIAL), len(vocabulary))
        _write(folder / "tokens.npy", (numbers[codes] for codes in dataset.codes(raw)), size, numbers.dtype)
        of_tokens = np.bincount(numbers, counts, len(vocabulary)).astype(np.int64)
        np.save(folder / "counts.npy", of_tokens)
        return {
            "unit": self.unit,
            "splits": splits,
            "vocabulary": vocabulary.as_list(),
            "report": self._report(np.load(folder / "tokens.npy", mmap_mode="r"), splits, len(kept)),
        }

    def _split(self, size: int) -> dict[str, tuple[int, int]]:
        """The first token of each part, and one past its last."""
        test = min(size - int(size * (1 - self.test)), self.largest_part)
        validation = min(int(size * self.validation), self.largest_part)
        train = (validation, size - test)
        splits = {"train": train, "validation": (0, validation), "test": (size - test, size)}
        for split, (first, end) in splits.items():
            if end - first < 2 * WINDOW:
                raise UserError(
                    f"A text of {size} {self.unit}s is too short: the {split} part has {end - first}, at least "
                    f"{2 * WINDOW} are needed. Give a longer text, or other shares."
                )
        return splits

    def _report(self, tokens: NDArray[Any], splits: dict[str, tuple[int, int]], kinds: int) -> dict[str, str]:
        report = {"vocabulary": f"{kinds} kinds of {self.unit} in the training part"}
        for split, (first, end) in splits.items():
            report[split] = f"{end - first} {self.unit}s"
            if split != "train":
                report[split] += f", {(tokens[first:end] == UNKNOWN).mean():.2%} of them unknown in training"
        return report

    def open(self, folder: Path, meta: dict[str, Any], seed: int) -> None:
        self.restore(meta)
        self.seed = seed
        self.tokens = np.load(folder / "tokens.npy", mmap_mode="r")
        self._counts = np.load(folder / "counts.npy")

    def restore(self, learnt: dict[str, Any]) -> None:
        self.meta = learnt
        self.vocabulary = Vocabulary.from_list(learnt["vocabulary"])
        self.spec = TaskSpec(
            task=self.task_name,
            layout="many_to_many",
            input_size=len(self.vocabulary),
            output_size=len(self.vocabulary),
            loss=CrossEntropy(),
            metrics={f"nats_per_{self.unit}": "min", f"bits_per_{self.unit}": "min", "accuracy": "max"},
            rank_by=f"nats_per_{self.unit}",
            tokens=True,
            causal=True,
            streamed=True,
        )

    def raw_columns(self) -> dict[str, Column]:
        return {"prompt": Column("text", f"a text of at least one {self.unit}")}

    def raw_example(self) -> pd.DataFrame:
        return pd.DataFrame({"prompt": ["To be, or not to be"]})

    def raw_options(self) -> dict[str, int | float]:
        """length: of the continuation. temperature, top_k, seed: of its draws, see `rnnlab.layouts.sampling`; top_k=0:
        all tokens."""
        return {"length": 200, "temperature": 1.0, "top_k": 0, "seed": 0}

    def respond(self, model: Model, tables: Iterable[pd.DataFrame], **options: Any) -> Iterator[pd.DataFrame]:
        """The `continuation` of each prompt, and the mean of -ln p of the prompt's own tokens, but for the first."""
        asked = self.raw_options() | options
        for key, least in (("length", 0), ("top_k", 0), ("seed", 0)):
            if asked[key] != int(asked[key]) or asked[key] < least:
                raise UserError(f"{key}={asked[key]}: a whole number of at least {least} is needed.")
        for table in tables:
            check_columns(table, self.raw_columns())
            rows = []
            for prompt in texts(table, "prompt"):
                nats = pd.concat(list(self.score(model, [prompt])))["nats"]
                continuation = self.write(
                    model, prompt, int(asked["length"]), asked["temperature"], int(asked["top_k"]) or None,
                    int(asked["seed"]),
                )  # fmt: skip
                rows.append({"continuation": continuation, f"nats_per_{self.unit}": nats.mean()})
            yield pd.DataFrame(rows, index=table.index)

    @torch.inference_mode()
    def score(self, model: Model, text: Iterable[str]) -> Iterator[pd.DataFrame]:
        """A row for each token of a text but its first: its `place`, the `token`, `nats` = -ln p of it after all those
        before it, and the `likeliest` token there. The text comes in pieces; none but the one at work is kept."""
        model.eval()
        state, place = None, 1
        last = np.empty(0, np.int64)
        names = np.array(self.vocabulary.tokens, dtype=object)
        for piece in text:
            units = self._units(piece)
            for first in range(0, len(units), SCORED):
                tokens = np.concatenate([last, self.vocabulary.encode(units[first : first + SCORED])]).astype(np.int64)
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

    def _units(self, text: str) -> list[str]:
        """Characters, or bytes each as the character of its number."""
        return list(text.encode().decode("latin-1")) if self.unit == "byte" else list(text)

    def loader(self, split: Split) -> Streams:
        span = self.meta["splits"][split]
        if split == "train":
            return Streams(self.tokens, span, self.timesteps, self.batch_size, seed=self.seed, at_most=self.epoch_steps)
        return Streams(self.tokens, span, EVALUATED_TIMESTEPS, EVALUATED_STREAMS, warm_up=WARM_UP)

    def predict(self, model: Model) -> pd.DataFrame:
        first, end = self.meta["splits"]["test"]
        nats, right = np.zeros(end - first - 1, np.float32), np.zeros(end - first - 1, np.bool_)
        places = self.loader("test").places()
        for (batch, logits), (inputs, counted) in zip(self.answers(model), places, strict=True):
            targets = batch.targets.clamp(min=0)[..., None]
            log_p = logits.float().log_softmax(-1).gather(-1, targets)[..., 0]
            at = inputs[counted] - first
            nats[at] = -log_p.cpu().numpy()[counted]
            right[at] = (logits.argmax(-1) == batch.targets).cpu().numpy()[counted]
        return self._table(nats, right)

    def _table(self, nats: NDArray[np.floating], right: NDArray[np.bool_]) -> pd.DataFrame:
        """A row for each token of the test part but its first: -ln p of it, and whether it was the likeliest."""
        first, end = self.meta["splits"]["test"]
        tokens = np.array(self.tokens[first + 1 : end])
        return pd.DataFrame({"token": tokens, "nats": nats.astype(np.float32), "right": right})

    def baselines(self) -> dict[str, pd.DataFrame]:
        """ngram: Kneser-Ney, of the length that makes the validation part the likeliest. unigram: each token's share.

        So that memory suffices, n-grams are counted on the last `COUNTED` tokens of the training part, and their length
        is chosen on the first `PIECE` of the validation part.
        """
        train, validation, (first, end) = (self.meta["splits"][split] for split in SPLITS)
        size = len(self.vocabulary)
        counted = self.tokens[max(train[0], train[1] - COUNTED) : train[1]]
        model = KneserNey.fit(counted, size, self.tokens[validation[0] : min(validation[1], validation[0] + PIECE)])
        pieces = [
            model.predict(self.tokens[start - LONGEST : min(start + PIECE, end)], LONGEST)
            for start in range(first + 1, end, PIECE)
        ]
        p, likeliest = (np.concatenate(part) for part in zip(*pieces, strict=True))
        tokens = self.tokens[first + 1 : end]
        share = (self._counts + 1) / (self._counts.sum() + size)
        return {
            "ngram": self._table(-np.log(p), likeliest == tokens),
            "unigram": self._table(-np.log(share[tokens]), tokens == share.argmax()),
        }

    def losses(self, predictions: pd.DataFrame) -> Array:
        """The mean loss of each window of 100 tokens, in nats; the last one takes the rest as well."""
        return _means(_nats(predictions), max(1, len(predictions) // WINDOW), WINDOW)

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """Of one table, the unit being a character or a byte:

        nats_per_character   the mean of -ln p of the true next character
        bits_per_character   the same in bits: divided by ln 2
        accuracy             share of characters that were the likeliest ones
        """
        nats = float(_nats(predictions).mean())
        return {
            f"nats_per_{self.unit}": nats,
            f"bits_per_{self.unit}": nats / float(np.log(2)),
            "accuracy": float(predictions["right"].mean()),
        }

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """Nats per token by tenth of the test part."""
        scores = _means(_mean_nats(predictions), PARTS, len(predictions[0]) // PARTS)
        return pd.DataFrame({"part": np.arange(1, PARTS + 1), "score": scores})

    def figures(self, predictions: list[pd.DataFrame], name: str) -> dict[str, Figure]:
        tokens, nats = predictions[0]["token"].to_numpy(), _mean_nats(predictions)
        # the first row is of the second token
        begin = max(0, self._line() - self.meta["splits"]["test"][0] - 1)
        passage = slice(begin, begin + PASSAGE)
        in_word = np.array([len(token) == 1 and token.isalnum() for token in self.vocabulary.tokens])
        title = f"{name}: nats per {self.unit}"
        return {
            "passage": draw_passage(self._characters(tokens[passage]), nats[passage], title),
            "places": draw_places(self.plot_rows(predictions)["score"].to_numpy(), in_word[tokens], nats, title),
        }

    def look(self, model: Model) -> dict[str, Figure]:
        """What is likely to come next, and the states and gates of each layer, over a line of the test part."""
        first = self._line()
        past, line = (self._batch(first + begin, size, model) for begin, size in ((-WARM_UP, WARM_UP), (0, SENTENCE)))
        model.eval()
        with torch.no_grad():
            _, state = model.net(past)
            logits, _ = model.net(line, state)
            found = activations(model.net.recurrent, model.net.entry(line.inputs), state)
        characters = self._characters(self.tokens[first : first + SENTENCE + 1])
        p = probabilities(logits[0].double(), never=NEVER).cpu().numpy()
        figures = {"next": draw_next(characters, p, self._characters(np.arange(len(self.vocabulary))))}
        labels = [shown(character) for character in characters[:-1]]
        for number, one in enumerate(found, 1):
            layer = f", layer {number}" if len(found) > 1 else ""
            name = f"activations_layer_{number}" if len(found) > 1 else "activations"
            figures[name] = draw_activations(one, labels, f"states and gates after each {self.unit}{layer}")
        return figures

    def _line(self) -> int:
        """Where the first line of the test part begins that does not begin with it."""
        first, end = self.meta["splits"]["test"]
        line_end = int(self.vocabulary.encode(["\n"])[0])
        found = np.flatnonzero(self.tokens[first : min(first + PASSAGE, end - SENTENCE - 1)] == line_end)
        return int(first + found[0] + 1) if len(found) else int(first)

    def _batch(self, first: int, size: int, model: Model) -> Batch:
        tokens = torch.from_numpy(self.tokens[first : first + size + 1].astype(np.int64))[None].to(model.device)
        return Batch(tokens[:, :-1], tokens[:, 1:])

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
        """What the net writes behind a prompt of at least one token; see `rnnlab.layouts.sampling`."""
        tokens = torch.from_numpy(self.vocabulary.encode(self._units(prompt))).long()[None].to(model.device)
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
        text = "".join(self.vocabulary.decode(written[0].tolist()))
        return text.encode("latin-1").decode(errors="replace") if self.unit == "byte" else text

    def _characters(self, tokens: NDArray[np.integer]) -> list[str]:
        """Each token as one character; U+FFFD for those that stand for none."""
        return [token if len(token) == 1 else "\ufffd" for token in map(self.vocabulary.tokens.__getitem__, tokens)]


def _between(pieces: Iterable[Codes], first: int, end: int) -> Iterator[Codes]:
    """Of all numbers of the pieces those from `first` on and before `end`."""
    for piece in pieces:
        yield piece[max(first, 0) : max(end, 0)]
        first, end = first - len(piece), end - len(piece)
        if end <= 0:
            return


def _write(path: Path, pieces: Iterable[NDArray[Any]], size: int, dtype: np.dtype[Any]) -> None:
    """An .npy of all pieces one after the other; they go to the file, where a memory map would keep them in memory."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (size,)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_2_0(file, header)
        for piece in pieces:
            piece.tofile(file)


def _nats(predictions: pd.DataFrame) -> Array:
    return predictions["nats"].to_numpy(np.float64)


def _mean_nats(predictions: list[pd.DataFrame]) -> Array:
    """Of each token, over the seeds."""
    result: Array = np.mean([_nats(table) for table in predictions], axis=0)
    return result


def _means(values: Array, count: int, size: int) -> Array:
    """Of `count` pieces of `size`; the last one takes the rest as well."""
    starts = size * np.arange(count)
    result: Array = np.add.reduceat(values, starts) / np.diff(starts, append=len(values))
    return result
