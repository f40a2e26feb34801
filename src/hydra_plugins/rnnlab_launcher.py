"""Hydra's plugin: what starts the jobs of a sweep, wherever `cluster` says. Hydra looks for plugins in this package
alone, and imports them at every start."""

from collections.abc import Sequence

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class ClusterLauncher(Launcher):
    """Hands the jobs of a sweep to `rnnlab.commands.launch`."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from rnnlab.commands.launch import launch  # here: a single run has no use for it

        return launch(self.context, self.function, self.config, job_overrides, initial_job_idx)


ConfigStore.instance().store(
    group="hydra/launcher",
    name="cluster",
    node={"_target_": f"{ClusterLauncher.__module__}.{ClusterLauncher.__qualname__}"},
    provider="rnnlab",
)
