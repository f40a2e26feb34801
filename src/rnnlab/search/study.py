"""The settings of one cell on one task, searched for by Optuna: lowest validation loss, never the test split."""

import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna
import pytorch_lightning as pl
from filelock import FileLock
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from optuna import Study, Trial, TrialPruned
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from pytorch_lightning.callbacks import Callback

from rnnlab.config.fingerprint import fingerprint, plain, save_config, words_to_keep
from rnnlab.errors import UserError
from rnnlab.modules.module import Diverged
from rnnlab.results.files import atomic_file, is_locked, locked
from rnnlab.results.paths import from_root, root
from rnnlab.search.overlay import check_overlay, check_study, write_overlay
from rnnlab.search.space import distributions, nested, starting_point, with_values
from rnnlab.tasks.task import Task
from rnnlab.tracking.recorder import Recorder
from rnnlab.training.callbacks import bound_callbacks
from rnnlab.training.check import check
from rnnlab.training.run import Run
from rnnlab.training.train import fit

log = logging.getLogger("rnnlab")

JOURNAL = "journal.log"
"""Of a study: everything that Optuna knows of it, a line for each event."""


DRAW = "draw"
"""Of a trial: the number that seeds the sampler for it."""


def search(cfg: DictConfig) -> float | None:
    """Go on with the study of this very config until it has `search.trials` trials, then write the overlay.

    A trial trains one seed as `rnnlab train` would, with values drawn for `search.space`, and keeps no weights.
    It counts when it was trained to its end, pruned, or diverged; one that was stopped from outside does not, and
    another takes its place. Several processes may run the same command at once and share the trials. The first trial
    has the config's own values, as far as the space has them.

    The sampler is the tree-structured Parzen estimator (Bergstra et al. 2011), seeded for each trial by its `DRAW`: a
    search by one process gives the same values whether it was interrupted or not.

    Returns: the lowest validation loss; None while trials still run in other processes.

    Raises: `UserError` for a space or a config that cannot be searched, and when no trial came to its end.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _check(cfg)
    space = distributions(cfg)
    if not cfg.discard:
        check_overlay(cfg)
    with _opened(cfg) as (run, folder):
        cfg = cfg.copy()
        cfg.parameters.count = run.cfg.parameters.count  # the same target for all trials, whatever they change
        if not cfg.discard:
            check_study(cfg, folder.name)
        with locked(folder / ".lock"), warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = _open_study(cfg, folder)
            if not study.get_trials(deepcopy=False):
                study.enqueue_trial(starting_point(cfg, space))
                save_config(cfg, folder / "config.yaml")
        while _next_trial(cfg, study, space, run.task, folder):
            pass
        with locked(folder / ".lock"):
            return _conclude(cfg, study, folder)


def _check(cfg: DictConfig) -> None:
    check(cfg)
    if cfg.tuning.name != "none":
        raise UserError(f"tuning={cfg.tuning.name}: a search starts from what is not tuned; leave it out.")
    if cfg.dvc:
        raise UserError("dvc=true: a search is no stage of the pipeline.")


@contextmanager
def _opened(cfg: DictConfig) -> Iterator[tuple[Run, Path]]:
    """The run of the config as it is, and the folder of all that decides what the trials are, but for how many."""
    if cfg.discard:
        with tempfile.TemporaryDirectory(prefix="rnnlab-") as folder:
            yield Run.open(cfg, Path(folder)), Path(folder)
        return
    run = Run.open(cfg)
    options = {key: value for key, value in plain(cfg.search).items() if key not in ("name", "trials")}
    setting = fingerprint({"run": run.setting, "seed": run.seed, "search": options})
    yield run, root() / "searches" / cfg.task.name / cfg.cell.name / setting


def _open_study(cfg: DictConfig, folder: Path) -> Study:
    # Optuna's own lock outlives a killed process, and then holds up the next for half a minute
    lock = cast(Any, FileLock(folder / ".journal.lock"))
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(folder / JOURNAL), lock))
    return optuna.create_study(
        study_name=f"{cfg.task.name}/{cfg.cell.name}",
        storage=storage,
        pruner=_pruner(cfg),
        direction="minimize",
        load_if_exists=True,
    )


def _pruner(cfg: DictConfig) -> BasePruner:

    wanted = cfg.search
    if wanted.pruner == "median":
        return MedianPruner(wanted.startup_trials, wanted.warmup_epochs)
    if wanted.pruner == "hyperband":
        return HyperbandPruner(max(1, wanted.warmup_epochs), cfg.trainer.max_epochs or "auto")
    return NopPruner()


def _next_trial(cfg: DictConfig, study: Study, space: dict[str, BaseDistribution], task: Task, folder: Path) -> bool:
    """Run one more trial, unless there are enough with those under way in other processes."""

    with ExitStack() as held:
        with locked(folder / ".lock"):
            _forget_killed(study, folder)
            trials = study.get_trials(deepcopy=False)
            if len(_spent(trials)) + sum(trial.state == TrialState.RUNNING for trial in trials) >= cfg.search.trials:
                return False
            draw = _next_draw(trials)
            (seed,) = np.random.SeedSequence([cfg.search.seed, draw]).generate_state(1)
            study.sampler = TPESampler(n_startup_trials=cfg.search.startup_trials, seed=int(seed))
            trial = study.ask(space)
            trial.set_user_attr(DRAW, draw)
            own = _own(folder, trial.number)
            held.enter_context(locked(own / ".lock"))
        try:
            value = _run(cfg, trial, task, own)
            study.tell(trial, value)
            told = f"validation loss {value:.4f}, the lowest so far {study.best_value:.4f}"
        except TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
            told = "pruned"
        except Diverged:
            study.tell(trial, state=TrialState.PRUNED)
            told = "diverged"
        except BaseException:
            _fail(study, trial.number)
            raise
        finally:
            shutil.rmtree(own, ignore_errors=True)
    values = ", ".join(f"{key}={_short(value)}" for key, value in trial.params.items())
    log.info("%s/%s trial %d: %s (%s)", cfg.task.name, cfg.cell.name, trial.number, told, values)
    return True


def _next_draw(trials: list[Any]) -> int:
    """The first number that no trial has which counts or runs: two at once draw differently, a lost one is replaced."""

    taken = {trial.user_attrs.get(DRAW) for trial in trials if trial.state != TrialState.FAIL}
    return next(number for number in count() if number not in taken)


def _forget_killed(study: Study, folder: Path) -> None:
    """Mark the trials as failed whose process holds their lock no more."""

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        own = _own(folder, trial.number)
        if not is_locked(own / ".lock"):
            _fail(study, trial.number)
            shutil.rmtree(own, ignore_errors=True)
            log.info("trial %d had been killed: another takes its place", trial.number)


def _fail(study: Study, number: int) -> None:
    """Do not count this trial. One that began with given values is to be tried again; others are drawn again anyway."""

    given = study.get_trials(deepcopy=False)[number].system_attrs.get("fixed_params")
    study.tell(number, state=TrialState.FAIL)
    if given is not None:
        study.enqueue_trial(given)


def _own(folder: Path, number: int) -> Path:
    return folder / "trials" / str(number)


def _spent(trials: list[Any]) -> list[Any]:

    return [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]


def _run(base: DictConfig, trial: Trial, task: Task, folder: Path) -> float:
    """Train one seed with the trial's values; its lowest validation loss."""

    run = Run.open(with_values(base, trial.params), folder)
    if run.task.meta["digest"] != task.meta["digest"] or run.task.spec != task.spec:
        keys = ", ".join(key for key in trial.params if key.startswith("task."))
        raise UserError(f"search.space changes the data or the loss ({keys}): trials of it cannot be compared.")
    run = replace(run, label=f"{run.cfg.task.name}/{run.cfg.cell.name} trial {trial.number}")
    module = run.initial_module()
    callbacks = bound_callbacks(run.cfg, run.task, run.checkpoints)
    facts = fit(run, module, Recorder(None), [*callbacks, _Report(trial)])
    for key in ("best_epoch", "epochs", "steps", "train_seconds", "parameters"):
        trial.set_user_attr(key, facts[key])
    return float(facts["validation_loss"])


