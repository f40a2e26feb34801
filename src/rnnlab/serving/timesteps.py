"""A trained net that answers at each timestep of a sequence while it comes, with the numbers of the whole at once."""

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from rnnlab.data.batches import Batch
from rnnlab.errors import UserError
from rnnlab.modules.module import SequenceModule
from rnnlab.tasks.judging import Judging
from rnnlab.tasks.raw_input import Column, RowError, Timestep, decoded_timestep


class TimestepStream:
    """`stream.step(value)` takes one timestep of raw input and gives the answer there; the state is kept in between.

        stream = model.stream()
        for answer in stream.over(["They", "know", "that"]):
            print(answer["timestep"], answer["predicted"])

    A net that tags says what this timestep is; one that classifies, what it would say if the sequence ended here.

    Raises: `UserError` for a net that reads from the end too, or does not answer by timestep or sequence, and for a
    task whose raw input has no timesteps of its own.
    """

    def __init__(self, judging: Judging, module: SequenceModule) -> None:
        self.column: Column = judging.task.raw_timestep()
        """What a timestep is."""
        module.net.check_step()
        self._judging = judging
        self._net = _Net(module)
        self.reset()

    def reset(self) -> None:
        """Begin a new sequence."""
        self._net.reset()
        self._before: Timestep | None = None
        self.timesteps = 0

    def step(self, value: Any) -> dict[str, Any]:
        """The answer at a timestep, as in a row of `Predictor.predict`, with its number from 1.

        Raises: `UserError` for what is no timestep; the sequence may go on as if it had not come.
        """
        number = self.timesteps + 1
        with torch.inference_mode():
            try:
                read = self._judging.task.read_timestep(value, self._before)
            except RowError as error:
                raise UserError(f"timestep {number}, {error.what}") from None
            answers = self._judging.say(self._net, read.batch, read.table)
        self._before, self.timesteps = read, number
        answer = {str(name): value for name, value in answers.to_dict(orient="records")[0].items()}
        return {self._judging.timestep: number, **answer, self._judging.timestep: number}

    def over(self, values: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """The answer to each timestep, as soon as it comes."""
        return map(self.step, values)


class _Net:
    """A net as its task's judging asks it, but of one timestep, which goes on from the one before."""

    def __init__(self, module: SequenceModule) -> None:
        self.net: Any = module.net
        self.device = module.device
        self._per_timestep = module.spec.layout == "many_to_many"
        self.reset()

    def reset(self) -> None:
        self._state: Any = None
        with torch.inference_mode():
            self._prepared = self.net.recurrent.prepare()

    def eval(self) -> Any:
        return self

    def __call__(self, batch: Batch) -> Tensor:
        prediction: Tensor
        prediction, self._state = self.net.step(batch.inputs[:, 0], self._state, self._prepared)
        return prediction[:, None] if self._per_timestep else prediction


def answers_to_lines(lines: Iterable[bytes], stream: TimestepStream) -> Iterator[pd.DataFrame]:
    """A table of one row for each line that is a timestep, see `decoded_timestep`; an empty line ends a sequence.

    `row` counts the sequences from 0, as it does where each is a row of a table.

    Raises: `UserError` that names the line of what cannot be read.
    """
    row = 0
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if not text:
                row += stream.timesteps > 0
                stream.reset()
                continue
            answer = stream.step(decoded_timestep(text, stream.column))
        except UnicodeDecodeError as error:
            raise UserError(f"standard input, line {number} is not UTF-8 ({error.reason}).") from None
        except UserError as error:
            raise UserError(f"standard input, line {number}: {error}") from None
        except ValueError as error:
            raise UserError(f"standard input, line {number}: not {stream.column.holds} ({error}).") from None
        yield pd.DataFrame([{"row": row, **answer}])
