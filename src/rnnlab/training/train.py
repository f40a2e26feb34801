"""Training one cell on one task: each seed in its own folder, whole or not at all, resumed where it was stopped."""

import logging
import shutil
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from pytorch_lightning.plugins.environments import LightningEnvironment  # type: ignore[attr-defined]
from safetensors.torch import save_file

from rnnlab.config.fingerprint import save_config
from rnnlab.modules.module import Diverged, SequenceModule
from rnnlab.results.files import atomic_folder, read_json, write_json
from rnnlab.results.locks import Lock, is_of_lock, locked
from rnnlab.results.origin import is_current
from rnnlab.results.paths import from_root
from rnnlab.tasks.task import Task
from rnnlab.tracking.callback import RunCallback
from rnnlab.tracking.describe import describe_run
from rnnlab.tracking.live import Row
from rnnlab.tracking.recorder import KeepHistory, Recorder
from rnnlab.tracking.tracker import Tracked, Tracker
from rnnlab.training.budget import make_budget
from rnnlab.training.callbacks import bound_callbacks
from rnnlab.training.checkpoint import read_checkpoint
from rnnlab.training.progress import Progress
from rnnlab.training.run import Run

log = logging.getLogger("rnnlab")

# what Lightning says of its own accord at every start: hardware, tips, a resumed folder
for noisy in ("pytorch_lightning", "lightning_fabric"):
    logging.getLogger(noisy).setLevel(logging.WARNING)

HINTS = (
    "Checkpoint directory .* exists",
    ".*LeafSpec",
    "The number of training batches",
    "The `srun` command",  # wherever Slurm is installed
    "GPU available but not used",  # trainer.accelerator=cpu asked for it
)
"""How those begin that Lightning gives as warnings."""


def train_seed(run: Run, store: Tracker) -> Tracked | None:
    """Train a run that is not there yet, under its own lock, written whole or not at all.

    Returns: the seed as the store has it.
    """
    with locked(run.results.lock(run.seed), wait_seconds=2) as lock:
        if not run.cfg.force and run.is_trained(run.seed):
            log.info("%s: already trained under this setting%s; force=true trains it again", run.label, _place(run))
            return store.put(run.results, run.seed)
        return _train(run, store, lock)


def _train(run: Run, store: Tracker, lock: Lock) -> Tracked | None:
    module = run.initial_module()
    resume = None if run.cfg.force else _checkpoint_to_resume(run)
    if resume is None:
        _clear(run)
    described = describe_run(run, module)
    write_json(run.checkpoints / "run.json", described)
    begun = ", going on where it stopped" if resume else ""
    log.info("%s: %d parameters%s%s", run.label, module.parameter_count, _place(run), begun)
    with store.live(described) as live:
        recorder = Recorder(live.send)
        callbacks = bound_callbacks(run.cfg, run.task, run.checkpoints)
        facts = fit(run, module, recorder, [_StillAlone(lock), *callbacks], resume)
        with atomic_folder(run.results.train(run.seed)) as part:
            write_json(part / "metrics.json", {"seed": run.seed, "setting": run.setting, **facts})
            write_json(part / "run.json", described)
            pd.DataFrame(recorder.rows, columns=Row._fields).to_parquet(part / "history.parquet", index=False)
            _write_net(run, module, part)
            for callback in callbacks:
                if isinstance(callback, RunCallback):
                    callback.write(part, described["name"])
            lock.check()
    tracked = store.put(run.results, run.seed, live)
    log.info(
        "%s: validation loss %.4f in epoch %d, %.1f s, %.0f steps/s",
        run.label,
        facts["validation_loss"],
        facts["best_epoch"],
        facts["train_seconds"],
        facts["steps_per_second"],
    )
    return tracked


def _place(run: Run) -> str:
    """In words, unless it is deleted at the end."""
    return "" if run.cfg.discard else f", in {from_root(run.results.folder)}"


def _write_net(run: Run, module: SequenceModule, folder: Path) -> None:
    """The weights, and all that raw input needs beside them: a model can be made of this folder alone."""
    save_config(run.cfg, folder / "config.yaml")
    learnt = {"spec": run.task.spec.as_dict(), "data": asdict(run.data), "learnt": run.task.state_dict()}
    write_json(folder / "learnt.json", learnt)
    save_file(module.state_dict(), folder / "weights.safetensors")


def validation_loss(run: Run) -> float:
    """The mean over the run's seeds, which are trained."""
    return mean(float(read_json(run.results.train(seed) / "metrics.json")["validation_loss"]) for seed in run.seeds)


def forget_other_seeds(run: Run) -> None:
    """What DVC keeps of a pair is what the grid names, no seed of an earlier grid."""
    for folder in run.results.train(run.seed).parent.iterdir():
        if folder not in {run.results.train(seed) for seed in run.seeds}:
            shutil.rmtree(folder)


def _clear(run: Run) -> None:
    """What an earlier training and its callbacks have left beside the checkpoints; the lock is held."""
    for path in run.checkpoints.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif not is_of_lock(path, run.results.lock(run.seed)):
            path.unlink()


