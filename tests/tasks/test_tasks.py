"""Every task as every cell meets it: whole, honest about what it learnt from, and clear about what cannot work."""

import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from rnnlab.arguments import parameters
from rnnlab.config.fingerprint import plain
from rnnlab.config.stages import compose_task
from rnnlab.data.batches import Batch, Batches, Streams
from rnnlab.data.vocabulary import IGNORED
from rnnlab.diagnosis.activations import draw_passage
from rnnlab.errors import MissingExtra, UserError
from rnnlab.losses import ConnectionistTemporal, CrossEntropy
from rnnlab.modules.build import build_module
from rnnlab.modules.module import SequenceModule
from rnnlab.results.paths import CONF
from rnnlab.tasks.classification.handwriting.data import HandwritingData
from rnnlab.tasks.synthetic.parity.data import ParityData
from rnnlab.tasks.task import SPLITS, Task
from rnnlab.training.prepare import open_task, prepared_data
from tests.conftest import Run
from tests.layouts.nets import LAYOUTS
from tests.tasks.examples.catalogue import Bad, Example, examples
from tests.tasks.parts import baselines_of, figures_of, judging_of

EXAMPLES = examples()
CELLS = sorted(path.stem for path in (CONF / "cell").glob("*.yaml"))

OF_PROBABILITIES = {"nll", "calibration_error"}
"""Metrics that only a method with probabilities has."""

by_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.label)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Example], Path]:
    """A root in which the example's data is prepared, once for all tests of all processes."""
    of_process = tmp_path_factory.getbasetemp()
    root = (of_process.parent if "PYTEST_XDIST_WORKER" in os.environ else of_process) / "tasks"

    @cache
    def prepare(example: Example) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RNNLAB_ROOT", str(root))
            patch.delenv("RNNLAB_MIRROR", raising=False)
            try:
                prepared_data(compose_task(example.task, *example.overrides))
            except MissingExtra as error:
                pytest.skip(str(error))
        return root

    return prepare


@pytest.fixture
def opened(
    prepared: Callable[[Example], Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Example, int], tuple[DictConfig, Task]]:
    def opened(example: Example, seed: int = 0, *overrides: str) -> tuple[DictConfig, Task]:
        monkeypatch.setenv("RNNLAB_ROOT", str(prepared(example)))
        monkeypatch.delenv("RNNLAB_MIRROR", raising=False)
        cfg = compose_task(example.task, *example.overrides, *overrides)
        return cfg, open_task(cfg, seed)

    return opened


def test_every_task_has_an_example() -> None:
    assert {example.task for example in EXAMPLES} == {path.stem for path in (CONF / "task").glob("*.yaml")}


def test_every_layout_has_a_task(opened: Any) -> None:
    found = set()
    for example in EXAMPLES:
        if example.task in ("xor", "digits", "shakespeare", "caption", "translate"):
            found.add(opened(example)[1].spec.layout)
    assert found == set(LAYOUTS)


@by_example
def test_the_spec_says_what_the_batches_are(opened: Any, example: Example) -> None:
    cfg, task = opened(example)
    spec = task.spec
    assert spec.rank_by in spec.metrics
    assert spec.causal == task.causal
    module = build_module(cfg, task)
    for split in SPLITS:
        batch = next(iter(task.loader(split)))
        assert isinstance(batch, Batch)
        if spec.tokens:
            assert batch.inputs.dtype == torch.long
            assert int(batch.inputs.min()) >= 0
            assert int(batch.inputs.max()) < spec.input_size
        elif spec.image is None:
            assert batch.inputs.dtype == torch.float32
            assert batch.inputs.shape[-1] == spec.input_size
        else:
            assert batch.inputs.shape[1:] == spec.image
        if isinstance(spec.loss, CrossEntropy | ConnectionistTemporal):
            counted = batch.targets[batch.targets != IGNORED]
            assert len(counted)
            assert int(counted.min()) >= 0
            assert int(counted.max()) < spec.output_size
        prediction = module.eval()(batch)
        assert prediction.shape[-1] == spec.output_size
        assert torch.isfinite(module.loss(batch))


