"""The MLflow store: a view of the folders of results, filled as a run goes or later, always with the same content."""

import json
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnlab.addresses import shown, without_secrets
from rnnlab.errors import UserError
from rnnlab.results.files import NO_FOLDER, read_json
from rnnlab.results.folders import all_seeds
from rnnlab.results.locks import Lock, is_locked, locked
from rnnlab.results.origin import JUDGING, current, digest, is_judged, is_of
from rnnlab.results.paths import Results, data_folder, store_root
from rnnlab.tracking.live import Connection, LiveRun, Row, reason
from rnnlab.tracking.mlflow.client import SERVERS, configure, connected, store_uri
from rnnlab.tracking.mlflow.models import link_metrics
from rnnlab.tracking.mlflow.pages import name_of_test, rounded, run_note, saved_views, task_note
from rnnlab.tracking.mlflow.watch import SILENT_SECONDS, Watch
from rnnlab.tracking.tracker import Tracked, Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Metric, Run

log = logging.getLogger("rnnlab")

KEY = "rnnlab.key"
FOLDER = "rnnlab.folder"
TRAINED = "rnnlab.trained"
EVALUATED = "rnnlab.evaluated"
DIAGNOSED = "rnnlab.diagnosed"
END = "rnnlab.end"
BEAT = "rnnlab.beat"
ENDED = "ended"
NOTE = "mlflow.note.content"

DIGEST = "data_digest"
"""Tag of the experiments that are made here, and of all runs."""

UNDER_WAY = "attributes.status = 'RUNNING'"

BATCH = 1000
"""Metrics in one request: MLflow's own limit."""

DATABASES = ("sqlite", *SERVERS)
"""Stores without a server, which would put artifacts below whatever folder the command is given in."""


