"""Which runs by hand a report is of: those that agree with the words of its command line."""

from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from rnnlab.addresses import shown
from rnnlab.config.checking import check
from rnnlab.config.fingerprint import shown_in
from rnnlab.config.schema import GROUPS_OF_A_RUN, MADE, decides_a_run
from rnnlab.config.sizing import SIZING
from rnnlab.errors import UserError
from rnnlab.results.files import read_json
from rnnlab.results.folders import RESULTS
from rnnlab.results.paths import Results, of_seeds

OF_THE_REPORT = ("report", "tracking", "fetch", "port", "dvc", "packages")
"""What a report reads of its own config; by all else runs are chosen."""


@dataclass(frozen=True)
class Selection:
    """Of all runs those whose config says what `cfg` says of each key or group in `words`; without words, all."""

    cfg: DictConfig
    words: tuple[str, ...] = ()

    def takes(self, results: Results) -> bool:
        if not self.words:  # to read a config takes longer than all else of a run
            return True
        (path, *_) = of_seeds(results.folder, "train/seed=*/config.yaml")
        run = OmegaConf.load(path)
        assert isinstance(run, DictConfig)
        return all(self._agrees(word.partition("=")[0].lstrip("+~"), run, results) for word in self.words)

    def _agrees(self, key: str, run: DictConfig, results: Results) -> bool:
        if key in (SIZING, f"{SIZING}.count"):
            judged = [read_json(path) for path in results.summary.glob("seeds/*/evaluated.json")]
            asked = [each.partition(" ") for facts in judged for each in facts.get(SIZING, ())]
            if key == SIZING:
                return any(name == self.cfg[SIZING].name for name, _, _ in asked)
            return any(count == str(self.cfg[SIZING].count) for _, _, count in asked)
        if "." in key:
            # as the run keeps it
            ours, theirs = shown_in(OmegaConf.select(self.cfg, key)), OmegaConf.select(run, key)
        else:
            ours, theirs = _name(self.cfg[key]), _name(run.get(key))
        return bool(ours == theirs)


def _name(group: Any) -> Any:
    return group and group.get("name", group.get("_target_"))


def selection(cfg: DictConfig) -> Selection:
    """What the command line asks for.

    Raises: `UserError` for a word that chooses no runs, and for a report of several jobs.
    """
    if not HydraConfig.initialized():
        return Selection(cfg)
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        raise UserError("One report is of all cells and seeds: leave out -m, cell= and seed=.")
    words = [
        word
        for word in HydraConfig.get().overrides.task
        if word.lstrip("+~").partition("=")[0].partition(".")[0] not in OF_THE_REPORT
    ]
    for word in words:
        key = word.lstrip("+~").partition("=")[0]
        if key.partition(".")[0] not in GROUPS_OF_A_RUN or not decides_a_run(key):
            raise UserError(
                f"{word}: the runs of a report are chosen by {', '.join(GROUPS_OF_A_RUN)}, and by those of their keys "
                "that decide a training."
            )
    if words and cfg.report.folder in (RESULTS, [RESULTS]):
        raise UserError(f"{words[0]}: a report of the pipeline's grid is of all of it; choose with report.folder=runs.")
    if words:
        keys = [word.lstrip("+~") for word in words]
        # in the types that the runs' own configs have; what needs torch to be imported only if it is named
        check(cfg, [node for node in MADE if any(key.startswith(f"{node}.") for key in keys)])
    return Selection(cfg, tuple(map(shown, words)))