class _Report(Callback):
    """Tells the study of each epoch's validation loss, and ends a trial that has no prospect."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # from 0, as Optuna's pruners count
        self.trial.report(float(trainer.callback_metrics["loss/validation"]), trainer.current_epoch)
        if self.trial.should_prune():
            raise TrialPruned


def _conclude(cfg: DictConfig, study: Study, folder: Path) -> float | None:
    """Write the trials as a table and the best of them as an overlay, once there are enough."""

    trials = study.get_trials(deepcopy=False)
    spent = _spent(trials)
    with atomic_file(folder / "trials.csv") as part:
        study.trials_dataframe(("number", "state", "value", "params", "user_attrs")).to_csv(part, index=False)
    if len(spent) < cfg.search.trials:
        running = sum(trial.state == TrialState.RUNNING for trial in trials)
        log.info("%d of %d trials are done; %d run in other processes", len(spent), cfg.search.trials, running)
        return None
    if not any(trial.state == TrialState.COMPLETE for trial in spent):
        raise UserError(f"None of {len(spent)} trials came to its end: try a lower search.space.optimizer.lr.high.")
    best = study.best_trial
    pair = f"{cfg.task.name}/{cfg.cell.name}"
    log.info("%s: lowest validation loss %.4f, in trial %d of %d", pair, best.value, best.number, len(spent))
    if cfg.discard:
        return best.value
    words = words_to_keep(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    about = [
        f"{len(spent)} trials; lowest validation loss {best.value:.6g}, in trial {best.number}.",
        f"rnnlab search {' '.join(words)}".rstrip(),
    ]
    path = write_overlay(cfg, nested(best.params), about, {"trials": len(spent), "study": folder.name})
    log.info("wrote %s: apply it with tuning=%s", from_root(path), cfg.search.name)
    return best.value


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value
