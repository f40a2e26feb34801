"""What a job of a sweep does, in a process of its own on whatever host: its runs, one after another."""

import logging
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from rnnlab.cluster.job import Ended, Job, Part, code_here
from rnnlab.config.cli import Reported, in_words, report
from rnnlab.errors import UserError

log = logging.getLogger("rnnlab")


@dataclass(frozen=True)
class Payload:
    """Hydra's part of a job, as its launchers hand it to other processes, and what `before` any run is to be called.

    functions: what is done with each run, one after another; what the first returns is its value.
    """

    functions: tuple[TaskFunction, ...]
    context: HydraContext
    config: DictConfig
    singletons: dict[Any, Any]
    before: Any = None

    def restore(self) -> None:
        setup_globals()
        Singleton.set_state(self.singletons)
        if self.before is not None:
            self.before()

    def run(self, number: int, words: tuple[str, ...]) -> JobReturn:
        """One run, in this process, up to the first function that fails. number: of all in the job."""
        config = self.context.config_loader.load_sweep_config(self.config, list(words))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        HydraConfig.instance().set_config(config)
        first = run_job(self.functions[0], config, "hydra.sweep.dir", "hydra.sweep.subdir", self.context)
        for function in self.functions[1:]:
            if first.status == JobStatus.COMPLETED:
                made = run_job(function, config, "hydra.sweep.dir", "hydra.sweep.subdir", self.context)
                first = made if made.status == JobStatus.FAILED else first
        return first


def work(folder: str) -> None:
    """Run what is in a job's folder and has not ended, and write there how each run ended.

    Raises: `UserError` where the folder is not to be seen on this host.
    """
    job = Job(Path(folder))
    before = job.outcome
    outcome: dict[str, Any] = {
        "host": os.uname().nodename,
        "attempts": before.get("attempts", 0) + 1,
        "parts": before.get("parts", {}),
        "finished": False,
    }
    if job.content["code"] != code_here():
        message = (
            f"rnnlab {code_here()} is installed on {outcome['host']}, and the sweep was started by "
            f"{job.content['code']}: install the same on every host."
        )
        outcome["parts"] = {str(number): asdict(Ended("failed", message)) for number in range(len(job.parts))}
        outcome["other_code"] = True
    job.write_outcome(outcome)
    spent = before.get("cpu_seconds", 0.0) - (0.0 if _IS_OWN_PROCESS else _cpu_seconds())
    with _output_into(job.log), _environment(job.content):
        payload: Payload | None = None
        for number, part in enumerate(job.parts):
            if str(number) in outcome["parts"]:
                continue
            if payload is None:  # read by the code that wrote it alone
                payload = job.payload
                payload.restore()
            outcome["parts"][str(number)] = asdict(_ended(payload, number, part))
            job.write_outcome(outcome)
    job.write_outcome({**outcome, "finished": True, "cpu_seconds": round(spent + _cpu_seconds(), 2)})


def _ended(payload: Payload, number: int, part: Part) -> Ended:
    log.info("--- %s: %s", part.label, " ".join(part.words))
    began, cpu = time.monotonic(), _cpu_seconds()
    made = payload.run(number, part.words)
    seconds, cpu = round(time.monotonic() - began, 2), round(_cpu_seconds() - cpu, 2)
    if made.status == JobStatus.COMPLETED:
        value = made.return_value
        return Ended("done", "", value if isinstance(value, float) else None, seconds, cpu)
    error = made._return_value
    message = error.text if isinstance(error, Reported) else in_words(error)
    return Ended("failed", message, None, seconds, cpu)


_IS_OWN_PROCESS = "ray" not in sys.modules
"""Whether all that this process spends is the job's."""


def _cpu_seconds() -> float:
    """Of this process and those that it has waited for."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


@contextmanager
def _environment(content: dict[str, Any]) -> Iterator[None]:
    """As where the sweep was started: Ray's processes have that of their own host, and serve others afterwards."""
    before, here = dict(os.environ), Path.cwd()
    os.environ.update(content["environment"] | {"RNNLAB_ROOT": content["root"]})
    # relative paths among the overrides are meant from where the sweep was started
    os.chdir(content["from"] if Path(content["from"]).is_dir() else content["root"])
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _output_into(path: Path) -> Iterator[None]:
    """All that is written to standard output and error, by whatever, goes to the end of a file.

    The streams stay the same objects: what has set up logging before goes on writing to them afterwards.
    """
    kept = [os.dup(stream.fileno()) for stream in (sys.stdout, sys.stderr)]
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    _exchange(target, target)
    os.close(target)
    try:
        yield
    finally:
        _exchange(*kept)
        for saved in kept:
            os.close(saved)


def _exchange(*targets: int) -> None:
    for stream, target in zip((sys.stdout, sys.stderr), targets, strict=True):
        stream.flush()
        os.dup2(target, stream.fileno())


def main() -> None:
    """python -m rnnlab.cluster.worker FOLDER"""
    try:
        work(sys.argv[1])
    except (UserError, OSError) as error:  # such as a full disk, on which no outcome can be kept
        sys.exit(report(error))


if __name__ == "__main__":
    main()
