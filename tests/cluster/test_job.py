"""How runs become jobs, and what a job leaves."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlab.cluster.job import Job, Part, dealt, jobs
from rnnlab.cluster.worker import work
from rnnlab.errors import UserError


def parts(groups: list[int]) -> list[tuple[tuple[str, ...], Part]]:
    return [
        ((f"cell={key}",), Part(f"{key}/{n}", (f"seed={n}",))) for key, size in enumerate(groups) for n in range(size)
    ]


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=8),
    st.none() | st.integers(1, 40),
    st.none() | st.integers(1, 15),
)
def test_every_run_is_in_one_job(groups: list[int], room: int | None, most: int | None) -> None:
    given = parts(groups)
    jobs = dealt(given, room, most)
    assert [part for job in jobs for part in job] == [part for _, part in given]
    assert all(len({part.label.partition("/")[0] for part in job}) == 1 for job in jobs), "a job is of one cell"
    assert most is None or max(map(len, jobs)) <= most
    assert len(jobs) >= min(room or 1, sum(groups))


def test_runs_stay_together_unless_there_is_room_for_more() -> None:
    together = parts([4, 4])
    assert dealt([], room=2) == []
    assert [len(job) for job in dealt(together)] == [4, 4]
    assert [len(job) for job in dealt(together, room=2)] == [4, 4]
    assert [len(job) for job in dealt(together, room=4)] == [2, 2, 2, 2]
    assert [len(job) for job in dealt(together, room=100)] == [1] * 8
    assert [len(job) for job in dealt(together, most=3)] == [2, 2, 2, 2]


def test_a_job_is_run_by_the_code_that_made_it_alone(root: Path) -> None:
    job = Job.make(
        "xor/gru", [Part("xor/gru seed 0", ("task=xor",)), Part("xor/gru seed 1", ("task=xor",))], payload=None
    )
    content = json.loads((job.folder / "job.json").read_text())
    (job.folder / "job.json").write_text(json.dumps({**content, "code": "0.1 (0123456789)"}))
    work(str(job.folder))
    ended = Job(job.folder).ended()
    assert {one.state for one in ended.values()} == {"failed"}
    assert len(ended) == 2
    assert "the sweep was started by 0.1 (0123456789): install the same on every host" in ended[0].message


def test_no_secret_is_written_into_a_job(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNLAB_MIRROR", "https://me:hunter2@mirror.example/data")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server.example:5000")
    job = Job.make("xor/gru", [Part("xor/gru seed 0", ("task=xor",))], payload=None)
    assert job.content["environment"] == {"MLFLOW_TRACKING_URI": "http://server.example:5000"}
    assert b"hunter2" not in b"".join(path.read_bytes() for path in job.folder.iterdir())


def test_a_damaged_job_of_an_earlier_command_hinders_no_later_one(root: Path) -> None:
    whole, cut, other = (Job.make("xor/gru", [Part(f"xor/gru seed {n}", (f"seed={n}",))], None) for n in range(3))
    (cut.folder / "job.json").write_text('{"name": ')
    (other.folder / "job.json").write_text("{}")
    assert [*jobs()] == [whole]
    (whole.folder / "outcome.json").write_text('{"host"')
    assert not whole.has_begun


def test_a_job_that_judges_runs_is_another_than_one_that_trains_them(root: Path) -> None:
    part = Part("xor/gru seed 0", ("task=xor",))
    trains, judges = Job.make("xor/gru", [part], None), Job.make("xor/gru", [part], None, "evaluate")
    assert trains.folder != judges.folder
    assert [job.does for job in (trains, judges)] == ["train", "evaluate"]


def test_a_job_that_a_host_does_not_see_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"elsewhere is not to be seen on .*: a job needs the workspace at the same path"
    ):
        work(str(tmp_path / "elsewhere"))
