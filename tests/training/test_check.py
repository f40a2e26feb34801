"""What cannot work is refused before any data is touched, all of it at once."""

from pathlib import Path

import pytest

from tests.conftest import Run

XOR = ("task=xor", "cell=rnn", "tracking=none")


@pytest.mark.parametrize(
    ("overrides", "messages"),
    [
        (
            ("cell.activation=sigmoid", "trainer.threads=0", "trainer.precision=8", "optimizer.lr=-1"),
            (
                "cell.activation must be one of tanh, ",
                "trainer.threads must be an integer >= 1 and <= 1024, got 0.",
                "trainer.precision must be one of 32-true, 64-true, 16-mixed, bf16-mixed, got 8.",
                "optimizer.lr must be a number > 0, got -1.",
            ),
        ),
        (("cell.zoneout=2",), ("cell.zoneout must be a number >= 0 and < 1, got 2.",)),
        (("cell.unroll=triton",), ("cell.unroll must be one of ",)),
        (("cell.zoneout=null",), ("cell.zoneout must be a number >= 0 and < 1, got null",)),
        (("optimizer.lr=inf",), ("optimizer.lr must be a number > 0, got inf",)),
        (("~optimizer.lr",), ("optimizer.lr: the key is missing.",)),
        (("seed=???",), ("seed: ",)),
        (("task=adding", "task.net.readout=lost"), ("task.net.readout must be one of last, mean, max, got lost.",)),
        (("task.net._target_=rnnlab.layouts.layout.Layout",), ("task.net._target_ must be a class made from",)),
        (("cell._target_=rnnlab.modules.module.SequenceModule",), ("cell._target_ must be a class made",)),
        (("cell._target_=rnnlab.cells.cell.Cell",), ("cell._target_ must be a class made",)),
        (
            ("task=series", "task.loss=RegressionLoss"),
            ("task.data.loss._target_ must be a class made from RegressionLoss, got",),
        ),
        (
            ("task=text", "cell.bidirectional=true", "cell.activation=relu6", "trainer.threads=0"),
            ("cell.activation must be one of", "trainer.threads must be an integer >= 1 and <= 1024, got 0."),
        ),
        (("task=text", "cell.bidirectional=true"), ("cell.bidirectional=true: text predicts what comes next",)),
        (("task=music", "cell.bidirectional=true"), ("cell.bidirectional=true: music predicts what comes next",)),
        (("trainer.threads=100000", "~cell.hidden_size"), ("got 100000.", "cell.hidden_size: the key is missing.")),
        (("~trainer", "seed=-1"), ("trainer: the key is missing.", "seed must be")),
        (("~task.net", "~schedule"), ("task.net: the key is missing.", "schedule: the key is missing.")),
        (("schedule=null",), ("a group takes the name of one of its files",)),
        (("cell.hidden_size='${task.nothing}'", "seed=-1"), ("task.nothing", "seed must be an integer >= 0")),
        (
            ("task.batch_options=[nonsense]",),
            ("task.batch_options must be some of the options of data,", "got nonsense."),
        ),
        (("task.batch_options=repeats",), ("task.batch_options must be a list",)),
        (
            ("tracking._target_=rnnlab.losses.CrossEntropy",),
            ("must be a class made from rnnlab.tracking.tracker.Tracker",),
        ),
        (
            ("task.judging._target_=rnnlab.tasks.synthetic.xor.data.XorData",),
            ("must be a class made from rnnlab.tasks.judging.Judging",),
        ),
        (
            ("+callbacks.mine={_target_:pytorch_lightning.callbacks.EarlyStopping,monitor:nonsense}",),
            ("callbacks.mine.monitor must be one of loss/validation, loss/train, got nonsense.",),
        ),
        (("optimizer._target_=torch.optim.SparseAdam", "~optimizer.weight_decay"), ("SparseAdam cannot be made",)),
        (
            ("task=translate", "task.beam=0", "task.net.attention=self"),
            ("task.beam must be an integer >= 1, got 0.", "task.net.attention must be one of "),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value[0], str) and "=" in value[0] else "",
)
def test_what_cannot_work_is_refused_at_once(
    run: Run, root: Path, overrides: tuple[str, ...], messages: tuple[str, ...]
) -> None:
    outcome = run("train", *XOR, *overrides)
    assert outcome.code == 2, outcome.out
    for message in messages:
        assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert not [*root.iterdir()]
