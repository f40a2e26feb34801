"""What tracking costs: the same training with a live MLflow run on SQLite and with `tracking=none`, by turns.

Both with a metric every 50 steps, in one process, on one thread, from the run's beginning to its last row in the store.
Processor seconds, of all threads, are beside the seconds of the clock: they are troubled less by others on the machine.
`share` is the processor time of the thread that tracks, over that of an untracked training: the cost itself, where the
ratio of two trainings is noise.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from benchmarks.overhead import ADAM, BATCH, HIDDEN, INPUT, NET, SPEC, TIMESTEPS, batches
from benchmarks.timing import pin
from rnnlab.data.batches import Batches, Order
from rnnlab.modules.gru import GRU
from rnnlab.modules.lstm import LSTM
from rnnlab.modules.module import SequenceModule
from rnnlab.modules.rnn import RNN
from rnnlab.results.paths import CONF
from rnnlab.tracking.live import Row
from rnnlab.tracking.mlflow.store import MLflowStore
from rnnlab.tracking.recorder import Recorder
from rnnlab.tracking.tracker import Tracker
from rnnlab.training.progress import Progress
from rnnlab.training.train import make_trainer

EPOCHS = 3
ROUNDS = 5


class Timed(MLflowStore):
    """Counts the processor seconds that it takes, in whichever thread."""

    seconds = 0.0

    def _begin(self, run: dict[str, Any]) -> str:
        start = time.thread_time()
        run_id = super()._begin(run)
        self.seconds += time.thread_time() - start
        return run_id

    def log_rows(self, run_id: str, rows: list[Row]) -> None:
        start = time.thread_time()
        super().log_rows(run_id, rows)
        self.seconds += time.thread_time() - start


def train(module: SequenceModule, loader: Batches, tracker: Tracker, folder: Path) -> tuple[float, float]:
    """Seconds of the clock and of the processor."""
    now = time.time_ns()
    run = {
        "key": f"benchmark/{now}", "name": "benchmark", "task": "benchmark", "seed": 0, "folder": str(folder),
        "params": {}, "tags": {"git_commit": ""}, "started": now // 1_000_000,
        "dataset": {"name": "noise", "digest": "", "setting": ""},
    }  # fmt: skip
    changes = {"max_epochs": EPOCHS, "accelerator": "cpu"}
    options = OmegaConf.merge(OmegaConf.load(CONF / "trainer/default.yaml"), changes)
    validation = Batches(loader.take, Order(BATCH, seed=None), BATCH)
    clock, processor = time.perf_counter(), time.process_time()
    with tracker.live(run) as live:
        recorder = Recorder(live.send)
        make_trainer(options, recorder, folder, [Progress("benchmark")]).fit(module, loader, validation)
        recorder.flush()
    return time.perf_counter() - clock, time.process_time() - processor


def compare(module_class: type[SequenceModule], name: str) -> dict[str, Any]:
    loader = batches()
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RNNLAB_ROOT"] = folder
        store = Timed(f"sqlite:///{folder}/mlflow.db")
        trackers: tuple[Tracker, Tracker] = (store, Tracker())
        for index in range(ROUNDS + 1):
            taken = {}
            for tracker in trackers if index % 2 else trackers[::-1]:
                module = module_class(name=name, spec=SPEC.as_dict(), optimizer=ADAM, net=NET, hidden_size=HIDDEN)
                taken[tracker] = train(module, loader, tracker, Path(folder))
            if index > 0:  # the first round warms both up
                rounds.append([taken[tracker] for tracker in trackers])
            else:
                store.seconds = 0.0
    row: dict[str, Any] = {"cell": name, "steps": EPOCHS * len(loader)}
    for index, kind in enumerate(("clock", "processor")):
        ratios = [tracked[index] / untracked[index] for tracked, untracked in rounds]
        row[f"{kind}_seconds"] = round(statistics.median(untracked[index] for _, untracked in rounds), 3)
        row[f"{kind}_ratio_median"] = round(statistics.median(ratios), 4)
        row[f"{kind}_ratio_min"], row[f"{kind}_ratio_max"] = round(min(ratios), 4), round(max(ratios), 4)
    row["share"] = round(store.seconds / sum(untracked[1] for _, untracked in rounds), 4)
    shape = {"batch": BATCH, "timesteps": TIMESTEPS, "input_size": INPUT, "hidden_size": HIDDEN}
    return row | shape | {"threads": 1, "load": os.getloadavg()[0]}


def measure(cells: list[str]) -> Iterator[dict[str, Any]]:
    pin(1)
    for name, module_class in {"rnn": RNN, "lstm": LSTM, "gru": GRU}.items():
        if not cells or name in cells:
            row = compare(module_class, name)
            ratios = ", ".join(f"{kind} {row[f'{kind}_ratio_median']}" for kind in ("clock", "processor"))
            print(
                f"{name}: tracked over untracked: {ratios}; share of the thread that tracks {row['share']}", flush=True
            )
            yield row
