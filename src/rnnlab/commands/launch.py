"""A sweep's jobs, handed to where `cluster` says: checked, their data prepared, and only those that are missing."""

import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial, update_wrapper
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig, open_dict

from rnnlab.addresses import shown
from rnnlab.cluster import job as files
from rnnlab.cluster.engine import Engine
from rnnlab.cluster.follow import Followed
from rnnlab.cluster.job import Ended, Job, Part, dealt
from rnnlab.cluster.local import Local
from rnnlab.cluster.worker import Payload
from rnnlab.commands.main import COMMANDS
from rnnlab.config.cli import Command, Reported, check_job, in_words, report
from rnnlab.config.fingerprint import words_to_keep
from rnnlab.config.schema import MADE
from rnnlab.errors import MissingExtra, UserError
from rnnlab.output import progress
from rnnlab.results.locks import is_locked
from rnnlab.results.origin import is_judged
from rnnlab.results.paths import Results, from_root, root
from rnnlab.serving.champions import crown_best
from rnnlab.tracking.describe import varied_by
from rnnlab.tracking.mlflow.store import MLflowStore
from rnnlab.tracking.tracker import Tracked, Tracker
from rnnlab.training.prepare import assume_prepared, prepared_here

log = logging.getLogger("rnnlab")

KEYS = ("task", "cell")
"""Overrides that tell one job from another; all runs that differ in others are of one job."""

AFTER = "Nothing is lost: the same command goes on with what is missing, each run from its last epoch."

NAMED = 5
"""Runs that are named after an error."""


@dataclass
class Planned:
    """One run of the sweep.

    state: missing, there, running (by another process), adopted (in a job of an earlier command), skipped, or failed
    before it began. message: why it is skipped or failed. code: to exit with.
    """

    words: tuple[str, ...]
    part: Part
    state: str = "missing"
    message: str = ""
    code: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        last = {word.lstrip("+").partition("=")[0]: word for word in self.words}
        return tuple(last.get(key, "") for key in KEYS)


def launch(
    context: HydraContext,
    function: TaskFunction,
    config: DictConfig,
    overrides: Sequence[Sequence[str]],
    first: int,
) -> list[JobReturn]:
    """Run the jobs of a sweep where `config.cluster` says, and wait for their end.

    function: what Hydra calls of a job's config, of which `rnnlab.config.cli.Command` is an argument. first: the number
    of the first job.

    Raises: `SystemExit` for an engine that cannot be used, and for a sweep of no runs, before any other work.
    """
    setup_globals()
    if not overrides:
        sys.exit(
            report(UserError("the sweep has no runs: a key of it has no value, as where glob(...) matches nothing."))
        )
    engine: Engine = instantiate(config.cluster)
    if isinstance(engine, Local) and engine.workers == 1 and not engine.detach and not engine.evaluate:
        basic = BasicLauncher()
        basic.setup(hydra_context=context, task_function=function, config=config)
        return [*basic.launch(overrides, first)]
    try:
        return _Sweep(context, function, config, engine).run([tuple(words) for words in overrides])
    except (UserError, OSError) as error:
        sys.exit(report(error))


