"""The MLflow store: a view of the folders of results, filled as a run goes or later, always with the same content."""

import hashlib
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
from omegaconf import DictConfig

from rnnlab.data.atomic import is_locked, locked, read_json
from rnnlab.errors import UserError
from rnnlab.paths import Results, root

if TYPE_CHECKING:
    from mlflow.entities import Run

log = logging.getLogger("rnnlab")

KEY = "rnnlab.key"
FOLDER = "rnnlab.folder"
TRAINED = "rnnlab.trained"
EVALUATED = "rnnlab.evaluated"
DIAGNOSED = "rnnlab.diagnosed"

BATCH = 1000
"""Metrics in one request: MLflow's own limit."""


class Row(NamedTuple):
    """One value of one metric. `time`: milliseconds since 1970."""

    key: str
    value: float
    step: int
    epoch: int
    time: int


class LiveRun:
    """A run under way in the store; without a store, or once it fails, the run's folder alone has the rows."""

    def __init__(self, run_id: str | None = None, log_rows: Callable[[str, list[Row]], None] | None = None) -> None:
        self.run_id = run_id
        self._log_rows = log_rows

    def send(self, rows: list[Row]) -> None:
        if self.run_id is None or self._log_rows is None:
            return
        with _results_are_kept() as outcome:
            self._log_rows(self.run_id, rows)
        if outcome.failed:
            self.run_id = None


class Tracker:
    """Tracks nothing: what `tracking=none` uses, and the interface of a store."""

    @contextmanager
    def live(self, run: dict[str, Any]) -> Iterator[LiveRun]:
        """A run that ends as FAILED or KILLED when the block is left by an error or a signal."""
        yield LiveRun()

    def put(self, results: Results, seed: int, live: LiveRun | None = None) -> None:
        """Add what the folders of a finished seed hold and the store lacks."""


