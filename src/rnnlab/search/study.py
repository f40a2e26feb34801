"""The settings of one cell on one task, searched for by Optuna: lowest validation loss, never the test split."""

import logging
import platform
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from optuna import Study, Trial, TrialPruned
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState
from pytorch_lightning.callbacks import Callback
from sqlalchemy.exc import SQLAlchemyError

from rnnlab.config.fingerprint import fingerprint, plain, save_config, words_to_keep
from rnnlab.errors import UserError
from rnnlab.modules.module import Diverged
from rnnlab.results.files import atomic_file
from rnnlab.results.locks import is_locked, locked
from rnnlab.results.paths import from_root, root
from rnnlab.search.database import Database
from rnnlab.search.overlay import check_overlay, check_study, write_overlay
from rnnlab.search.space import distributions, nested, starting_point, with_values
from rnnlab.search.storage import DRAW, JOURNAL, Journal, Storage, folder_of, lock_of
from rnnlab.tasks.task import Task
from rnnlab.tracking.recorder import Recorder
from rnnlab.training.callbacks import bound_callbacks
from rnnlab.training.check import check
from rnnlab.training.run import Run
from rnnlab.training.train import fit

log = logging.getLogger("rnnlab")

HOST = "host"
"""Of a trial: the machine that ran it."""

POLL_SECONDS = 3.0
"""From one look at the trials of other processes to the next, while there is nothing else to do."""


