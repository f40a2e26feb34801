"""The jobs of a sweep as tasks of Ray, on whichever of its hosts has room."""

import logging
import os
import socket
from typing import Annotated, Any

from rnnlab.arguments import Positive, PositiveNumber, Range
from rnnlab.cluster.engine import Engine
from rnnlab.cluster.job import Job
from rnnlab.cluster.worker import work
from rnnlab.errors import UserError
from rnnlab.extras import require

PATIENCE = 20.0
"""Seconds that tasks which are to end have for it."""

NO_CLUSTER = (
    "cluster.address={address}: there is no Ray cluster to be reached ({reason}). Start one with `ray start --head`, "
    "and `ray start --address=<head>` on its other hosts; or take this host alone: cluster.address=local."
)


class Ray(Engine):
    """Ray Core: each job a remote function, given back by Ray itself when its process or its host dies.

    address: as in conf/cluster/ray.yaml. cores, gpus, memory_gb: what Ray keeps free for each job. attempts: at a job.
    """

    name = "ray"

    def __init__(
        self,
        address: str = "auto",
        workers: Positive | None = None,
        cores: Positive = 1,
        memory_gb: PositiveNumber | None = None,
        gpus: Annotated[float, Range(at_least=0)] = 0,
        attempts: Positive = 10,
        runs_per_job: Positive | None = None,
        evaluate: bool = False,
        detach: bool = False,
    ) -> None:
        super().__init__(workers, runs_per_job, evaluate, detach)
        self.address = address
        memory = None if memory_gb is None else int(memory_gb * 2**30)
        self._options: dict[str, Any] = {"num_cpus": cores, "num_gpus": gpus, "memory": memory}
        self._options["max_retries"] = attempts - 1
        self._ray: Any = None
        self._running: dict[Any, Job] = {}

    def open(self) -> int | None:
        require("ray", "cluster=ray", "ray")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report home
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else a job without GPUs is warned of that
        self._check_address()
        import ray

        try:
            ray.init(
                address=self.address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                include_dashboard=False if self.address == "local" else None,
            )
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(NO_CLUSTER.format(address=self.address, reason=reason)) from None
        self._ray = ray
        self._task = ray.remote(work)
        hosts = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        for key, needed, resource, unit in (
            ("cores", self._options["num_cpus"], "CPU", 1),
            ("gpus", self._options["num_gpus"], "GPU", 1),
            ("memory_gb", self._options["memory"] or 0, "memory", 2**30),
        ):
            largest = max((host.get(resource, 0.0) for host in hosts), default=0.0)
            if needed > largest:
                self.close()
                raise UserError(
                    f"cluster.{key}={needed / unit:.4g}: no host of the Ray cluster has more than {largest / unit:.4g}."
                )
        room = int(ray.cluster_resources().get("CPU", 0) // self._options["num_cpus"])
        return room if self.workers is None else min(room, self.workers)

    def _check_address(self) -> None:
        """Whether anything listens at a head's host and port: Ray itself would try for minutes."""
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdigit():
            return
        try:
            socket.create_connection((host.removeprefix("ray://"), int(port)), timeout=10).close()
        except (OSError, OverflowError) as error:
            raise UserError(NO_CLUSTER.format(address=self.address, reason=error)) from None

    def poll(self) -> None:
        ended, _ = (
            self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
            if self._running
            else ([], [])
        )
        for reference in ended:
            job = self._running.pop(reference)
            try:
                self._ray.get(reference)
                self._gone[job] = "it ended"
            except self._ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None) or error
                self._gone[job] = f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]}"
        while self._waiting and (self.workers is None or len(self._running) < self.workers):
            job = self._waiting.pop(0)
            reference = self._task.options(**self._options, name=job.name).remote(str(job.folder))
            self._running[reference] = job

    def cancel(self) -> None:
        self._waiting.clear()
        for reference in self._running:
            self._ray.cancel(reference, force=False)
        if self._running:
            self._ray.wait(list(self._running), num_returns=len(self._running), timeout=PATIENCE)
        self.close()

    def close(self) -> None:
        """Ray itself ends the tasks of a process that lets go of it."""
        if self._ray is not None:
            self._ray.shutdown()