@by_example
def test_the_order_of_training_is_a_function_of_seed_and_epoch(opened: Any, example: Example) -> None:
    def read(seed: int, epoch: int, split: str = "train") -> list[torch.Tensor]:
        loader = opened(example, seed)[1].loader(split)
        loader.sampler.set_epoch(epoch)
        batches = [next(iter(loader))] if isinstance(loader, Streams) else list(loader)
        return [batch.inputs for batch in batches]

    def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
        return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))

    assert same(read(0, 0), read(0, 0))
    assert same(read(0, 0, "validation"), read(1, 3, "validation"))
    if len(opened(example)[1].loader("train")) > 1:
        assert not same(read(0, 0), read(0, 1))
        assert not same(read(0, 0), read(1, 0))


@by_example
def test_a_batch_loader_gives_each_example_once(opened: Any, example: Example) -> None:
    for split in SPLITS:
        loader = opened(example)[1].loader(split)
        if isinstance(loader, Batches):
            positions = loader.positions()
            assert torch.equal(positions.sort().values, torch.arange(len(positions)))
            assert sum(len(batch.inputs) for batch in loader) == len(positions)


@by_example
def test_baselines_and_nets_are_judged_on_the_same_items(opened: Any, example: Example) -> None:
    cfg, task = opened(example)
    torch.manual_seed(0)
    judging, baselines = judging_of(cfg, task), baselines_of(cfg, task)
    fitted = baselines.fitted()
    assert baselines.trivial in fitted
    tables = {name: predict("test") for name, predict in fitted.items()}
    tables["net"] = judging.predict(build_module(cfg, task))
    sizes = set()
    best = set()
    for name, table in tables.items():
        metrics = judging.metrics([table])
        bare = "confidence" in table and table["confidence"].isna().all()
        assert set(task.spec.metrics) - (OF_PROBABILITIES if bare else set()) <= set(metrics), name
        assert all(np.isfinite(value) for value in metrics.values()), (name, metrics)
        json.dumps(metrics, allow_nan=False)
        losses = judging.losses(table)
        assert losses.dtype == np.float64
        assert np.isfinite(losses).all()
        sizes.add(losses.shape)
        # the mean loss is the metric that ranks, or how far it is from the best value that it can have
        ranked = metrics[task.spec.rank_by]
        best.add(
            round(float(losses.mean() + (ranked if task.spec.metrics[task.spec.rank_by] == "max" else -ranked)), 6)
        )
    assert best in ({0.0}, {1.0}, {100.0})
    assert len(sizes) == 1
    assert len(sizes.pop()) == 1
    # the reference of the cells' verdicts is the baseline that is best there
    validation = {name: predict("validation") for name, predict in fitted.items()}
    assert all(np.isfinite(judging.judge(table)[task.spec.rank_by]) for table in validation.values())
    assert len({len(judging.losses(table)) for table in validation.values()}) == 1


@by_example
def test_a_table_of_predictions_keeps_its_meaning_on_disk(opened: Any, example: Example, tmp_path: Path) -> None:
    cfg, task = opened(example)
    torch.manual_seed(0)
    judging = judging_of(cfg, task)
    table = judging.predict(build_module(cfg, task))
    table.to_parquet(tmp_path / "predictions.parquet", index=False)
    again = pd.read_parquet(tmp_path / "predictions.parquet")
    assert judging.metrics([again]) == judging.metrics([table])
    figures = figures_of(cfg, task).figures([again, again], "name")
    assert figures
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")
    rows = judging.plot_rows([again, again])
    assert {"part", "score"} <= set(rows.columns)
    assert len(rows)


@by_example
def test_a_net_is_inspected_and_writes(opened: Any, example: Example, tmp_path: Path) -> None:
    cfg, task = opened(example)
    module = build_module(cfg, task).eval()
    figures = figures_of(cfg, task)
    for name, figure in figures.inspect(module).items():
        figure.savefig(tmp_path / f"{name}.png")
    if passage := figures.passage():
        for name, figure in draw_passage(module, passage).items():
            figure.savefig(tmp_path / f"{name}.png")
    for name, content in figures.judging.samples(module).items():
        assert Path(name).suffix
        assert content


@by_example
def test_what_was_learnt_from_data_travels_in_the_checkpoint(opened: Any, example: Example) -> None:
    _, task = opened(example)
    state = task.state_dict()
    assert state["digest"] == task.meta["digest"]
    json.dumps(state)


