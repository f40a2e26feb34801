"""How long the training steps of a run take."""

import time


class StepClock:
    """The seconds that a run spends in training steps, and how many steps these are, also over several processes.

    From the end of a step, or the start of the epoch, to the end of the next. Validation, checkpoints and the first
    step after each start, which may have to compile a kernel, do not count.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.steps = 0
        self._since = 0.0
        self._warm = False

    @property
    def steps_per_second(self) -> float:
        """0 where no step counts."""
        return self.steps / self.seconds if self.steps else 0.0

    def start_epoch(self) -> None:
        self._since = time.perf_counter()

    def end_step(self) -> None:
        now = time.perf_counter()
        if self._warm:
            self.seconds += now - self._since
            self.steps += 1
        self._warm = True
        self._since = now
