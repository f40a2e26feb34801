"""Surnames: read out of a source that is never run, each once, none of two classes; and how they are judged."""

import hashlib
import io
import json
import os
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from rnnlab.data.splits import split_by_class
from rnnlab.data.vocabulary import END, SPECIAL, START
from rnnlab.datasets import surnames
from rnnlab.datasets.surnames import MIRRORED, NATIONALITIES, Surnames, _distinct, _last_names
from rnnlab.errors import UserError
from rnnlab.results.files import write_json
from rnnlab.tasks.classification.judging import f1_by_class
from rnnlab.tasks.classification.names.baselines import NamesBaselines, _with_ends
from rnnlab.tasks.classification.names.data import NamesData
from rnnlab.tasks.classification.names.figures import NamesFigures
from rnnlab.tasks.classification.names.judging import NamesJudging
from rnnlab.tasks.task import Split

MIRROR = os.environ.get("RNNLAB_MIRROR")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fetched sample."""
    raw = tmp_path_factory.mktemp("raw")
    Surnames("names", "sample").fetch(raw, mirror="")
    return raw


@pytest.fixture
def opened(sample: Path, tmp_path: Path) -> Callable[..., NamesData]:
    def opened(**options: int) -> NamesData:
        task = NamesData("names", **options)
        facts = task.prepare(Surnames("names", "sample"), sample, tmp_path)
        task.open(tmp_path, {**facts, "digest": ""}, seed=0)
        return task

    return opened


def test_the_example_of_the_task_is_true(sample: Path) -> None:
    assert NamesData.__doc__ is not None
    (example,) = [line for line in NamesData.__doc__.splitlines() if "input" in line]
    before, target = example.split("target")
    found = Surnames("names", "sample").read(sample)
    name = found.names.index("".join(before.split()[1:]))
    assert found.classes[found.labels[name]] == target.strip()


def test_the_sample_holds_each_name_once_and_at_least_a_hundred_of_each_class(sample: Path) -> None:
    found = Surnames("names", "sample").read(sample)
    assert len(found.names) == len(set(found.names)) == 22591
    assert np.bincount(found.labels).min() > 100
    assert len(found.classes) == 23


def test_names_are_read_out_of_a_source_that_is_never_run() -> None:
    source = """
raise SystemExit
class Provider(PersonProvider):
    formats = ("{{last_names}}",)
    first_names = ("Jan",)
    last_names_male = ("Novák", "Svoboda")
    last_names_female: Tuple[str, ...] = ["Nováková"]
    last_names_weighted = OrderedDict((("Smith", 1.2), ("Jones", 0.7)))
    last_names_counted = OrderedDict({"Brown": 3})
    last_names = last_names_male + last_names_female