def _checkpoint_to_resume(run: Run) -> Path | None:
    """The last epoch's checkpoint of an unfinished run of this very setting, if it can be read."""
    last, begun = run.checkpoints / "last.ckpt", run.checkpoints / "run.json"
    if not last.exists() or not is_current(begun):
        return None
    before = read_json(begun)
    # a checkpoint holds the absolute path of the best one so far: in a moved folder it would not be found
    if before["setting"] != run.setting or before["folder"] != str(run.results.folder):
        return None
    if read_checkpoint(last) is None:
        log.info("%s cannot be read: training starts anew", last)
        return None
    return last


def make_trainer(options: DictConfig, recorder: Recorder, folder: Path, callbacks: list[Callback]) -> pl.Trainer:
    """Lightning's trainer as `options` (conf/trainer) says, with further callbacks; best.ckpt and last.ckpt go into
    `folder`.

    A run is one process, whatever started it: Lightning would take a job of Slurm with several tasks, or what MPI,
    torchrun and LSF leave in the environment, for one process of many, and refuses some of them.
    """
    for message in HINTS:
        warnings.filterwarnings("ignore", message)
    return pl.Trainer(
        max_epochs=-1 if options.max_epochs is None else options.max_epochs,
        gradient_clip_val=options.gradient_clip_val,
        accelerator=options.accelerator,
        devices=1,
        plugins=[LightningEnvironment()],
        precision=options.precision,
        deterministic="warn" if options.deterministic else False,
        limit_train_batches=options.limit_batches,
        limit_val_batches=options.limit_batches,
        logger=recorder,
        callbacks=[
            KeepHistory(recorder),
            *_early_stopping(options),
            # before any other of Lightning's: `Trainer.checkpoint_callback` is the first there is
            _checkpoint(folder, "best", monitor="loss/validation"),
            _checkpoint(folder, "last", monitor=None),
            *callbacks,
        ],
        default_root_dir=folder,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


class _StillAlone(Callback):
    """Ends a training that another process has taken over, before it writes over the other's checkpoints: the host of
    this one was suspended, say, for longer than a lock holds without a sign of life."""

    def __init__(self, lock: Lock) -> None:
        self._lock = lock

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._lock.check()


class _Stopping(EarlyStopping):
    @property
    def state_key(self) -> str:
        """Not Lightning's, which a callback of the user's own may have: a checkpoint holds the states of both."""
        return "rnnlab.stopping"


class _Checkpoint(ModelCheckpoint):
    @property
    def state_key(self) -> str:
        """As that of `_Stopping`."""
        return f"rnnlab.{self.filename}"


def _early_stopping(options: DictConfig) -> Iterator[Callback]:
    if options.patience is not None:
        yield _Stopping("loss/validation", patience=options.patience, verbose=False)


def _ending(run: Run) -> list[Callback]:
    """What ends a training beside early stopping, and shows how far it is."""
    budget = make_budget(run.cfg)
    if budget is None:
        return [Progress(run.label)]
    return [budget, Progress(run.label, lambda: budget.share)]


def fit(
    run: Run, module: SequenceModule, recorder: Recorder, callbacks: list[Callback], resume: Path | None = None
) -> dict[str, Any]:
    """Train, leave the best epoch's weights in `module`, and report what it took.

    resume: a checkpoint of the run's, to go on from.

    train_seconds and steps_per_second are of the steps alone, without the first after each start: see `StepClock`.

    Raises: `Diverged` when the loss is no longer a number.
    """
    trainer = make_trainer(run.cfg.trainer, recorder, run.checkpoints, [*_ending(run), *callbacks])
    best = trainer.checkpoint_callback
    assert isinstance(best, ModelCheckpoint)
    try:
        best_epoch = fit_to_best(trainer, module, run.task, resume)
    except Diverged as error:
        kept = f"The best weights so far are kept in {best.best_model_path}." if best.best_model_path else ""
        raise Diverged(f"{run.label}: {error}. {kept} Try a lower optimizer.lr or trainer.gradient_clip_val.") from None
    for callback in callbacks:
        if isinstance(callback, RunCallback):
            callback.conclude(module, best_epoch)
    recorder.flush()
    assert best.best_model_score is not None
    return {
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
        "best_epoch": best_epoch,
        "validation_loss": float(best.best_model_score),
        "train_seconds": recorder.clock.seconds,
        "steps_per_second": recorder.clock.steps_per_second,
        "parameters": module.parameter_count,
        "state_size": module.state_size,
        "multiply_adds": module.multiply_adds,
        "unroll": module.unrolled,
        "ended": time.time(),
    }


def fit_to_best(trainer: pl.Trainer, module: SequenceModule, task: Task, resume: Path | None = None) -> int:
    """Train with a trainer of `make_trainer`, and leave the best epoch's weights in `module`.

    Returns: which epoch that was, from 1.

    Raises: `Diverged` when the loss is no longer a number.
    """
    trainer.fit(module, datamodule=task, ckpt_path=resume, weights_only=True)
    best = trainer.checkpoint_callback
    assert isinstance(best, ModelCheckpoint)
    checkpoint = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    module.load_state_dict(checkpoint["state_dict"])
    return int(checkpoint["epoch"]) + 1  # Lightning counts from 0


def _checkpoint(folder: Path, name: str, monitor: str | None) -> ModelCheckpoint:
    return _Checkpoint(
        dirpath=folder,
        filename=name,
        monitor=monitor,
        auto_insert_metric_name=False,
        enable_version_counter=False,
        # once the epoch is whole: only then does a resumed run equal an uninterrupted one
        save_on_train_epoch_end=True,
    )