def search(cfg: DictConfig) -> float | None:
    """Go on with the study of this very config until it has `search.trials` trials, then write the overlay.

    A trial trains one seed as `rnnlab train` would, with values drawn for `search.space`, and keeps no weights.
    It counts when it was trained to its end, pruned, or diverged; one that was stopped from outside does not, and
    another takes its place. Several processes may run the same command at once and share the trials: those of one
    workspace, or with `search.storage`, a PostgreSQL database, those of any; then each ends when all trials are done.
    The first trial has the config's own values, as far as the space has them.

    The sampler is the tree-structured Parzen estimator (Bergstra et al. 2011), seeded for each trial by its `DRAW`: a
    search by one process gives the same values whether it was interrupted or not.

    Returns: the lowest validation loss; None while trials still run in other processes.

    Raises: `UserError` for a space or a config that cannot be searched, for a database that cannot be used, and when no
    trial came to its end.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _check(cfg)
    space = distributions(cfg)
    address = cfg.search.get("storage")
    cfg = cfg.copy()
    cfg.search.storage = None  # nothing below prints or keeps it
    if not cfg.discard:
        check_overlay(cfg)
    database = None if address is None or cfg.discard else Database(address)
    with _opened(cfg) as (run, folder):
        cfg.parameters.count = run.cfg.parameters.count  # the same target for all trials, whatever they change
        if not cfg.discard:
            check_study(cfg, folder.name)
            _check_place(folder, database)
        storage = database or Journal(folder)
        study = storage.patiently(partial(_open_study, cfg, storage, folder))
        if not (folder / "config.yaml").exists():
            with atomic_file(folder / "config.yaml") as part:
                save_config(cfg, part)
        _Trials(cfg, study, storage, space, run.task, folder).run()
        with locked(folder / ".lock"):
            return storage.patiently(partial(_conclude, cfg, study, folder))


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
    options = {key: value for key, value in plain(cfg.search).items() if key not in ("name", "trials", "storage")}
    setting = fingerprint({"run": run.setting, "seed": run.seed, "search": options})
    yield run, root() / "searches" / cfg.task.name / cfg.cell.name / setting


def _check_place(folder: Path, database: Database | None) -> None:
    """Raises: `UserError` where the trials of this study are not where they are looked for, and would be forgotten."""
    if database is not None and (folder / JOURNAL).exists():
        raise UserError(
            f"{folder} has the journal of this search, whose trials a database would not have: leave search.storage "
            "out, or delete the folder."
        )
    if database is None and (folder / "config.yaml").exists() and not (folder / JOURNAL).exists():
        raise UserError(f"{folder} is of a search in a database: give its search.storage, or delete the folder.")


def _open_study(cfg: DictConfig, storage: Storage, folder: Path) -> Study:
    name = storage.name(f"{cfg.task.name}/{cfg.cell.name}", folder.name)
    with storage.turn(name), warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.create_study(
            study_name=name,
            storage=storage.backend,
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


@dataclass(frozen=True)
class _Trials:
    """Those of a study that this process runs, in the study's `folder` of the workspace."""

    cfg: DictConfig
    study: Study
    storage: Storage
    space: dict[str, BaseDistribution]
    task: Task
    folder: Path

    def run(self) -> None:
        """One after another, until there are enough with those under way in other processes; or until those are done
        too, where the storage `waits`."""
        is_waiting = False
        while True:
            try:
                begun = self.storage.patiently(self._begin)
            except UpdateFinishedTrialError:  # this process was suspended in its turn, until another had one
                continue
            if begun is not None:
                self._run(*begun)
                continue
            done = len(_spent(self.storage.patiently(self._all)))
            if done >= self.cfg.search.trials or not self.storage.waits:
                return
            if not is_waiting:
                log.info("%d of %d trials are done: waiting for those of other processes", done, self.cfg.search.trials)
            is_waiting = True
            time.sleep(POLL_SECONDS)

    def _all(self) -> list[Any]:
        trials: list[Any] = self.study.get_trials(deepcopy=False)
        return trials

    def _begin(self) -> tuple[Trial, ExitStack] | None:
        """Draw the values of one more trial, unless there are enough.

        Returns: the trial, and what is held while it runs.
        """
        study, storage = self.study, self.storage
        with ExitStack() as held:
            with storage.turn(study.study_name):
                for number in storage.fail_dead(study):
                    log.info("trial %d had been killed: another takes its place", number)
                self._sweep()
                trials = self._all()
                counting = [*_spent(trials), *(trial for trial in trials if trial.state == TrialState.RUNNING)]
                _check_hosts(self.cfg, counting)
                if len(counting) >= self.cfg.search.trials:
                    return None
                draw = _next_draw(trials)
                if draw == 0 and not any(trial.state == TrialState.WAITING for trial in trials):
                    study.enqueue_trial(starting_point(self.cfg, self.space))
                (seed,) = np.random.SeedSequence([self.cfg.search.seed, draw]).generate_state(1)
                study.sampler = TPESampler(n_startup_trials=self.cfg.search.startup_trials, seed=int(seed))
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "Heartbeat of storage")  # `alive` gives it
                    trial = study.ask(self.space)
                held.enter_context(storage.alive(study.study_name, trial.number))
                held.enter_context(locked(lock_of(self.folder, trial.number)))
                trial.set_user_attr(HOST, platform.node())
                trial.set_user_attr(DRAW, draw)
            return trial, held.pop_all()

    def _sweep(self) -> None:
        """Delete what killed processes left of their trials."""
        for own in (self.folder / "trials").glob("*"):
            if not is_locked(own / ".lock"):
                shutil.rmtree(own, ignore_errors=True)

    def _run(self, trial: Trial, held: ExitStack) -> None:
        own = folder_of(self.folder, trial.number)
        try:
            with held:
                ended, words = self._ended(trial, own)
        finally:
            shutil.rmtree(own, ignore_errors=True)
        pair = f"{self.cfg.task.name}/{self.cfg.cell.name}"
        if ended is None or ended.state == TrialState.FAIL:
            log.warning(
                "%s trial %d: gave no sign of life for too long, and another takes its place", pair, trial.number
            )
            return
        if ended.state == TrialState.COMPLETE:
            words += f", the lowest so far {self.storage.patiently(lambda: self.study.best_value):.4f}"
        values = ", ".join(f"{key}={_short(value)}" for key, value in trial.params.items())
        log.info("%s trial %d: %s (%s)", pair, trial.number, words, values)

    def _ended(self, trial: Trial, folder: Path) -> tuple[FrozenTrial | None, str]:
        """The trial as the study has it after its training, and in words; None where another has taken its place."""
        tell = partial(self.study.tell, trial, skip_if_finished=True)  # if no answer came, it may have been heard
        try:
            conclude = partial(tell, state=TrialState.PRUNED)
            try:
                value = self._value(trial, folder)
                conclude, words = partial(tell, value), f"validation loss {value:.4f}"
            except TrialPruned:
                words = "pruned"
            except Diverged:
                words = "diverged"
            return self.storage.patiently(conclude), words
        except UpdateFinishedTrialError:
            return None, ""
        except BaseException:
            with suppress(StorageInternalError, SQLAlchemyError, UpdateFinishedTrialError):
                tell(state=TrialState.FAIL)  # else it ends with its signs of life
            raise

    def _value(self, trial: Trial, folder: Path) -> float:
        """Train one seed with the trial's values; its lowest validation loss."""
        run = Run.open(with_values(self.cfg, trial.params), folder)
        if run.task.meta["digest"] != self.task.meta["digest"] or run.task.spec != self.task.spec:
            keys = ", ".join(key for key in trial.params if key.startswith("task."))
            raise UserError(f"search.space changes the data or the loss ({keys}): trials of it cannot be compared.")
        run = replace(run, label=f"{run.cfg.task.name}/{run.cfg.cell.name} trial {trial.number}")
        module = run.initial_module()
        callbacks = bound_callbacks(run.cfg, run.task, run.checkpoints)
        facts = fit(run, module, Recorder(None), [*callbacks, _Report(trial, self.storage)])
        for key in ("best_epoch", "epochs", "steps", "train_seconds", "parameters"):
            self.storage.patiently(partial(trial.set_user_attr, key, facts[key]))
        return float(facts["validation_loss"])