class MLflowStore(Tracker):
    """An MLflow store with one experiment for each task, and flat runs: one for each cell, setting and seed."""

    def __init__(self, uri: str) -> None:
        # MLflow's own client reads these when it is imported
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        from mlflow import MlflowClient

        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        self.uri = uri
        with self._alone():
            self.client = MlflowClient(uri)
        self._experiments: dict[str, str] = {}

    @staticmethod
    def _alone() -> AbstractContextManager[None]:
        """One process at a time: several that make a new SQLite store at once can leave it broken for good."""
        return locked(root() / ".mlflow.lock")

    def experiment(self, task: str) -> str:
        """The id of a task's experiment, made where there is none."""
        if task not in self._experiments:
            with self._alone():
                found = self.client.get_experiment_by_name(task)
                if found is None:
                    # a server decides itself where artifacts go; beside a database of our own they lie at the root
                    location = (root() / "mlartifacts" / task).as_uri() if self.uri.startswith("sqlite:") else None
                    self._experiments[task] = self.client.create_experiment(task, location)
                else:
                    if found.lifecycle_stage == "deleted":  # by someone in the UI; a run needs it back
                        self.client.restore_experiment(found.experiment_id)
                    self._experiments[task] = found.experiment_id
        return self._experiments[task]

    @contextmanager
    def live(self, run: dict[str, Any]) -> Iterator[LiveRun]:
        live = LiveRun(None, self.log_rows)
        with _results_are_kept():
            live.run_id = self._create(run)
        try:
            yield live
        except BaseException as error:
            with _results_are_kept():
                if live.run_id is not None:
                    self._end_early(live.run_id, error)
            raise

    def _end_early(self, run_id: str, error: BaseException) -> None:
        killed = isinstance(error, SystemExit | KeyboardInterrupt)
        self.client.set_tag(run_id, "rnnlab.end", f"stopped: exit code {error}" if killed else str(error)[:500])
        self.client.set_terminated(run_id, "KILLED" if killed else "FAILED")

    def log_rows(self, run_id: str, rows: list[Row]) -> None:
        """Metrics named `..._step` over training steps, all others over epochs."""
        from mlflow.entities import Metric

        metrics = [
            Metric(row.key, row.value, row.time, row.step if row.key.endswith("_step") else row.epoch) for row in rows
        ]
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + BATCH])

    def put(self, results: Results, seed: int, live: LiveRun | None = None) -> None:
        with _results_are_kept():
            self._put(results, seed, self._find(read_json(results.train(seed) / "run.json")), live)

    def _put(self, results: Results, seed: int, present: "Run | None", live: LiveRun | None) -> None:
        folder = results.train(seed)
        run = read_json(folder / "run.json")
        if live is not None and live.run_id is not None:
            self._finish_training(live.run_id, folder)
            if present is not None and present.info.run_id != live.run_id:
                self.client.delete_run(present.info.run_id)
            run_id = live.run_id
        elif present is None:
            run_id = self._create(run)
            rows = [Row(*row) for row in pd.read_parquet(folder / "history.parquet").itertuples(index=False)]
            self.log_rows(run_id, rows)
            self._finish_training(run_id, folder)
        else:
            run_id = present.info.run_id
        evaluation, of = results.evaluate(seed) / "metrics.json", results.evaluate(seed) / "evaluated.json"
        if of.exists() and read_json(of)["setting"] == run["setting"]:
            digest = hashlib.sha256(evaluation.read_bytes()).hexdigest()[:16]
            if present is None or present.data.tags.get(EVALUATED) != digest:
                self._add_evaluation(run_id, results.evaluate(seed), digest)
        self._add_diagnosis(run_id, results.diagnosis(seed), run["setting"], present)

    def _find(self, run: dict[str, Any]) -> "Run | None":
        """The run with this key whose training is wholly in the store."""
        found = self.client.search_runs(
            [self.experiment(run["task"])],
            f"tags.`{KEY}` = '{run['key']}' AND tags.`{TRAINED}` = 'true'",
            max_results=1,
        )
        return found[0] if found else None

    def _create(self, run: dict[str, Any]) -> str:
        from mlflow.entities import Dataset, DatasetInput, Param, RunTag

        tags = {**run["tags"], KEY: run["key"], FOLDER: f"{run['folder']}#{run['seed']}"}
        created = self.client.create_run(
            self.experiment(run["task"]), start_time=run["started"], tags=tags, run_name=run["name"]
        )
        run_id: str = created.info.run_id
        self.client.log_batch(
            run_id,
            params=[Param(key, str(value)) for key, value in run["params"].items()],
            tags=[RunTag("mlflow.source.git.commit", run["tags"]["git_commit"])],
        )
        dataset = Dataset(
            name=run["dataset"]["name"],
            digest=run["dataset"]["digest"],
            source_type="local",
            source=str(run["dataset"]["setting"]),
        )
        self.client.log_inputs(run_id, [DatasetInput(dataset)])
        return run_id

    def _finish_training(self, run_id: str, folder: Path) -> None:
        from mlflow.entities import Metric

        facts = read_json(folder / "metrics.json")
        ended = int(facts["ended"] * 1000)
        sizes, speeds = ("parameters", "state_size", "multiply_adds"), ("train_seconds", "steps_per_second")
        keys = (*sizes, *speeds, "best_epoch", "validation_loss")
        self.client.log_batch(run_id, metrics=[Metric(f"summary/{key}", facts[key], ended, 0) for key in keys])
        self.client.log_artifacts(run_id, str(folder), "train")
        # what was asked for, `auto` mostly, becomes what was taken
        self.client.set_tag(run_id, "unroll", facts["unroll"])
        self.client.set_tag(run_id, TRAINED, "true")
        self.client.set_terminated(run_id, "FINISHED", ended)

    def _add_evaluation(self, run_id: str, folder: Path, digest: str) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(f"test/{key}", value, now, 0) for key, value in read_json(folder / "metrics.json").items()]
        self.client.log_batch(run_id, metrics=metrics)
        self.client.log_artifacts(run_id, str(folder), "evaluate")
        self.client.set_tag(run_id, EVALUATED, digest)

    def _add_diagnosis(self, run_id: str, folder: Path, setting: str, present: "Run | None") -> None:
        """What pipelines/diagnose.py says of these very weights: its pictures and tables, its scalars as metrics."""
        if not (folder / "diagnosed.json").exists():
            return
        facts = read_json(folder / "diagnosed.json")
        digest = hashlib.sha256((folder / "memory.json").read_bytes()).hexdigest()[:16]
        if facts["setting"] != setting or (present is not None and present.data.tags.get(DIAGNOSED) == digest):
            return
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(f"diagnosis/{key}", value, now, 0) for key, value in facts["metrics"].items()]
        self.client.log_batch(run_id, metrics=metrics)
        self.client.log_artifacts(run_id, str(folder), "diagnosis")
        self.client.set_tag(run_id, DIAGNOSED, digest)

    def repair(self) -> None:
        """End the runs that say RUNNING although no process holds the lock of their folder."""
        for run in self._all("attributes.status = 'RUNNING'"):
            folder, _, seed = run.data.tags.get(FOLDER, "").rpartition("#")
            if not folder or run.data.tags.get("host") != socket.gethostname():
                continue
            if is_locked(Results(Path(folder)).lock(int(seed))):
                continue
            # asked again: a run that ended since the search has let go of its lock only after it said so
            if self.client.get_run(run.info.run_id).info.status == "RUNNING":
                self.client.set_tag(run.info.run_id, "rnnlab.end", "its process was killed")
                self.client.set_terminated(run.info.run_id, "FAILED")
                log.info("run %s of %s had been killed: marked FAILED", run.info.run_name, run.data.tags["task"])

    def sync(self) -> None:
        """Put every finished result on disk that the store lacks into it."""
        present = {run.data.tags.get(KEY): run for run in self._all(f"tags.`{TRAINED}` = 'true'")}
        added = 0
        for folder in [*root().glob("results/*/*/train/seed=*"), *root().glob("runs/*/*/*/train/seed=*")]:
            results, seed = Results(folder.parents[1]), int(folder.name.removeprefix("seed="))
            run = present.get(read_json(folder / "run.json")["key"])
            with _results_are_kept():
                self._put(results, seed, run, None)
                added += run is None
        if added:
            log.info("%d run(s) put into the store from their folders", added)

    def _all(self, filter_string: str) -> Iterator["Run"]:
        experiments = [experiment.experiment_id for experiment in self.client.search_experiments()]
        token = None
        while experiments:
            page = self.client.search_runs(experiments, filter_string, max_results=1000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return


class _Outcome:
    failed = False


@contextmanager
def _results_are_kept() -> Iterator[_Outcome]:
    """A store that fails stops no training: the folder has everything, and a later sync makes up for it."""
    from mlflow.exceptions import MlflowException

    outcome = _Outcome()
    try:
        yield outcome
    except (MlflowException, OSError) as error:
        outcome.failed = True
        reason = str(error).splitlines()[0]
        log.warning("the MLflow store failed (%s); results are kept on disk, tracking=sync adds them later", reason)


def store_uri(cfg: DictConfig) -> str:
    return cfg.tracking.uri or f"sqlite:///{root() / 'mlflow.db'}"


def open_store(cfg: DictConfig) -> Tracker:
    """The store that `cfg.tracking` names, made where there is none, with the runs of killed processes ended.

    Raises: `UserError` when it cannot be reached.
    """
    if not cfg.tracking.enabled:
        return Tracker()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    uri = store_uri(cfg)
    try:
        store = MLflowStore(uri)
        store.experiment(cfg.task.name)
        store.repair()
        if cfg.tracking.sync:
            store.sync()
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise UserError(
            f"The MLflow store {uri} cannot be used ({str(error).splitlines()[0]}). Mend it, name another with "
            "tracking.uri=..., or train without: tracking=none."
        ) from None
    return store