"""
    found = list(_last_names(source.encode(), "place"))
    assert found == ["Novák", "Svoboda", "Nováková", "Smith", "Jones", "Brown"]


lists = st.dictionaries(
    st.sampled_from("ABC"),
    st.lists(st.sampled_from(["li", "Lee", "lee", "O'Hara", "O’Hara", "李", "a1", "ng"])),
    min_size=1,
)


@given(lists)
def test_a_name_of_two_classes_is_in_none_and_every_other_in_its_own(lists: dict[str, list[str]]) -> None:
    found = _distinct(lists)
    plain = {label: {name.lower().replace("’", "'") for name in names} for label, names in lists.items()}
    for name in ("li", "lee", "o'hara", "ng"):
        owners = [label for label in plain if name in plain[label]]
        if len(owners) == 1:
            assert found.classes[found.labels[found.names.index(name)]] == owners[0]
        else:
            assert name not in found.names
    assert "李" not in found.names
    assert "a1" not in found.names
    left_out = sum(int(note.split()[2]) for note in found.notes)
    assert left_out + len(found.names) == sum(map(len, lists.values()))


def test_parts_share_no_name_and_the_letters_are_those_of_training(
    opened: Callable[..., NamesData], sample: Path
) -> None:
    task = opened()
    whole = Surnames("names", "sample").read(sample)
    splits = split_by_class(whole.labels, 0.1, 0.2)
    names = {split: [whole.names[index] for index in indices] for split, indices in splits.items()}
    assert not set(names["train"]) & set(names["test"])
    counts = Counter("".join(names["train"]))
    assert set(task.vocabulary.tokens[len(SPECIAL) :]) == {letter for letter in counts if counts[letter] > 1}
    written = NamesJudging(task).columns("test")["name"]
    assert all("<unknown>" in found or found == name for found, name in zip(written, names["test"], strict=True))
    assert json.loads(json.dumps(task.state_dict()))["classes"] == whole.classes


def test_at_most_so_many_names_are_drawn_of_each_class(opened: Callable[..., NamesData]) -> None:
    task = opened(per_class=50)
    counts = sum(np.bincount(task.labels[split], minlength=23) for split in ("train", "validation", "test"))
    assert counts.tolist() == [50] * 23


def test_the_ends_of_a_name_are_letters_to_the_baseline(opened: Callable[..., NamesData]) -> None:
    names = opened(per_class=20).names["test"]
    marked = _with_ends(names)
    for index in range(len(names)):
        assert marked[index].tolist() == [START, *names[index], END]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_metric_is_scikit_learn_s_and_the_mean_of_the_losses(
    opened: Callable[..., NamesData], split: Split
) -> None:
    task = opened(per_class=30)
    judging = NamesJudging(task)
    rng = np.random.default_rng(0)
    table = judging.table(rng.dirichlet(np.ones(len(task.classes)), len(task.labels[split])), split)
    label, predicted = table["label"], table["predicted"]
    metric = judging.judge(table)["macro_f1"]
    assert metric == pytest.approx(f1_score(label, predicted, average="macro"))
    assert judging.losses(table).mean() == pytest.approx(1 - metric, abs=1e-12)
    rows = judging.plot_rows([table, table])
    assert rows["score"].mean() == pytest.approx(judging.judge(table)["macro_f1"])
    assert rows["names"].sum() == len(table)


class FourClasses(NamesJudging):
    def __init__(self) -> None:
        self.task = SimpleNamespace(classes=list("abcd"))  # type: ignore[assignment]


def answers(rng: np.random.Generator, size: int, right: float) -> pd.DataFrame:
    """Of four classes of unlike sizes, the last hardly ever met or named."""
    label = rng.choice(4, size, p=[0.6, 0.28, 0.1, 0.02])
    return pd.DataFrame(
        {"label": label, "predicted": np.where(rng.random(size) < right, label, rng.integers(3, size=size))}
    )


def test_the_standard_error_of_macro_f1_is_that_of_its_losses() -> None:
    """Against the bootstrap, of one method and of the difference of two on the same names."""
    rng, judging = np.random.default_rng(0), FourClasses()
    one = answers(rng, 3000, 0.7)
    other = one.assign(predicted=np.where(rng.random(3000) < 0.1, one["label"], one["predicted"]))
    losses = judging.losses(one), judging.losses(other)
    for drawn, expected in ((one, losses[0]), (other, losses[1])):
        assert expected.mean() == pytest.approx(1 - f1_by_class(drawn, 4).mean(), abs=1e-12)
    chosen = rng.integers(3000, size=(1000, 3000))
    scores = np.array([[f1_by_class(table.iloc[rows], 4).mean() for table in (one, other)] for rows in chosen])
    assert losses[0].std() / np.sqrt(3000) == pytest.approx(scores[:, 0].std(), rel=0.1)
    assert (losses[1] - losses[0]).std() / np.sqrt(3000) == pytest.approx((scores[:, 1] - scores[:, 0]).std(), rel=0.1)


def test_a_class_never_met_or_named_has_an_f1_of_nothing() -> None:
    table = pd.DataFrame({"label": [0, 0, 1], "predicted": [0, 1, 1]})
    assert FourClasses().losses(table).mean() == pytest.approx(1 - (2 / 3 + 2 / 3) / 4)


@pytest.mark.filterwarnings("error")
def test_the_baseline_is_far_better_than_chance(opened: Callable[..., NamesData]) -> None:
    judging = NamesJudging(opened(per_class=60))
    fitted = NamesBaselines(judging).fitted()
    metrics = {name: judging.judge(predict("test"))["macro_f1"] for name, predict in fitted.items()}
    assert metrics["ngrams"] > 0.3
    assert metrics["svm"] > 0.3
    assert metrics["frequency"] < 0.05


def test_every_class_is_in_the_confusion_matrix(opened: Callable[..., NamesData]) -> None:
    task = opened(per_class=20)
    judging = NamesJudging(task)
    table = judging.table(np.full((len(task.labels["test"]), 23), 1 / 23))
    axes = NamesFigures(judging).figures([table], "rnn")["confusion"].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == task.classes


LISTS = {name: f"{name}\nÉmile\nTo{name}\n".encode() for name in NATIONALITIES}


def test_the_archive_of_a_mirror_and_the_files_of_the_repository_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, mirror = tmp_path / "repository", tmp_path / "mirror" / "names"
    repository.mkdir()
    mirror.mkdir(parents=True)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        for name, text in LISTS.items():
            (repository / f"{name}.txt").write_bytes(text)
            info = tarfile.TarInfo(f"names/{name}.txt")
            info.size = len(text)
            packed.addfile(info, io.BytesIO(text))
    (mirror / MIRRORED.name).write_bytes(content.getvalue())
    digests = {name: hashlib.sha256(text).hexdigest() for name, text in LISTS.items()}
    packed_digest = hashlib.sha256(content.getvalue()).hexdigest()
    monkeypatch.setattr(surnames, "NATIONALITIES", digests)
    monkeypatch.setattr(surnames, "ADDRESS", f"{repository}/")
    monkeypatch.setattr(surnames, "MIRRORED", surnames.File(MIRRORED.name, (packed_digest,)))
    found = []
    for place in (str(mirror.parent), ""):
        raw = tmp_path / f"raw{len(found)}"
        raw.mkdir()
        dataset = Surnames("names", "full")
        dataset.fetch(raw, place)
        found.append(dataset.read(raw))
        assert (raw / MIRRORED.name).exists() == bool(place)
    assert found[0].names == found[1].names
    assert np.array_equal(found[0].labels, found[1].labels)
    assert found[0].classes == found[1].classes
    assert len(found[0].classes) == 17, "English and Scottish are one"
    assert len(found[0].names) == 36, "Émile is of all of them"


@pytest.mark.parametrize(
    ("content", "message"), [(b"Andr\xe9", "Greek.txt: not UTF-8"), (b"", "no names of the class Greek")]
)
def test_a_list_of_another_kind_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    for name, text in {**LISTS, "Greek": content}.items():
        (tmp_path / f"{name}.txt").write_bytes(text)
    write_json(tmp_path / "source.json", {"source": "full"})
    with pytest.raises(UserError, match=message):
        Surnames("names", "full").read(tmp_path)


OWN = [(f"{stem}{end}{number}", kind) for number in "abcdefghi" for stem in ("alt", "иван") for kind, end in
       (("Norse", "son"), ("Slavic", "ов"))]  # fmt: skip


def of_own(folder: Path, content: str, **options: Any) -> NamesData:
    path = folder / "my.csv"
    path.write_text(content)
    dataset, task = Surnames("names", "sample", path=str(path), **options), NamesData("names")
    (folder / "processed").mkdir()
    dataset.check()
    dataset.fetch(folder / "raw")
    task.open(folder / "processed", {**task.prepare(dataset, folder / "raw", folder / "processed"), "digest": ""}, 0)
    return task


@pytest.mark.parametrize(
    ("header", "mark"), [("name,label", ","), ("Country;Surname", ";"), ("", "\t"), ("this|that", "|")]
)
def test_names_of_one_s_own_are_read_from_two_columns(header: str, mark: str, tmp_path: Path) -> None:
    rows = [mark.join((kind, name) if "Country" in header else (name, kind)) for name, kind in OWN]
    task = of_own(tmp_path, "\n".join([*([header] if header else []), *rows]))
    assert task.classes == ["Norse", "Slavic"]
    parts: tuple[Split, ...] = ("train", "validation", "test")
    for split in parts:
        for index, label in enumerate(task.labels[split]):
            text = "".join(task.vocabulary.decode(task.names[split][index]))
            assert ("son" if label == 0 else "ов") in text


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ("", {}, "is empty"),
        ("name,label\n", {}, "a header and no rows"),
        ("name,label\nkowal,Polish\n", {}, "one label only, 'Polish'"),
        ("name,label\nkowal,Polish\nkowal,Czech\n", {}, "the class Czech has no name that is of no other class"),
        ("a,b,c\nkowal,Polish,1\n", {}, "Name it, as task.text=NAME"),
        ("name,label\nkowal,Polish\n", {"label": "Land"}, "no column 'Land' (task.label)"),
    ],
)
def test_a_table_that_names_no_classes_is_refused_in_one_line(
    content: str, options: dict[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as failure:
        of_own(tmp_path, content, **options)
    assert said in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.mirror
@pytest.mark.skipif(not MIRROR, reason="RNNLAB_MIRROR names no mirror of the full data sets")
def test_the_full_set_of_a_mirror_is_read(tmp_path: Path) -> None:
    dataset = Surnames("names", "full")
    dataset.fetch(tmp_path, MIRROR)
    found = dataset.read(tmp_path)
    assert len(found.names) == 17064
    assert found.classes[found.labels[found.names.index("nguyen")]] == "Vietnamese"
