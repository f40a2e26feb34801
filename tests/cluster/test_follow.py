"""What is said of jobs that end otherwise than they should."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from rnnlab.cluster import follow
from rnnlab.cluster.engine import Engine
from rnnlab.cluster.follow import Followed
from rnnlab.cluster.job import Job, Part
from rnnlab.errors import UserError


class Forgetful(Engine):
    """An engine over hosts that loses every job."""

    def open(self) -> int | None:
        return None

    def submit(self, jobs: Sequence[Job]) -> None:
        pass

    def poll(self) -> None:
        pass

    def gone(self, job: Job) -> str | None:
        return "it is no longer known"

    def cancel(self) -> None:
        pass


@pytest.fixture
def two(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    monkeypatch.setattr(follow, "UNTIL_LOST", 0.0)
    return [Job.make("xor/gru", [Part(f"xor/gru seed {n}", (f"seed={n}",))], None) for n in range(2)]


def test_a_workspace_that_no_host_sees_ends_the_sweep(two: list[Job]) -> None:
    with pytest.raises(UserError, match="is the workspace to be seen there at the same path"):
        Followed(Forgetful(), two).until_all_end()


def test_once_a_job_has_begun_the_workspace_is_seen_and_lost_jobs_are_failures(two: list[Job]) -> None:
    two[0].write_outcome({"host": "a", "attempts": 1, "parts": {}, "finished": False})
    followed = Followed(Forgetful(), two)
    followed.until_all_end()
    assert followed.counts() == {"done": 0, "running": 0, "waiting": 0, "failed": 2}
    assert [ended.message for _, _, ended in followed.failed()] == ["it is no longer known before it was done"] * 2
