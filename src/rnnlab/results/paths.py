"""Where files are: one root, one folder for each thing that is made, nothing named by the clock."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rnnlab.arguments import RESERVED
from rnnlab.errors import UserError

PACKAGE = Path(__file__).resolve().parents[1]
CHECKOUT = PACKAGE.parents[1]
"""Of a package that is imported from one; an installed one has its conf/ inside."""

INSTALLED = (PACKAGE / "conf").is_dir()
CONF = (PACKAGE if INSTALLED else CHECKOUT) / "conf"

EXPERIMENTS = Path(".dvc/tmp/exps")
"""Below a workspace: where `dvc exp run` makes the copies that queued experiments run in, and deletes them again."""


def root() -> Path:
    """The folder that holds data/, results/, runs/ and the user's own conf/: RNNLAB_ROOT, else the nearest workspace
    above the working directory, else that directory."""
    try:
        here, given = Path.cwd(), os.environ.get("RNNLAB_ROOT")
    except FileNotFoundError:
        raise UserError("the working directory is no longer there: change to another.") from None
    if given and f"/{EXPERIMENTS}/" not in f"{here}/":  # all copies inherit one variable
        return Path(given).resolve()
    return next(workspaces(here), here)


def workspaces(folder: Path) -> Iterator[Path]:
    """Of a folder and those above it the ones that hold a workspace, the nearest first."""
    return (each for each in (folder, *folder.parents) if is_workspace(each))


def is_workspace(folder: Path) -> bool:
    """Whether `rnnlab init` made it, or it is a checkout."""
    return (folder / "conf/grid.yaml").is_file() and (folder / "dvc.yaml").is_file()


def store_root() -> Path:
    """The folder that holds the MLflow store: the root, but of a copy that DVC runs an experiment in the workspace that
    it is a copy of."""
    here = root()
    return next((each for each in here.parents if here.is_relative_to(each / EXPERIMENTS)), here)


def from_root(path: Path) -> str:
    """As a command given in the root would name it; what is elsewhere by its whole path."""
    return str(path.relative_to(root()) if path.is_relative_to(root()) else path)


def own_file(path: str) -> Path:
    """A file of the user's: a relative path is meant from the working directory, or from the root, else from the
    workspace that DVC has copied, for what git does not know is not in the copy.

    Raises: `UserError` where it could be either of two.
    """
    here, there = Path(path), root() / path
    if here.exists() and there.exists() and not here.samefile(there):
        raise UserError(f"{path} is both {here.absolute()} and {there}: give the whole path.")
    return next((place for place in (here, there, store_root() / path) if place.exists()), here)


def of_seeds(folder: Path, pattern: str) -> list[Path]:
    """What matches the pattern below `folder`, sorted, where its `seed=*` is a number."""
    return sorted(
        path for path in folder.glob(pattern) if re.search(r"\bseed=\d+(/|$)", path.relative_to(folder).as_posix())
    )


def trained_seeds() -> list[Path]:
    """The folder of every trained seed: what `dvc repro` made, then what was made by hand."""
    return [*trained_by_pipeline(root() / "results"), *trained_by_hand()]


def trained_by_pipeline(results: Path) -> list[Path]:
    """The folder of every seed that `dvc repro` trained, below a folder such as results/."""
    return of_seeds(results, "*/*/train/seed=*")


def trained_by_hand(task: str = "*", cell: str = "*", runs: Path | None = None) -> list[Path]:
    """The folder of every seed that was trained by hand, and before these, where all are asked for, of those that an
    earlier version trained: it had no folder for each data set. runs: below which folder; by default the root's."""
    runs = runs or root() / "runs"
    earlier = of_seeds(runs, "*/*/*/train/seed=*") if (task, cell) == ("*", "*") else []
    return [*earlier, *of_seeds(runs, f"{task}/*/{cell}/*/train/seed=*")]


def data_folder(slug: str, digest: str) -> str:
    """The name of the folder of all that is made by hand of one data set. digest: of its prepared arrays."""
    return f"{slug}-{digest[:8]}"


def baselines_by_hand(task: str, data: str) -> Path:
    """What was reached without a net on a data set. data: see `data_folder`."""
    return root() / "runs" / task / data / RESERVED


@dataclass(frozen=True)
class Prepared:
    """The folders of a task's data: the fetched data set and the arrays made from it.

    verified: the file that records the arrays' digest and the file stats it was computed for, outside of what DVC
    keeps.
    """

    raw: Path
    processed: Path
    verified: Path

    @classmethod
    def of_pipeline(cls, task: str) -> "Prepared":
        """What `dvc repro` makes."""
        verified = root() / "data/cache" / task / "verified.json"
        return cls(root() / "data/raw" / task, root() / "data/processed" / task, verified)

    @classmethod
    def of_cache(cls, task: str, fingerprint: str) -> "Prepared":
        """What a run by hand makes for a setting of its own."""
        folder = root() / "data/cache" / task / fingerprint
        return cls(folder / "raw", folder / "processed", folder / "verified.json")

    @property
    def folder(self) -> Path:
        """Of both, in the cache."""
        return self.processed.parent

    @property
    def raw_sums(self) -> Path:
        """In the cache: the checksums of the raw files as they were fetched."""
        return self.folder / "raw.json"

    @property
    def meta(self) -> Path:
        return self.processed / "meta.json"


@dataclass(frozen=True)
class Results:
    """The folder of one task, cell and setting, with all its seeds.

    train/ and evaluate/ hold what lasts, written whole or not at all; checkpoints/ what only this machine needs.
    """

    folder: Path

    @classmethod
    def of_pipeline(cls, task: str, cell: str) -> "Results":
        """What `dvc repro` makes."""
        return cls(root() / "results" / task / cell)

    @classmethod
    def of_run(cls, task: str, data: str, cell: str, setting: str) -> "Results":
        """What a run by hand makes: `setting` keeps one configuration's results apart from another's. data: see
        `data_folder`."""
        return cls(root() / "runs" / task / data / cell / setting)

    def train(self, seed: int) -> Path:
        return self.folder / "train" / f"seed={seed}"

    def evaluate(self, seed: int) -> Path:
        return self.folder / "evaluate" / "seeds" / f"seed={seed}"

    def diagnosis(self, seed: int) -> Path:
        """What `rnnlab diagnose` says of the trained net."""
        return self.folder / "diagnosis" / f"seed={seed}"

    def checkpoints(self, seed: int) -> Path:
        return self.folder / "checkpoints" / f"seed={seed}"

    def lock(self, seed: int) -> Path:
        return self.checkpoints(seed) / ".lock"

    @property
    def summary(self) -> Path:
        return self.folder / "evaluate"

    @property
    def summarised(self) -> Path:
        """Which seeds the summary is of: a digest of each one's metrics."""
        return self.summary / "seeds" / "summarised.json"
