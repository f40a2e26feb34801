"""What predictions of notes are worth, and how a net goes on with a piece."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from scipy.special import expit

from rnnlab.data.batches import Batch
from rnnlab.data.midi import midi_file
from rnnlab.datasets.chorales import KEYS, LOWEST, Roll
from rnnlab.extras import require
from rnnlab.results.figures import png
from rnnlab.tasks.judging import Judging, Model, losses_of_ratio
from rnnlab.tasks.music.data import MusicData
from rnnlab.tasks.music.piano_roll import draw_continuation
from rnnlab.tasks.raw_input import real_timesteps
from rnnlab.tasks.task import Array, Split

PARTS = (0, 8, 16, 32, 64)
"""The parts of a piece that `plot_rows` scores begin behind these frames."""

GIVEN, WRITTEN = 16, 64
"""Frames of a true piece that a net is given, and frames that it then writes by itself."""


class MusicJudging(Judging):
    """The table of predictions has a row for each predicted frame of the split, see `table`."""

    timestep: ClassVar[str] = "frame"

    task: MusicData

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Raises: `MissingExtra` without mido, which writes the samples, beside what each judging raises."""
        super().check_options(options)
        require("tasks", "task=music", "mido")

    def say(self, model: Model, batch: Batch, table: pd.DataFrame) -> pd.DataFrame:
        """A row for each frame, and what is likely to sound behind it: the `expected` notes, those with p > 0.5, and p
        of each key, p_21 to p_108."""
        logits = model(batch.to(model.device))
        real = real_timesteps(batch)
        p = expit(logits.double().cpu().numpy()[real])
        answers = {
            "frame": np.nonzero(real)[1] + 1,
            "expected": [" ".join(map(str, np.flatnonzero(frame > 0.5) + LOWEST)) for frame in p],
        }
        each = {f"p_{LOWEST + key}": p[:, key] for key in range(KEYS)}
        return pd.DataFrame(answers | each, index=table.index.repeat(real.sum(axis=1)))

    def predict(self, model: Model) -> pd.DataFrame:
        loader = self.task.loader("test")
        found, pieces = [], []
        for (batch, prediction), indices in zip(
            self.answers(model), loader.sampler.batches(self.task.batch_size), strict=True
        ):
            assert batch.lengths is not None
            real = torch.arange(prediction.shape[1], device=prediction.device) < batch.lengths[:, None]
            found.append(prediction[real].double().cpu())
            pieces.append(indices.repeat_interleave(batch.lengths.cpu()))
        in_order = torch.cat(pieces).argsort(stable=True)
        return self.table(torch.cat(found)[in_order].numpy())

    def table(self, logits: Array, split: Split = "test") -> pd.DataFrame:
        """Predictions from ln p/(1 - p) of each key at each predicted frame of the split, (frames, 88).

        A row for each of these: its `piece` and `frame`, the `notes` that sound there, `nll` = -Σ over the keys of
        y ln p + (1 - y) ln(1 - p), and p of each key, p_21 to p_108. If each key were drawn with its p, so many notes
        are to be expected that sound (`hits`), that do not (`false_alarms`), and that sound and are not drawn
        (`misses`).
        """
        actual, p = self.task.actual(split), expit(logits)
        lengths = self.task.rolls[split].lengths.numpy() - 1
        table = pd.DataFrame(
            {
                "piece": np.repeat(np.arange(len(lengths)), lengths),
                "frame": np.concatenate([np.arange(1, length + 1) for length in lengths]),
                "notes": [" ".join(map(str, np.flatnonzero(frame) + LOWEST)) for frame in actual],
                "nll": (np.logaddexp(0, logits) - np.where(actual, logits, 0)).sum(axis=1),
                "hits": (p * actual).sum(axis=1),
                "false_alarms": (p * ~actual).sum(axis=1),
                "misses": ((1 - p) * actual).sum(axis=1),
            }
        )
        names = [f"p_{LOWEST + key}" for key in range(KEYS)]
        return table.join(pd.DataFrame(p.astype(np.float32), columns=names))

    def losses(self, predictions: pd.DataFrame) -> Array:
        """Of each piece, in nats per frame; the nll of a long one is summed over more frames."""
        by_piece = predictions.groupby("piece")["nll"].agg(["sum", "size"]).astype(np.float64)
        return losses_of_ratio(by_piece["sum"].to_numpy(), by_piece["size"].to_numpy())

    def judge(self, predictions: pd.DataFrame) -> dict[str, float]:
        """Of one table:

        nll           in nats per frame, the mean over all predicted frames (as in Bai, Kolter and Koltun 2018)
        nll_by_piece  the mean over the pieces of each piece's mean (as in Zakovskis et al. 2021)
        accuracy      TP / (TP + FP + FN) over all frames and keys (Bay et al. 2009), the numbers being those to be
                      expected if each note were drawn with its probability; precision: likewise TP / (TP + FP)
        """
        hits, false_alarms, misses = predictions[["hits", "false_alarms", "misses"]].sum()
        return {
            "nll": float(predictions["nll"].mean()),
            "nll_by_piece": float(mean_by_piece(predictions).mean()),
            "accuracy": float(hits / (hits + false_alarms + misses)),
            "precision": float(hits / (hits + false_alarms)),
        }

    def plot_rows(self, predictions: list[pd.DataFrame]) -> pd.DataFrame:
        """nll by how far into a piece a frame lies."""
        whole = pd.concat(predictions)
        rows = []
        for before, last in zip(PARTS, (*PARTS[1:], None), strict=True):
            part = whole[whole["frame"].between(before + 1, last or np.inf)]
            if len(part):
                named = f"{before + 1} to {last}" if last else f"{before + 1} on"
                rows.append({"part": named, "score": part["nll"].mean()})
        return pd.DataFrame(rows)

    @torch.inference_mode()
    def continuation(self, model: Model, split: Split, piece: int = 0) -> Roll:
        """The first `GIVEN` frames of a piece, then `WRITTEN` that the net draws, each note by itself.

        The draws are the same each time.
        """
        model.eval()
        generator = torch.Generator().manual_seed(piece)
        given = torch.tensor(self.task.rolls[split][piece][:GIVEN]).float()
        read = given[None].to(model.device)
        logits, state = model.net(Batch(read, read))
        prepared = model.net.recurrent.prepare()
        prediction, written = logits[:, -1], []
        for _ in range(WRITTEN):
            drawn = torch.bernoulli(prediction.float().sigmoid().cpu(), generator=generator)
            written.append(drawn)
            prediction, state = model.net.step(drawn.to(model.device), state, prepared)
        return torch.cat([given, *written]).numpy().astype(np.uint8)

    def samples(self, model: Model) -> dict[str, str | bytes]:
        """How the net goes on with two pieces of the validation part, as MIDI files and as piano rolls."""
        found: dict[str, str | bytes] = {}
        for piece in range(min(2, len(self.task.rolls["validation"]))):
            roll = self.continuation(model, "validation", piece)
            found[f"continuation_{piece}.mid"] = midi_file(roll, LOWEST)
            found[f"continuation_{piece}.png"] = png(draw_continuation(roll, GIVEN, f"validation piece {piece}"))
        return found


def mean_by_piece(predictions: pd.DataFrame) -> "pd.Series[float]":
    return predictions.groupby("piece")["nll"].mean()
