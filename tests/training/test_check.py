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
                "cell.activation=sigmoid is none of",
                "trainer.threads=0: ",
                "trainer.precision=8 is none",
                "lr=-1: a rate",
            ),
        ),
        (("cell.zoneout=2",), ("cell.zoneout=2: ",)),
        (("cell.unroll=triton",), ("cell.unroll=triton",)),
        (("cell.zoneout=null",), ("cell.zoneout must be a number, got null",)),
        (("optimizer.lr=inf",), ("optimizer.lr must be a number, got inf",)),
        (("~optimizer.lr",), ("a rate above 0 is needed",)),
        (("seed=???",), ("seed: ",)),
        (("task=adding", "task.net.readout=lost"), ("task.net.readout=lost is none of last, mean, max",)),
        (("task.net._target_=rnnlab.layouts.layout.Layout",), ("Layout is no layout",)),
        (("cell._target_=rnnlab.modules.module.SequenceModule",), ("names SequenceModule: a class made from",)),
        (("cell._target_=rnnlab.cells.cell.Cell",), ("names Cell: a class made from",)),
        (("task=series", "task.loss=RegressionLoss"), ("RegressionLoss: a class made from it is needed",)),
        (("optimizer._target_=torch.optim.SparseAdam", "~optimizer.weight_decay"), ("SparseAdam cannot be made",)),
        (("task=translate", "task.beam=0", "task.net.attention=self"), ("task.beam=0: ", "task.net.attention=self is")),
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
