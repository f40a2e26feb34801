"""What tracks runs: the interface of a store, which by itself tracks nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from rnnlab.results.paths import Results
from rnnlab.tracking.live import LiveRun


class Tracked(NamedTuple):
    """A finished seed in a store.

    run_id, experiment: the store's own names of the run, and of what holds all runs on its data set.
    """

    results: Results
    seed: int
    run_id: str
    experiment: str


class Tracker:
    """Tracks nothing: what `tracking=none` names. A store of another kind overrides what it can do.

    A class that conf/tracking names by `_target_` is made with the further keys of that file. Made is not opened: a
    constructor connects to nothing. `sync`, where it takes that, is whether `open` puts everything on disk into it.
    """

    def open(self) -> list[Tracked]:
        """Be ready for runs. Returns: what was put into the store meanwhile.

        Raises: `UserError` when the store cannot be reached.
        """
        return []

    @contextmanager
    def live(self, run: dict[str, Any]) -> Iterator[LiveRun]:
        """A run under way; it ends as failed or killed when the block is left by an error or a signal.

        run: the content of run.json, see `rnnlab.tracking.describe`.
        """
        yield LiveRun()

    def put(self, results: Results, seed: int, live: LiveRun | None = None) -> Tracked | None:
        """Add what the folders of a finished seed hold and the store lacks.

        Returns: the seed as the store has it; None where nothing is tracked or the store is away, which stops nothing.
        """
        return None
