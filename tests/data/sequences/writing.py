"""The same labelled sequences in every form that is read."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from rnnlab.data.audio import wav_file
from tests.data.test_rows import workbook

Write = Callable[[pd.DataFrame, Path], Path]

CHANNELS = ["x", "y"]


def walks(count: int = 24, seed: int = 0, same_length: bool = False) -> pd.DataFrame:
    """Three kinds of movement of eight people: id, time, x, y, label, patient; a row for each timestep."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        label = ("walk", "run", "sit")[number % 3]
        speed = {"walk": 0.3, "run": 0.9, "sit": 0.0}[label]
        for step in range(20 if same_length else int(rng.integers(12, 24))):
            place = np.round(rng.normal([np.sin(speed * step), np.cos(speed * step)], 0.1), 4)
            rows.append((f"s{number}", step / 10, *place, label, f"p{number % 8}"))
    return pd.DataFrame(rows, columns=["id", "time", *CHANNELS, "label", "patient"])


def long_csv(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "long.csv"
    frame.to_csv(path, index=False)
    return path


def long_other_marks(frame: pd.DataFrame, folder: Path) -> Path:
    """Semicolons, decimal commas, Windows' encoding, names of columns in another case, rows in any order."""
    path = folder / "long_marks.csv"
    renamed = frame.rename(columns={"id": "Case ID", "time": "Timestamp", "label": "Class"})
    # in the order of the ids, which is that of the sequences: pandas shuffles within them
    mixed = renamed.groupby("Case ID", sort=False, group_keys=False).sample(frac=1, random_state=0)
    mixed.to_csv(path, index=False, sep=";", decimal=",", encoding="cp1252")
    return path


def long_tabs_gz(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "long.tsv.gz"
    with gzip.open(path, "wt") as file:
        frame.to_csv(file, index=False, sep="\t")
    return path


def long_dates(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "long_dates.csv"
    dates = pd.Timestamp("2024-03-01") + pd.to_timedelta(frame["time"] * 10, unit="D")
    frame.assign(time=dates.dt.strftime("%d.%m.%Y")).rename(columns={"time": "Date"}).to_csv(path, index=False)
    return path


def long_parquet(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "long.parquet"
    frame.to_parquet(path, index=False)
    return path


def long_excel(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "long.xlsx"
    path.write_bytes(workbook([list(frame.columns), *frame.astype(object).to_numpy().tolist()]))
    return path


def long_json_lines(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "long.jsonl"
    frame.to_json(path, orient="records", lines=True)
    return path


def long_json(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "long.json"
    frame.to_json(path, orient="records")
    return path


def melted(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "melted.csv"
    kept = ["id", "time", "label", "patient"]
    frame.melt(id_vars=kept, value_vars=CHANNELS, var_name="channel").to_csv(path, index=False)
    return path


def nested_json_lines(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "nested.jsonl"
    with path.open("w") as file:
        for number, own in frame.groupby("id", sort=False):
            fixed = {"id": number, "label": own["label"].iloc[0], "patient": own["patient"].iloc[0]}
            file.write(json.dumps(fixed | {name: own[name].tolist() for name in CHANNELS}) + "\n")
    return path


def nested_csv(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "nested.csv"
    rows = [
        {"label": own["label"].iloc[0], **{name: json.dumps(own[name].tolist()) for name in CHANNELS}}
        for _, own in frame.groupby("id", sort=False)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def wide(frame: pd.DataFrame, folder: Path) -> Path:
    """x_0, x_1, ... y_0, y_1, ...; shorter sequences end in empty cells."""
    path = folder / "wide.csv"
    step = frame.groupby("id").cumcount()
    columns = frame.assign(step=step).pivot(index="id", columns="step", values=CHANNELS)
    columns.columns = [f"{name}_{number}" for name, number in columns.columns]
    labels = frame.groupby("id", sort=False)["label"].first()
    columns.loc[labels.index].assign(label=labels).to_csv(path, index=False)
    return path


def folder_of_csv(frame: pd.DataFrame, folder: Path) -> Path:
    place = folder / "by_class"
    for number, own in frame.groupby("id", sort=False):
        path = place / str(own["label"].iloc[0]) / f"{int(str(number)[1:]):03}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        own[["time", *CHANNELS]].to_csv(path, index=False)
    return place


def npz(frame: pd.DataFrame, folder: Path) -> Path:
    """(n, channels, time), NaN behind the end of the shorter ones."""
    path = folder / "arrays.npz"
    every = [own[CHANNELS].to_numpy().T for _, own in frame.groupby("id", sort=False)]
    x = np.full((len(every), len(CHANNELS), max(each.shape[1] for each in every)), np.nan)
    for number, each in enumerate(every):
        x[number, :, : each.shape[1]] = each
    np.savez(path, X=x, y=frame.groupby("id", sort=False)["label"].first().to_numpy(str))
    return path


def ts(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "walks.ts"
    lines = ["@problemName walks", "@timeStamps false", "@univariate false", "@dimensions 2", "@equalLength false"]
    lines += ["@classLabel true walk run sit", "@data"]
    for _, own in frame.groupby("id", sort=False):
        lines.append(":".join([*(",".join(map(str, own[name])) for name in CHANNELS), own["label"].iloc[0]]))
    path.write_text("\n".join(lines) + "\n")
    return path


def npy(frame: pd.DataFrame, folder: Path) -> Path:
    """X.npy with y.npy beside it."""
    with np.load(npz(frame, folder)) as arrays:
        np.save(folder / "X.npy", arrays["X"])
        np.save(folder / "y.npy", arrays["y"])
    return folder / "X.npy"


def arff(frame: pd.DataFrame, folder: Path) -> Path:
    """A relation whose rows are the channels, as the archive writes several of them; all of the shortest length."""
    path = folder / "walks.arff"
    steps = int(frame.groupby("id").size().min())
    lines = ["@relation walks", "@attribute channels relational"]
    lines += [f"  @attribute t{number} numeric" for number in range(steps)]
    lines += ["@end channels", "@attribute class {walk,run,sit}", "@data"]
    for _, own in frame.groupby("id", sort=False):
        channels = "\\n".join(",".join(map(str, own[name].iloc[:steps])) for name in CHANNELS)
        lines.append(f'"{channels}",{own["label"].iloc[0]}')
    path.write_text("\n".join(lines) + "\n")
    return path


def two_files(frame: pd.DataFrame, folder: Path) -> Path:
    """As the UCR archive has them: no header, the label first."""
    steps = int(frame.groupby("id").size().min())
    numbers = {"walk": 1, "run": 2, "sit": 3}
    rows = [[numbers[own["label"].iloc[0]], *own["x"].iloc[:steps]] for _, own in frame.groupby("id", sort=False)]
    np.savetxt(folder / "Two_TRAIN.tsv", rows[: len(rows) // 2], delimiter="\t")
    np.savetxt(folder / "Two_TEST.tsv", rows[len(rows) // 2 :], delimiter="\t")
    return folder / "Two_TRAIN.tsv"


FORMS: dict[str, Write] = {
    each.__name__: each
    for each in (
        long_csv, long_other_marks, long_tabs_gz, long_dates, long_parquet, long_excel, long_json_lines, long_json,
        melted, nested_json_lines, nested_csv, wide, folder_of_csv, npz, npy, ts,
    )
}  # fmt: skip


def sounds(folder: Path, rate: int = 8000, count: int = 6) -> Path:
    """Two classes of tones, high and low, in a folder of wav files for each."""
    place = folder / "sounds"
    rng = np.random.default_rng(0)
    for label, pitch in (("high", 900), ("low", 200)):
        (place / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            time = np.arange(int(rate * rng.uniform(0.2, 0.3))) / rate
            wave = 0.3 * np.sin(2 * np.pi * (pitch + rng.uniform(-20, 20)) * time)
            (place / label / f"{number}.wav").write_bytes(wav_file(wave.astype(np.float32), rate))
    return place