class _Sweep:
    def __init__(self, context: HydraContext, function: Any, config: DictConfig, engine: Engine) -> None:
        self.context, self.function, self.config, self.engine = context, function, config, engine
        self.command, self.name = function.args[0], function.args[1]
        self.does = f"{self.name} evaluate" if engine.evaluate else self.name
        self._left: list[Job] = []
        """Jobs that ended after the command which submitted them: nobody has put their results into the store."""
        if engine.evaluate and self.name != "train":
            raise UserError(f"cluster.evaluate=true: it is for rnnlab train; {self.name} trains nothing.")

    def run(self, overrides: list[tuple[str, ...]]) -> list[JobReturn]:
        room = self.engine.open()
        if self.engine.detach and not self.engine.keeps_jobs:
            self._detach()
        planned = self._planned(overrides)
        with files.present() as command:
            with files.taking():
                adopted = self._adopted(planned)
                jobs = self._made(planned, adopted, room)
                for job in (*adopted, *jobs):
                    job.keep_owner(command)
            self._say(planned, jobs, adopted)
            followed = Followed(self.engine, [*adopted, *jobs])
            return self._followed(planned, jobs, followed)

    def _followed(self, planned: list[Planned], jobs: list[Job], followed: Followed) -> list[JobReturn]:
        """Hand over the jobs, and wait for their end, unless the command is not to."""
        try:
            if jobs:
                self.engine.submit(jobs)
            if self.engine.detach:
                log.info(
                    "%s submitted; the same command without cluster.detach says how far the sweep is", _counted(jobs)
                )
                return [self._returned(each, None) for each in planned]
            followed.until_all_end()
        except UserError:
            self.engine.cancel()
            raise
        except BaseException:
            self.engine.cancel()
            log.info("cancelled what was waiting or under way. %s", AFTER)
            raise
        self.engine.close()
        self._keep(planned, followed)
        self._conclude(planned, followed)
        returned = [self._returned(each, followed.ended.get(each.part.identity)) for each in planned]
        for each in returned:
            if each.status == JobStatus.FAILED:  # here: Hydra would print the overrides of one of them below the list
                raise each._return_value
        return returned

    # --- before ---

    def _detach(self) -> None:
        """The same command in a process of its own, which outlives this one and its terminal."""
        place = root() / "runs/.sweep/detached.log"
        place.parent.mkdir(parents=True, exist_ok=True)
        words = _attached(sys.argv[1:])
        command = (
            [sys.executable, sys.argv[0], *words]
            if sys.argv[0].endswith(".py")
            else [sys.executable, "-c", "from rnnlab.commands.main import main; main()", self.name, *words]
        )
        with place.open("ab") as file:
            process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )
        log.info("process %d runs it; its output is in %s", process.pid, from_root(place))
        sys.exit(0)

    def _planned(self, overrides: list[tuple[str, ...]]) -> list[Planned]:
        """Every run checked, and the data of all of them prepared here: the hosts of a cluster may have no network."""
        opened: dict[tuple[str, ...], Planned] = {}
        return [self._open(words, opened) for words in progress(overrides, "checking the runs and their data")]

    def _open(self, words: tuple[str, ...], opened: dict[tuple[str, ...], Planned]) -> Planned:
        """opened: runs by their words without the seed, of which all that is checked is the same."""
        seed = next((word.partition("=")[2] for word in reversed(words) if word.startswith("seed=")), "")
        if not seed.isdigit():
            return self._with_state(self._checked(words))
        others = tuple(word for word in words if not word.startswith("seed="))
        if any("seed" in word.partition("=")[2] for word in others):  # ${seed}: each seed is a setting of its own
            return self._with_state(self._checked(words))
        if others not in opened:
            opened[others] = self._checked(words)
        like = opened[others].part
        name = like.label.replace(f"seed {like.seed}", f"seed {int(seed)}", 1) if like.folder else _in_words(words)
        part = replace(like, words=words, seed=int(seed), label=name)
        return self._with_state(replace(opened[others], words=words, part=part))

    def _checked(self, words: tuple[str, ...]) -> Planned:
        """Of the first seed of a setting, with its data."""
        named = Part(_in_words(words), words)
        try:
            cfg = self.context.config_loader.load_sweep_config(self.config, list(words))
            HydraConfig.instance().set_config(cfg)
            with open_dict(cfg):
                del cfg["hydra"]
            check_job(self.command, cfg)
            if self.command.makes != MADE:
                return Planned(words, named)
            from rnnlab.training.prepare import prepared_data  # here: these import Lightning
            from rnnlab.training.run import Run

            if cfg.discard and self.name == "train":  # tried out in a folder that is thrown away
                prepared_data(cfg)
                return Planned(words, named)
            run = Run.open(cfg)
        except MissingExtra as error:
            log.warning("%s: skipped. %s", named.label, error)
            return Planned(words, named, "skipped", str(error))
        except Exception as error:  # whatever it is, it stops no other run
            return Planned(words, named, "failed", in_words(error), report(error))
        label = " ".join([run.label, *varied_by(words_to_keep(words))])
        return Planned(words, Part(label, words, str(run.results.folder), run.seed))

    def _with_state(self, planned: Planned) -> Planned:
        if self.name != "train" or planned.state != "missing" or not planned.part.folder:
            return planned
        results, seed = Results(Path(planned.part.folder)), planned.part.seed
        if is_locked(results.lock(seed)):
            planned.state = "running"
        elif (
            (results.train(seed) / "metrics.json").exists()
            and "force=true" not in planned.words
            and (not self.engine.evaluate or is_judged(results, seed))
        ):
            planned.state = "there"
        return planned

    def _adopted(self, planned: list[Planned]) -> list[Job]:
        """Jobs that an earlier command has left with the engine, of runs of this sweep; those that another command
        follows are left to it."""
        wanted = {each.part.identity: each for each in planned}
        adopted = []
        for job in files.jobs():
            theirs = [part.identity for part in job.parts]
            if job.does != self.does or wanted.keys().isdisjoint(theirs):
                continue
            is_followed = bool(job.owner) and is_locked(files.presence(job.owner))
            if job.has_finished:
                if not is_followed:
                    self._left.append(job)
                continue
            if is_followed:
                state, ended = "running", job.ended()
                theirs = [one for number, one in enumerate(theirs) if number not in ended]
            elif self.engine.adopt(job):
                state = "adopted"
                adopted.append(job)
            else:
                continue
            for each in (wanted[identity] for identity in theirs if identity in wanted):
                if each.state in ("missing", "running"):
                    each.state = state
        return adopted

    def _made(self, planned: list[Planned], adopted: list[Job], room: int | None) -> list[Job]:
        missing = {each.part.identity: each for each in planned if each.state == "missing"}
        store: Tracker = instantiate(self.config.tracking)
        payload = Payload(self._functions(), self.context, self.config, Singleton.get_state(), self._before())
        made = []
        for parts in dealt(((each.key, each.part) for each in missing.values()), room, self.engine.runs_per_job):
            parts = [replace(part, words=self._words(part.words, store)) for part in parts]
            made.append(Job.make(self._title(parts), parts, payload, self.does))
        return made

    def _functions(self) -> tuple[TaskFunction, ...]:
        def of(command: Command, name: str) -> TaskFunction:
            return update_wrapper(partial(self.function.func, command, name), self.function.func)

        evaluate = [of(COMMANDS["evaluate"], "evaluate")] if self.engine.evaluate else []
        return (self.function, *evaluate)

    def _before(self) -> Any:
        """What a job is to know of data that may be other data tomorrow: which state of it this sweep is about."""
        if self.command.makes != MADE:
            return None
        return partial(assume_prepared, prepared_here())

    def _words(self, words: tuple[str, ...], store: Tracker) -> tuple[str, ...]:
        """Champions are crowned here at the end, not by jobs. Those of other hosts log to a server alone, which every
        host may reach by an address without a secret."""
        if not isinstance(store, MLflowStore):
            return words
        is_server = store.uri.startswith(("http://", "https://")) and shown(store.uri) == store.uri
        if self.engine.is_one_host or is_server:
            return (*words, "++tracking.crown=false")
        return (*(word for word in words if word.partition("=")[0].partition(".")[0] != "tracking"), "tracking=none")

    def _title(self, parts: list[Part]) -> str:
        labels = list(dict.fromkeys(part.label.partition(" ")[0] for part in parts))
        return labels[0] if len(labels) == 1 else self.name

    def _say(self, planned: list[Planned], jobs: list[Job], adopted: list[Job]) -> None:
        counts = Counter(each.state for each in planned)
        words = {
            "there": "done before", "running": "running in another process", "adopted": "left by an earlier command",
            "missing": "to be done", "skipped": "skipped", "failed": "failed",
        }  # fmt: skip
        begun = sum(each.state == "missing" and _has_begun(each.part) for each in planned)
        words["missing"] += f" ({begun} of them from their last epoch)" if begun else ""
        text = ", ".join(f"{counts[state]} {word}" for state, word in words.items() if counts[state])
        log.info("%s: %s%s", _runs(planned), text, f", in {len(jobs)} job{'s' * (len(jobs) > 1)}" if jobs else "")

    # --- after ---

    def _keep(self, planned: list[Planned], followed: Followed) -> None:
        """Put what the jobs have left on disk into the store, and crown the best of all, once."""
        store: Tracker = instantiate(self.config.tracking)
        if self.name not in ("train", "evaluate") or not isinstance(store, MLflowStore):
            return
        left = {job.parts[number].identity for job in self._left for number in job.ended()}
        done = [
            each
            for each in planned
            if (each.state == "there" and each.part.identity in left)
            or ((ended := followed.ended.get(each.part.identity)) and ended.state == "done" and each.part.folder)
        ]
        if not done:
            return
        tracked: list[Tracked] = []
        with store.results_are_kept():
            each_put = (store.put(Results(Path(each.part.folder)), each.part.seed) for each in done)
            tracked = [one for one in progress(each_put, "putting the runs into the store", len(done)) if one]
        crown_best(store, tracked)

    def _conclude(self, planned: list[Planned], followed: Followed) -> None:
        counts = Counter(
            ended.state if (ended := followed.ended.get(each.part.identity)) else each.state for each in planned
        )
        there = sum(each.state == "there" for each in planned)
        running, failed = counts["running"], counts["failed"]
        facts = [f"{counts['done'] + counts['there']} done"]
        facts += [f"{there} of them before"] if there else []
        facts += [f"{running} running in another process"] if running else []
        facts += [f"{failed} failed"] if failed else []
        spent = sum(job.outcome.get("cpu_seconds", 0.0) for job in followed.jobs)
        log.info("%s: %s; %.0f CPU seconds", _runs(planned), ", ".join(facts), spent)
        why: dict[str, list[str]] = {}
        for each in planned:
            if each.state == "failed":
                why.setdefault(each.message, []).append(each.part.label)
        for part, job, ended in followed.failed():
            why.setdefault(ended.message, []).append(f"{part.label} ({from_root(job.log)})")
        for message, labels in why.items():
            more = f", and {len(labels) - NAMED} more" if len(labels) > NAMED else ""
            log.info("  failed: %s\n    %s%s", message, ", ".join(labels[:NAMED]), more)
        followed.delete_successful()
        if self.name == "train" and counts["done"]:
            judge = (
                "" if self.engine.evaluate else "judge them by the same command with evaluate in place of train, then "
            )
            log.info("Next: %srnnlab report report.folder=runs", judge)
        for job in self._left:
            if [ended.state for ended in job.ended().values()] == ["done"] * len(job.parts):
                job.delete()

    def _returned(self, planned: Planned, ended: Ended | None) -> JobReturn:
        made = JobReturn(overrides=planned.words, status=JobStatus.COMPLETED)
        made.return_value = None if ended is None else ended.value
        if planned.state == "failed" or (ended is not None and ended.state == "failed"):
            made.status = JobStatus.FAILED
            made.return_value = Reported(planned.code or 1, planned.message or (ended.message if ended else ""))
        return made


def _attached(words: list[str]) -> list[str]:
    """The words of a command that shall not detach, whatever file it is asked to in. Overrides stand side by side."""
    overrides = [number for number, word in enumerate(words) if "=" in word and not word.startswith("-")]
    behind = overrides[-1] + 1 if overrides else len(words)
    return [*words[:behind], "cluster.detach=false", *words[behind:]]


def _has_begun(part: Part) -> bool:
    """Whether a run goes on from an epoch, which is kept beside what it becomes."""
    is_trained = (Results(Path(part.folder)).train(part.seed) / "metrics.json").exists()
    return bool(part.folder) and part.checkpoint.exists() and not is_trained


def _runs(planned: Sequence[Planned]) -> str:
    return "1 run" if len(planned) == 1 else f"{len(planned)} runs"


def _counted(jobs: Sequence[Job]) -> str:
    return "1 job is" if len(jobs) == 1 else f"{len(jobs)} jobs are"


def _in_words(words: tuple[str, ...]) -> str:
    """A run that has no name yet, by its overrides."""
    return " ".join(words_to_keep(words))