class MLflowStore(Tracker):
    """An MLflow store with one experiment for each data set, and flat runs: one for each cell, setting and seed.

    roots: further workspaces, or folders of runs, of which `sync` takes what is finished. crown: whether a run that
    is better than its data set's champion becomes the next one.
    """

    def __init__(
        self, uri: str | None = None, sync: bool = False, roots: list[str] | None = None, crown: bool = True
    ) -> None:
        configure()
        self.uri = store_uri(uri)
        self.roots = list(roots or ())
        self.crowns = crown
        self._sync = sync
        self._experiments: dict[str, str] = {}
        self._introduced: set[str] = set()
        self._connection = Connection(self.uri)

    @cached_property
    def client(self) -> "MlflowClient":
        """Made when it is first asked for, and with it the database where there is none."""
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # which warns of every attempt
        with self._alone():
            return connected(self.uri)

    def open(self) -> list[Tracked]:
        """Made where there is none, and the runs of killed processes ended."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            for experiment in self.client.search_experiments():
                self._check_place(experiment)
            completed = self.repair()
            return self.sync() if self._sync else completed
        except (MlflowException, SQLAlchemyError, OSError, ImportError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in NO_FOLDER:
                raise  # it is the workspace that cannot be written
            raise UserError(
                f"The MLflow store {shown(self.uri)} cannot be used ({reason(error, self.uri)}). Repair it, give "
                "another with tracking.uri=..., or train without: tracking=none."
            ) from None

    def _alone(self) -> AbstractContextManager[Lock]:
        """One process at a time: several that make a new SQLite store at once can leave it broken for good. The lock is
        beside the database, which other workspaces may use too."""
        database = Path(self.uri.removeprefix("sqlite:///"))
        if self.uri.startswith("sqlite:///") and database.parent.is_dir():
            return locked(database.with_name(f".{database.stem}.lock"))
        return locked(store_root() / ".mlflow.lock")

    def experiment(self, run: dict[str, Any]) -> str:
        """The id of the experiment of a run's data set, made where there is none. run: the content of run.json."""
        data = run["dataset"]
        name = f"{data['title']} ({data['digest'][:6]})"
        if name not in self._experiments:
            found = self.client.get_experiment_by_name(name) or self._new_experiment(name, run)
            if found.lifecycle_stage == "deleted":  # by someone in the UI; a run needs it back
                self.client.restore_experiment(found.experiment_id)
            self._check_place(found)
            self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def _new_experiment(self, name: str, run: dict[str, Any]) -> "Experiment":
        from mlflow.exceptions import MlflowException

        data = run["dataset"]
        # a server decides itself where artifacts go; beside a database of our own they are in the workspace
        place = store_root() / "mlartifacts" / f"{run['task']}-{data_folder(data['slug'], data['digest'])}"
        location = place.as_uri() if self.uri.startswith(DATABASES) else None
        try:
            self.client.create_experiment(name, location, {"task": run["task"], DIGEST: data["digest"]})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was faster
                raise
        made = self.client.get_experiment_by_name(name)
        assert made is not None
        return made

    def _check_place(self, experiment: "Experiment") -> None:
        """Raises: `UserError` for the database of a workspace that was moved or copied: it holds whole paths, and what
        is put into it would go to where it was made."""
        ours, artifacts = store_root() / "mlartifacts", experiment.artifact_location
        if DIGEST not in experiment.tags or self.uri != store_uri(None) or not artifacts.startswith("file://"):
            return  # someone's own, or a server's
        made = Path(artifacts.removeprefix("file://"))
        if not made.resolve().is_relative_to(ours):
            raise UserError(
                f"{ours.with_name('mlflow.db')} was made in {made.parents[1]}, and the workspace was moved or copied "
                "since. Delete mlflow.db* and mlartifacts/ here; tracking=sync makes both from results/ and runs/."
            )

    def experiments(self) -> dict[str, str]:
        """The id of the experiment of every data set that was ever run, by name."""
        found = self.client.search_experiments(order_by=["name ASC"])
        return {one.name: one.experiment_id for one in found if DIGEST in one.tags}

    @contextmanager
    def live(self, run: dict[str, Any]) -> Iterator[LiveRun]:
        live = LiveRun(lambda: self._begin(run), self.log_rows, self._connection, self._show_life)
        try:
            yield live
        except BaseException as error:
            live.close()
            with self.results_are_kept():
                if live.run_id is not None:
                    self._end_early(live.run_id, error)
            raise
        live.close()

    def _show_life(self, run_id: str, beat: int) -> None:
        self.client.set_tag(run_id, BEAT, str(beat))

    @contextmanager
    def results_are_kept(self) -> Iterator[None]:
        """A store that fails stops no training: the folder has everything, and a later sync makes up for it."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            self._connection.failed(error)
        else:
            self._connection.answered()

    def _end_early(self, run_id: str, error: BaseException) -> None:
        if self._connection.away:
            return
        killed = isinstance(error, SystemExit | KeyboardInterrupt)
        self.client.set_tag(run_id, END, f"stopped: exit code {error}" if killed else without_secrets(str(error))[:500])
        self.client.set_terminated(run_id, "KILLED" if killed else "FAILED")

    def log_rows(self, run_id: str, rows: list[Row]) -> None:
        """Metrics named `..._step` over training steps, all others over epochs."""
        from mlflow.entities import Metric

        metrics = [
            Metric(row.key, rounded(row.value), row.time, row.step if row.key.endswith("_step") else row.epoch)
            for row in rows
        ]
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + BATCH])

    def put(self, results: Results, seed: int, live: LiveRun | None = None) -> Tracked | None:
        run = read_json(results.train(seed) / "run.json")
        if not self._connection.away:
            with self.results_are_kept():
                return self._put(results, seed, self._find(run), live)
        # it was away, or failed just now
        log.info("%s on %s is not in the MLflow store yet: tracking=sync puts it there", run["name"], run["task"])
        return None

    def _put(self, results: Results, seed: int, present: "Run | None", live: LiveRun | None = None) -> Tracked:
        folder, judged = results.train(seed), results.evaluate(seed)
        run = read_json(folder / "run.json")
        if live is not None and live.complete:
            assert live.run_id is not None
            run_id = live.run_id
            self._finish_training(run_id, run, folder)
            if END in self.client.get_run(run_id).data.tags:  # by one who took it for dead
                self.client.delete_tag(run_id, END)
            if present is not None and present.info.run_id != run_id:
                self.client.delete_run(present.info.run_id)
                present = None
        elif present is None or present.info.start_time != run["started"]:
            import pandas as pd  # here: a report that is shown and synced reads no history

            run_id = self._begin(run, results)
            # also those that it has: the store keeps a row that comes again once
            rows = [Row(*row) for row in pd.read_parquet(folder / "history.parquet").itertuples(index=False)]
            self.log_rows(run_id, rows)
            self._finish_training(run_id, run, folder)
            if present is not None:
                self.client.delete_run(present.info.run_id)
                present = None
        else:
            run_id = present.info.run_id
            self._note_move(present, results, seed)
        if is_judged(results, seed):
            tags = self._tags_of_evaluation(judged)
            if present is None or not tags.items() <= present.data.tags.items():
                self._add_evaluation(run_id, run, folder, judged, tags)
        if is_of(results.diagnosis(seed) / "diagnosed.json", results, seed):
            self._add_diagnosis(run_id, results.diagnosis(seed), present)
        return Tracked(results, seed, run_id, self.experiment(run))

    def _find(self, run: dict[str, Any]) -> "Run | None":
        """The run with this key whose training is wholly in the store."""
        found = self.client.search_runs(
            [self.experiment(run)],
            f"tags.`{KEY}` = '{run['key']}' AND tags.`{TRAINED}` = 'true'",
            max_results=1,
        )
        return found[0] if found else None

    def _note_move(self, present: "Run", results: Results, seed: int) -> None:
        """Where a run of this host is now, if the folder it was in is no longer there: its workspace was moved, or
        was a copy of DVC's."""
        now, before = f"{results.folder}#{seed}", present.data.tags.get(FOLDER, "")
        if before == now or present.data.tags.get("host") != socket.gethostname():
            return
        if not Results(Path(before.rpartition("#")[0])).train(seed).is_dir():
            self.client.set_tag(present.info.run_id, FOLDER, now)

    def _begin(self, run: dict[str, Any], results: Results | None = None) -> str:
        """The id of a run whose training is not wholly in the store: the one that was begun before, or a new one.

        results: where it is, if it is finished; its run.json says where it was trained, which may have been on another
        machine.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag

        experiment = self.experiment(run)
        folder = f"{results.folder if results else run['folder']}#{run['seed']}"
        self._introduce(run, experiment)
        begun = self.client.search_runs(
            [experiment], f"tags.`{KEY}` = '{run['key']}' AND attributes.start_time = {run['started']}", max_results=1
        )
        if begun:
            run_id: str = begun[0].info.run_id
            if END in begun[0].data.tags:
                self.client.delete_tag(run_id, END)
        else:
            tags = {**run["tags"], KEY: run["key"], FOLDER: folder, BEAT: "0"}
            created = self.client.create_run(experiment, start_time=run["started"], tags=tags, run_name=run["name"])
            run_id = created.info.run_id
        self.client.log_batch(
            run_id,
            params=[Param(key, str(value)) for key, value in run["params"].items()],
            tags=[RunTag("mlflow.source.git.commit", run["tags"]["git_commit"]), RunTag(FOLDER, folder)],
        )
        dataset = Dataset(
            name=run["dataset"]["title"],
            digest=run["dataset"]["digest"],
            source_type="local",
            source=str(run["dataset"]["setting"]),
        )
        self.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
        return run_id

    def _introduce(self, run: dict[str, Any], experiment: str) -> None:
        """Describe a data set's experiment and set up its charts, unless someone has described it."""
        if experiment in self._introduced or "asks" not in run:  # as in a folder of an earlier version
            return
        tags = self.client.get_experiment(experiment).tags
        new = {NOTE: task_note(run, experiment), **saved_views(run, int(time.time() * 1000))}
        for key, value in new.items():
            if key not in tags:
                self.client.set_experiment_tag(experiment, key, value)
        self._introduced.add(experiment)

    def _finish_training(self, run_id: str, run: dict[str, Any], folder: Path) -> None:
        from mlflow.entities import Metric

        facts = read_json(folder / "metrics.json")
        ended = int(facts["ended"] * 1000)
        sizes, speeds = ("parameters", "state_size", "multiply_adds"), ("train_seconds", "steps_per_second")
        keys = (*sizes, *speeds, "best_epoch", "validation_loss")
        self.client.log_artifacts(run_id, str(folder), "train")
        tags = {
            "unroll": facts["unroll"],  # what was asked for, `auto` mostly, becomes what was taken
            NOTE: run_note(run, facts),
            BEAT: ENDED,
            TRAINED: "true",
        }
        self._log(run_id, [Metric(key, rounded(facts[key]), ended, 0) for key in keys], tags)
        self.client.set_terminated(run_id, "FINISHED", ended)

    def _log(self, run_id: str, metrics: "list[Metric]", tags: dict[str, str]) -> None:
        """In one request, since a sync of many runs takes as long as its requests; the store writes the tags last."""
        from mlflow.entities import RunTag

        self.client.log_batch(run_id, metrics=metrics, tags=[RunTag(key, value) for key, value in tags.items()])

    def _add_evaluation(
        self, run_id: str, run: dict[str, Any], training: Path, folder: Path, tags: dict[str, str]
    ) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        found = read_json(folder / "metrics.json")
        metrics = [Metric(name_of_test(key), rounded(value), now, 0) for key, value in found.items()]
        self.client.log_artifacts(run_id, str(folder), "evaluate")
        tracked = self.client.get_run(run_id)
        page = f"#/experiments/{tracked.info.experiment_id}/runs/{run_id}"
        note = {NOTE: run_note(run, read_json(training / "metrics.json"), folder, page)}
        models = tracked.outputs.model_outputs if tracked.outputs else []
        if models:  # before the tags, which say that all of it is there
            self.client.log_batch(run_id, metrics=metrics)
        for model in models:
            link_metrics(self.client, run_id, model.model_id, run["dataset"])
        self._log(run_id, [] if models else metrics, {**note, **tags})

    @staticmethod
    def _tags_of_evaluation(folder: Path) -> dict[str, str]:
        """By which a run says which evaluation it has: its metrics, and the options of `task.judging` they were made
        under, which an earlier version did not keep."""
        options = read_json(folder / "evaluated.json").get(JUDGING)
        judging = {} if options is None else {JUDGING: json.dumps(options, sort_keys=True)}
        return {**judging, EVALUATED: digest(folder / "metrics.json")}

    def _add_diagnosis(self, run_id: str, folder: Path, present: "Run | None") -> None:
        """What `rnnlab diagnose` says of these very weights: its figures and tables, its scalars as metrics."""
        content = digest(folder / "memory.json")
        if present is not None and present.data.tags.get(DIAGNOSED) == content:
            return
        facts = read_json(folder / "diagnosed.json")
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(f"diagnosis/{key.removeprefix('memory/')}", rounded(value), now, 0)
            for key, value in facts["metrics"].items()
        ]
        self.client.log_artifacts(run_id, str(folder), "diagnosis")
        self._log(run_id, metrics, {DIAGNOSED: content})

    def has_running(self) -> bool:
        """Whether any run is under way, or was left so by a killed process."""
        return next(self._all(UNDER_WAY), None) is not None

    def repair(self) -> list[Tracked]:
        """End the runs that say RUNNING although nobody trains them any more.

        Those whose folder is seen here are judged by its lock. Of all others, which another host trains, or another
        container of this name, there is only the sign of life that they give to the store: see `Watch`.

        One whose results are in its folder is finished: the store was away when training ended. Returns: these.
        """
        completed: list[Tracked] = []
        elsewhere: dict[str, Run] = {}
        for run in self._all(UNDER_WAY):
            folder, _, seed = run.data.tags.get(FOLDER, "").rpartition("#")
            if not folder:
                continue
            results = Results(Path(folder))
            if not self._is_seen(results, int(seed), run):
                if BEAT in run.data.tags:  # an earlier version gave none
                    elsewhere[run.info.run_id] = run
            elif not is_locked(results.lock(int(seed))) and self._is_running(run):
                if self._is_of(results.train(int(seed)), run):
                    if tracked := self.put(results, int(seed)):
                        completed.append(tracked)
                    log.info(
                        "run %s of %s had ended without the store: completed", run.info.run_name, run.data.tags["task"]
                    )
                else:
                    self._fail(run, "its process was killed", "had been killed")
        for run_id in Watch().silent({run_id: run.data.tags[BEAT] for run_id, run in elsewhere.items()}):
            run = elsewhere[run_id]
            if self._is_running(run):
                why = f"no sign of life for {SILENT_SECONDS / 60:.0f} minutes"
                self._fail(run, why, f"on {run.data.tags.get('host')} gave {why}")
        return completed

    def _is_seen(self, results: Results, seed: int, run: "Run") -> bool:
        """Whether the folder is this very run's, and not one of the same path on another host; who trains into the
        workspace of a database is in that workspace."""
        folders = (results.checkpoints(seed), results.train(seed))
        return self.uri == store_uri(None) or any(self._is_of(folder, run) for folder in folders)

    def _is_running(self, run: "Run") -> bool:
        """Asked again: a run that ended since the search has let go of its lock only after it said so."""
        return bool(self.client.get_run(run.info.run_id).info.status == "RUNNING")

    def _fail(self, run: "Run", why: str, happened: str) -> None:
        run_id = run.info.run_id
        self.client.set_tag(run_id, END, why)
        self.client.set_terminated(run_id, "FAILED")
        now = self.client.get_run(run_id)
        if TRAINED in now.data.tags:  # it ended in this very moment
            self.client.set_terminated(run_id, "FINISHED", now.info.end_time)
            self.client.delete_tag(run_id, END)
        else:
            log.info("run %s of %s %s: marked FAILED", run.info.run_name, run.data.tags["task"], happened)

    @staticmethod
    def _is_of(folder: Path, run: "Run") -> bool:
        """Whether a folder holds the result of this very training."""
        path = folder / "run.json"
        if not path.exists():
            return False
        result = read_json(path)
        return bool(result["key"] == run.data.tags[KEY] and result["started"] == run.info.start_time)

    def sync(self) -> list[Tracked]:
        """Put every finished result on disk that the store lacks into it; the earliest trained come first. A run that
        several folders have is put once, from the root or else from the first of the `roots` that has it.

        Returns: all that are in the store then.

        Raises: `UserError` for roots that have no runs.
        """
        present = {run.data.tags.get(KEY): run for run in self._all(f"tags.`{TRAINED}` = 'true'")}
        tracked: list[Tracked] = []
        added = 0
        finished = current(folder / "run.json" for folder in all_seeds(self.roots))
        once: dict[str, tuple[dict[str, Any], Path]] = {}
        for path in finished:
            found = read_json(path)
            once.setdefault(found["key"], (found, path.parent))
        runs = sorted(once.values(), key=lambda one: one[0]["started"])
        for content, folder in runs:
            if self._connection.away:
                break
            results, run = Results(folder.parents[1]), present.get(content["key"])
            with self.results_are_kept():
                tracked.append(self._put(results, content["seed"], run))
                added += run is None
        if added:
            log.info("%d run(s) put into the store from their folders", added)
        return tracked

    def _all(self, filter_string: str) -> Iterator["Run"]:
        experiments = [experiment.experiment_id for experiment in self.client.search_experiments()]
        token = None
        while experiments:
            page = self.client.search_runs(experiments, filter_string, max_results=1000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return