@pytest.mark.slow
@by_example
def test_every_cell_runs_on_the_task(opened: Any, example: Example) -> None:
    """Two steps of training and a batch of validation, all losses finite."""
    cfg, task = opened(example)
    for cell in CELLS:
        if cell in example.slow_cells:
            continue
        cfg.cell = options_of(cell)
        torch.manual_seed(0)
        try:
            module = build_module(cfg, task)
        except MissingExtra:
            continue
        assert np.isfinite(run_steps(module, task, 2)).all(), cell


@cache
def options_of(cell: str) -> DictConfig:
    """What conf/cell says, for a small net; to compose it anew for each task would take longer than a run."""
    options: DictConfig = OmegaConf.create(plain(compose_task("price", f"cell={cell}", "cell.hidden_size=8").cell))
    return options


def run_steps(module: SequenceModule, task: Task, steps: int) -> list[float]:
    """So many steps of training and a batch of validation: the losses."""
    trainer = pl.Trainer(
        max_steps=steps, limit_val_batches=1, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, max_epochs=2,
        limit_train_batches=steps, barebones=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=task)
    return [float(value) for value in trainer.callback_metrics.values()]


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_saved_sweep_takes_a_step_with_each_of_its_cells(prepared: Any, monkeypatch: Any, path: Path) -> None:
    """At its full size, though on a processor, two sequences at a time and from the task's default source."""
    saved = OmegaConf.load(path)
    (task_name,) = (entry["override /task"] for entry in saved.defaults if "override /task" in entry)
    default = OmegaConf.load(CONF / "task" / f"{task_name}.yaml").get("source")  # none where all is drawn by rule
    source = [f"task.source={default}"] if default else []
    small = Example(task_name, (f"experiment={path.stem}", *source, "task.batch_size=2"))
    monkeypatch.setenv("RNNLAB_ROOT", str(prepared(small)))
    for cell in saved.hydra.sweeper.params.cell.split(","):
        cfg = compose_task(small.task, *small.overrides, f"cell={cell}")
        task = open_task(cfg, 0)
        assert np.isfinite(run_steps(build_module(cfg, task), task, 1)).all(), cell


@by_example
def test_a_task_made_by_hand_checks_every_argument(example: Example) -> None:
    """As a config's are: whatever the signature says of them."""
    cfg = compose_task(example.task, *example.overrides)
    task = instantiate(cfg.task.data)
    names = parameters(type(task))[0].keys() - {"name"}
    assert names <= task.options().keys()
    task.check()
    dataset = instantiate(cfg.task.dataset)
    dataset.check()
    with pytest.raises(UserError, match=r"task\.batch_size must be an integer >= 1, got true\."):
        instantiate(cfg.task.data, batch_size=True).check()


def test_all_wrong_arguments_are_named_at_once() -> None:
    with pytest.raises(UserError) as failure:
        HandwritingData("handwriting", classes=1, spacing=0, test=1).check()
    said = (
        "task.classes must be an integer >= 2, got 1.",
        "task.spacing must be",
        "task.test must be a number > 0 and < 1",
    )
    assert all(part in str(failure.value) for part in said)
    with pytest.raises(UserError, match=r"task\.train must be .* task\.test must be an integer >= 2, got 0\."):
        ParityData("parity", 5, train=1, test=0).check()


BAD = [(example, bad) for example in EXAMPLES for bad in example.bad]


@pytest.mark.parametrize(("example", "bad"), BAD, ids=[f"{example.task}: {bad.name}" for example, bad in BAD])
def test_what_cannot_work_is_named_before_training(run: Run, root: Path, example: Example, bad: Bad) -> None:
    for name, content in bad.files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    command = [f"task={example.task}", *example.overrides, *(part.replace("ROOT", str(root)) for part in bad.overrides)]
    if bad.break_raw is not None:
        outcome = prepare_broken(run, root, command, bad.break_raw)
    else:
        outcome = run("train", *command, "tracking=none", "trainer.max_epochs=1")
    assert outcome.code == 2, outcome.out + outcome.err
    for message in bad.messages:
        assert message in outcome.err, outcome.err
    assert "Traceback" not in outcome.err
    assert not list(root.glob("runs/*"))
    assert not list(root.rglob("*.npy")), "no data half-prepared"


def prepare_broken(run: Run, root: Path, command: list[str], break_raw: Callable[[Path], None]) -> Any:
    """Fetch as the pipeline does, spoil what was fetched, and prepare it."""
    fetched = run("fetch", *command)
    assert fetched.code == 0, fetched.err
    (raw,) = root.glob("data/raw/*")
    break_raw(raw)
    return run("preprocess", *command)
