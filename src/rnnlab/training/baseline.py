"""What a task can do without a recurrent net, judged on the same test split."""

import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig

from rnnlab.arguments import RESERVED
from rnnlab.config.fingerprint import baseline_setting, fingerprint
from rnnlab.config.titles import DataName, name_of_data
from rnnlab.errors import UserError
from rnnlab.results.files import atomic_folder, read_json, write_json
from rnnlab.results.locks import locked
from rnnlab.results.origin import JUDGED, is_current
from rnnlab.results.paths import baselines_by_hand, from_root, root
from rnnlab.tasks.baselines.baselines import Baselines
from rnnlab.tasks.judging import Judging
from rnnlab.tasks.task import Task
from rnnlab.training.predictions import write_predictions

log = logging.getLogger("rnnlab")


def evaluate_baselines(cfg: DictConfig, task: Task) -> None:
    """What the task can do without a recurrent net, on the same test split. task: open, under this config."""
    data = name_of_data(cfg, task.meta)
    setting = fingerprint({**baseline_setting(cfg), "data": data.digest})
    by_hand = baselines_by_hand(cfg.task.name, data.folder)
    folder = root() / "results" / cfg.task.name / RESERVED if cfg.dvc else by_hand
    with locked(folder.parent / ".lock"):
        facts = folder / "task.json"
        if cfg.dvc or not is_current(facts) or read_json(facts)["setting"] != setting:
            _write_baselines(cfg, task, data, folder, setting)
            log.info("  baselines in %s", from_root(folder))
        else:
            log.info("%s: baselines already judged under this setting, in %s", cfg.task.name, from_root(folder))


def _write_baselines(cfg: DictConfig, task: Task, data: DataName, folder: Path, setting: str) -> None:
    judging: Judging = instantiate(cfg.task.judging, task)
    baselines: Baselines = instantiate(cfg.task.baselines, judging)
    rank_by = task.spec.rank_by
    validation = {}
    with atomic_folder(folder) as part:
        for name, predict in baselines.fitted().items():
            validation[name] = judging.judge(predict("validation"))[rank_by]
            (part / name).mkdir()
            metrics = write_predictions(judging, predict("test"), part / name)
            log.info("%s/%s: test %s %.4f", cfg.task.name, name, rank_by, metrics[rank_by])
        best = min if task.spec.metrics[rank_by] == "min" else max
        finite = {name: value for name, value in validation.items() if np.isfinite(value)}
        if baselines.trivial not in finite:
            raise UserError(f"{cfg.task.name}: the baseline {baselines.trivial} has no {rank_by} on validation.")
        facts = {
            "spec": task.spec.as_dict(),
            # what cells are compared with, chosen as they are: not by the test split
            "reference": best(finite, key=lambda name: finite[name]),
            "trivial": baselines.trivial,
            "validation": finite,
            "published": judging.published(),
            "dataset": asdict(data),
        }
        write_json(part / "task.json", {"format": JUDGED, **facts, "setting": setting})
