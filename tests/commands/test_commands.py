"""What a job gives back: to a sweeper of Hydra's its validation loss, whatever the sweeper is."""

import pickle
from pathlib import Path

import pytest

from rnnlab.results.files import read_json
from tests.conftest import Run

SHORT = ("task=digits", "cell=rnn", "trainer.max_epochs=1", "trainer.limit_batches=2", "tracking=none")

KEPT = ("+hydra.callbacks.keep._target_=hydra.experimental.callbacks.PickleJobInfoCallback",)
"""Hydra's own callback, which keeps what its launcher was given."""


def returned(root: Path) -> list[float]:
    return [pickle.loads(path.read_bytes()).return_value for path in sorted(root.rglob("job_return.pickle"))]


def test_each_job_of_a_sweep_returns_its_validation_loss(run: Run, root: Path) -> None:
    folders = (f"hydra.sweep.dir={root}/sweep", "hydra.sweep.subdir=${hydra.job.num}", "hydra.output_subdir=.hydra")
    outcome = run("train", "-m", *SHORT, "seed=0,1", *KEPT, *folders)
    assert outcome.code == 0, outcome.err
    kept = [read_json(root.glob(f"runs/digits/*/rnn/*/train/seed={seed}/metrics.json").__next__()) for seed in (0, 1)]
    assert returned(root) == [facts["validation_loss"] for facts in kept]


def test_the_seeds_of_the_pipeline_return_their_mean_and_a_smoke_test_its_own(run: Run, root: Path) -> None:
    for stage in ("fetch", "preprocess"):
        assert run(stage, "task=digits", "dvc=true").code == 0
    folder = (f"hydra.run.dir={root}/job", "hydra.output_subdir=.hydra")
    assert run("train", *SHORT, "dvc=true", *KEPT, *folder).code == 0
    kept = [read_json(path)["validation_loss"] for path in root.glob("results/digits/rnn/train/*/metrics.json")]
    assert len(kept) == 3
    assert returned(root) == [pytest.approx(sum(kept) / 3)]
    assert run("train", "debug=fast", *SHORT[:2], *KEPT, *folder).code == 0
    assert 1 < returned(root)[0] < 4
    assert len(list(root.rglob("metrics.json"))) == 3, "a smoke test keeps nothing"
