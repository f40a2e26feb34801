"""What identifies a run, and what a person would want to know of how it came about."""

import os
import platform
import re
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

import rnnlab
from rnnlab.config.fingerprint import run_params, words_to_keep
from rnnlab.config.schema import decides_a_run
from rnnlab.config.titles import DataName
from rnnlab.modules.module import SequenceModule
from rnnlab.results.origin import FORMAT
from rnnlab.results.paths import CHECKOUT, INSTALLED, Results, root
from rnnlab.tasks.task import Task

NAMED_ANYWAY = ("task", "cell", "cell.hidden_size", "seed")
"""What the name of a run says without being asked."""

LAST = ("task", "budget", "trainer")
"""Groups that mostly say the same of all runs of a sweep: columns and legends cut off the end of a name."""

SHORT = {"max_epochs": "epochs", "limit_batches": "batches", "batch_size": "batch", "num_layers": "layers"}
"""What a name calls a key."""


class Described(Protocol):
    """What is read of a run: see `rnnlab.training.run.Run`."""

    @property
    def cfg(self) -> DictConfig: ...
    @property
    def task(self) -> Task: ...
    @property
    def data(self) -> DataName: ...
    @property
    def setting(self) -> str: ...
    @property
    def results(self) -> Results: ...
    @property
    def seed(self) -> int: ...


def describe_run(run: Described, module: SequenceModule) -> dict[str, Any]:
    """The content of a run's run.json: its `key` is the same for the same task, cell, setting and seed."""
    cfg, task, seed = run.cfg, run.task, run.seed
    commit, dirty = _git()
    words = words_to_keep(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
    cell, varied = f"{cfg.cell.name} h{cfg.cell.hidden_size}", varied_by(words)
    return {
        "format": FORMAT,
        "key": f"{'results' if cfg.dvc else 'runs'}/{cfg.task.name}/{cfg.cell.name}/{run.setting}/seed={seed}",
        "name": " ".join([cell, f"s{seed}", *varied]),
        "task": cfg.task.name,
        "cell": cfg.cell.name,
        "seed": seed,
        "setting": run.setting,
        "trials": cfg.tuning.get("trials"),
        "folder": str(run.results.folder),
        "started": int(time.time() * 1000),
        "params": {
            **run_params(cfg),
            "seed": seed,
            "parameters": module.parameter_count,
        },
        "asks": (type(task).__doc__ or "").strip().partition("\n")[0].rstrip(":."),
        "rank_by": task.spec.rank_by,
        "direction": task.spec.metrics[task.spec.rank_by],
        "yardstick": _yardstick(cfg, task),
        "dataset": {
            **asdict(run.data),
            "setting": task.meta["setting"]["dataset"],
        },
        "tags": {
            "task": cfg.task.name,
            "cell": cfg.cell.name,
            "variant": " ".join([cell, *varied]),
            "layout": task.spec.layout,
            "unroll": module.recurrent.unroll,
            "tuning": cfg.tuning.name,
            "trials": "by hand" if cfg.tuning.get("trials") is None else str(cfg.tuning.trials),
            "parameters": _sizing(cfg, module),
            "sweep": "dvc" if cfg.dvc else os.environ.get("RNNLAB_SWEEP", "none"),
            "stage": f"train@{cfg.task.name}-{cfg.cell.name}" if cfg.dvc else "by hand",
            "data": run.data.title,
            "data_digest": run.data.digest,
            "slug": run.data.slug,
            "git_commit": commit,
            "git_dirty": dirty,
            "device": _device(cfg),
            "processor": _processor(),
            "cores": str(_cores()),
            "threads": str(cfg.trainer.threads),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "pytorch_lightning": version("pytorch-lightning"),
            "rnnlab": rnnlab.__version__,
            "host": socket.gethostname(),
        },
    }


def varied_by(words: Iterable[str]) -> list[str]:
    """What overrides say of a run beside what is named anyway, in an order that does not depend on theirs; keys of
    which the last part is the same as a whole."""
    varied = {}
    for key, _, value in sorted((word.lstrip("+~").partition("=") for word in words), key=_place):
        if decides_a_run(key) and key not in NAMED_ANYWAY:
            varied[key] = re.sub(r"[^,\[\]]*/", "", value.strip("'\""))  # of a list each file's own name, too
    last = {key: key.rpartition(".")[2] for key in varied}
    times = Counter(last.values())
    names = {key: SHORT.get(name, name) if times[name] == 1 else key for key, name in last.items()}
    return [f"{names[key]}={value}" for key, value in varied.items()]


def _place(word: tuple[str, str, str]) -> tuple[bool, str]:
    key = word[0]
    return key.partition(".")[0] in LAST, key


def _sizing(cfg: DictConfig, module: SequenceModule) -> str:
    if cfg.parameters.name == "free":
        return "free"
    return f"{cfg.parameters.name} (target {cfg.parameters.count}, has {module.parameter_count})"


def _yardstick(cfg: DictConfig, task: Task) -> str | None:
    """What makes validation losses comparable: the loss, and the data; None where only a part of it was looked at."""
    return None if cfg.trainer.limit_batches is not None else f"{task.spec.loss.name} on {task.meta['digest']}"


def _git() -> tuple[str, str]:
    """The commit of the code's checkout, or where it is in none of the workspace, and whether files differ from it;
    dvc.lock is written by every `dvc repro` and does not count."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root() if INSTALLED else CHECKOUT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

    try:
        return git("rev-parse", "HEAD"), str(bool(git("status", "--porcelain", "--", ".", ":!dvc.lock"))).lower()
    except (OSError, subprocess.CalledProcessError):
        return "none", "unknown"


def _processor() -> str:
    """The model, where the system says it: as "AMD EPYC 7763 64-Core Processor"; else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    found = (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == "model name")
    return next(filter(None, found), None) or platform.processor() or platform.machine() or "unknown"


def _cores() -> int:
    """Those that this process may use, which a cluster or `taskset` may have made fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _device(cfg: DictConfig) -> str:
    if cfg.trainer.accelerator == "cpu" or not torch.cuda.is_available():
        return "cpu"
    return torch.cuda.get_device_name()