def _check_hosts(cfg: DictConfig, trials: list[Any]) -> None:
    """Raises: `UserError` where the machine would decide which trial is best."""
    hosts = {trial.user_attrs.get(HOST, platform.node()) for trial in trials} - {platform.node()}
    if cfg.budget.name == "seconds" and hosts:
        raise UserError(
            f"budget=seconds: trials of this search ran on {', '.join(sorted(hosts))}, and how far a training comes in "
            "its seconds depends on the machine. Continue there, or give budget=steps."
        )


def _next_draw(trials: list[Any]) -> int:
    """The first number that no trial has which counts or runs: two at once draw differently, a lost one is replaced."""
    taken = {trial.user_attrs.get(DRAW) for trial in trials if trial.state != TrialState.FAIL}
    return next(number for number in count() if number not in taken)


def _spent(trials: list[Any]) -> list[Any]:
    return [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]


class _Report(Callback):
    """Tells the study of each epoch's validation loss, and ends a trial that has no prospect."""

    def __init__(self, trial: Trial, storage: Storage) -> None:
        self.trial, self.storage = trial, storage

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # from 0, as Optuna's pruners count
        loss, epoch = float(trainer.callback_metrics["loss/validation"]), trainer.current_epoch
        self.storage.patiently(partial(self.trial.report, loss, epoch))
        if self.storage.patiently(self.trial.should_prune):
            raise TrialPruned


def _conclude(cfg: DictConfig, study: Study, folder: Path) -> float | None:
    """Write the trials as a table and the best of them as an overlay, once there are enough."""

    trials = study.get_trials(deepcopy=False)
    spent = _spent(trials)
    with atomic_file(folder / "trials.csv") as part:
        study.trials_dataframe(("number", "state", "value", "params", "user_attrs")).to_csv(part, index=False)
    if len(spent) < cfg.search.trials:
        running = sum(trial.state == TrialState.RUNNING for trial in trials)
        log.info(
            "%d of %d trials are done; %d run in other processes: should one be killed, the same command replaces it",
            len(spent),
            cfg.search.trials,
            running,
        )
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
