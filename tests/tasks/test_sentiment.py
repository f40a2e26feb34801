"""Reviews: how they are read, cut into words, numbered and judged, and the bag of word pairs beside the nets."""

import gzip
import io
import json
import os
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from rnnlab.data.batches import Batch
from rnnlab.data.ragged import Ragged
from rnnlab.data.splits import split_by_class
from rnnlab.data.vocabulary import SPECIAL
from rnnlab.data.words import words
from rnnlab.datasets.reviews import CSV, FULL, SAMPLE, SAMPLE_ARCHIVE, SAMPLE_MEMBER, LabelledTexts, Reviews
from rnnlab.errors import UserError
from rnnlab.modules.gru import GRU
from rnnlab.results.files import write_json
from rnnlab.tasks.baselines.linear import logistic_regression
from rnnlab.tasks.baselines.ngrams import NGrams, nb_svm
from rnnlab.tasks.classification.sentiment.baselines import SentimentBaselines
from rnnlab.tasks.classification.sentiment.data import SentimentData
from rnnlab.tasks.classification.sentiment.figures import p_by_word
from rnnlab.tasks.classification.sentiment.judging import SentimentJudging, by_length
from rnnlab.tasks.classification.sentiment.regression.data import SentimentData as NumbersData
from tests.conftest import Run

MIRROR = os.environ.get("RNNLAB_MIRROR")

RNG = np.random.default_rng(0)

REVIEWS = [
    (" ".join(RNG.choice([f"word{number}" for number in range(40)], RNG.integers(1, 30))) + f" only{index}", index % 2)
    for index in range(200)
]
"""Forty words that all reviews draw from, and one that is each one's own."""


def table(folder: Path, reviews: list[tuple[str, int]]) -> Path:
    rows = [f'"{text}",{("neg", "pos")[label]}' for text, label in reviews]
    path = folder / "my.csv"
    path.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    return path


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., SentimentData]:
    """The task on some reviews, prepared and opened."""

    def opened(reviews: list[tuple[str, int]] = REVIEWS, **options: int) -> SentimentData:
        dataset = Reviews("reviews", "csv", path=str(table(tmp_path, reviews)))
        raw, folder = tmp_path / "raw", tmp_path / "processed"
        raw.mkdir(exist_ok=True)
        folder.mkdir(exist_ok=True)
        dataset.fetch(raw, mirror="")
        task = SentimentData("sentiment", **options)
        task.open(folder, {**task.prepare(dataset, raw, folder), "digest": ""}, seed=0)
        return task

    return opened


def texts_of(task: SentimentData, split: str) -> list[str]:
    return [" ".join(task.vocabulary.tokens[number] for number in review) for review in task.reviews[split]]


def test_words_of_the_example() -> None:
    assert words.__doc__ is not None
    text, found = words.__doc__.splitlines()[2].strip().split("    ")
    assert words(text) == found.split()


@given(st.text())
def test_words_hold_letters_and_are_words_again(text: str) -> None:
    found = words(text)
    assert all(word in ("!", "?") or any(letter.isalnum() for letter in word) for word in found)
    assert not any(letter.isspace() or letter == "_" for word in found for letter in word)
    assert words(" ".join(found)) == found


def archive(path: Path, members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            packed.addfile(info, io.BytesIO(text))
    path.write_bytes(content.getvalue())
    return content.getvalue()


def read(folder: Path, source: str) -> LabelledTexts:
    write_json(folder / "source.json", {"source": source})
    return Reviews("reviews", source).read(folder)


def test_the_sample_s_class_is_the_sign_of_its_score_and_zero_is_none(tmp_path: Path) -> None:
    """With the task's own example, word by word."""
    scored = b"1\t2.5\tThe Rock.\n2\t0\tIt is.\n3\t-0.6\tEffective but too tepid biopic\n"
    inner = archive(tmp_path / "inner.tar.gz", {SAMPLE_MEMBER: scored})
    archive(tmp_path / SAMPLE.name, {SAMPLE_ARCHIVE: inner})
    reviews = read(tmp_path, "sample")
    assert reviews.labels.tolist() == [1, 0]
    assert not reviews.is_test.any()
    assert SentimentData.__doc__ is not None
    (example,) = [line for line in SentimentData.__doc__.splitlines() if "input" in line]
    before, target = example.split("target")
    assert words(reviews.texts[1]) == before.split()[1:]
    assert reviews.labels[1] == int(target)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({SAMPLE_MEMBER: b"1\tgood\tThe Rock.\n"}, "line 1: found '1\tgood"),
        ({SAMPLE_MEMBER: b"1\t2.0\tfine\n2\t2.0\n"}, "line 2"),
        ({SAMPLE_MEMBER: b"1\t2.0\tfine\n2\t2.0\ttr\xe8s bien\n"}, "line 2: not UTF-8"),
        ({"README": b""}, "fetch again"),
    ],
)
def test_a_sample_of_another_shape_is_refused(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    inner = archive(tmp_path / "inner.tar.gz", members)
    archive(tmp_path / SAMPLE.name, {SAMPLE_ARCHIVE: inner})
    with pytest.raises(UserError, match=message):
        read(tmp_path, "sample")


IMDB = {
    f"aclImdb/{split}/{label}/{number}_{stars}.txt": f"{split} {label} {number}<br /><br />Ends.".encode()
    for split in ("train", "test")
    for label, stars in (("pos", 9), ("neg", 2))
    for number in range(3)
}


def test_both_packings_of_imdb_give_the_same_reviews_and_the_official_split(tmp_path: Path) -> None:
    published = {"aclImdb/README": b"", "aclImdb/train/unsup/0_0.txt": b"no label", **dict(reversed(IMDB.items()))}
    found = []
    for packing in (IMDB, published):
        archive(tmp_path / FULL.name, packing)
        found.append(read(tmp_path, "full"))
    one, other = found
    assert one.texts == other.texts
    assert len(one.texts) == 12
    for text, label, is_test in zip(one.texts, one.labels, one.is_test, strict=True):
        assert ("pos" in text) == bool(label)
        assert text.startswith("test") == is_test
        assert words(text)[-1] == "ends"


def test_an_archive_without_one_of_the_four_folders_is_refused(tmp_path: Path) -> None:
    archive(tmp_path / FULL.name, {name: text for name, text in IMDB.items() if "test/pos" not in name})
    with pytest.raises(UserError, match="no aclImdb/test/pos"):
        read(tmp_path, "full")


def test_a_table_s_labels_may_be_numbers_and_its_texts_may_hold_commas_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_bytes('\ufeffwho,stars,what\nme,1,"good, really\nvery good"\nyou, 0 ,bad\n'.encode())
    dataset = Reviews("reviews", "csv", path=str(path), text="what", label="stars", classes=(0, 1))  # type: ignore[arg-type]
    dataset.check()
    dataset.fetch(tmp_path, mirror="")
    reviews = dataset.read(tmp_path)
    assert reviews.texts == ["good, really\nvery good", "bad"]
    assert reviews.labels.tolist() == [1, 0]
    assert (tmp_path / CSV).exists()


ADJECTIVES = {"neg": "awful", "neutral": "plain", "pos": "lovely"}
THREE = [(f"naïve {ADJECTIVES[label]} film {number}", label) for number in range(12) for label in ADJECTIVES]
TWO = [(text, label) for text, label in THREE if label != "neutral"]


def delimited(rows: list[tuple[str, str]], separator: str = ",") -> str:
    return "\n".join(separator.join(row) for row in rows) + "\n"


def frame(rows: list[tuple[str, str]], *columns: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns))


def parquet(rows: list[tuple[str, str]]) -> bytes:
    content = io.BytesIO()
    frame(rows, "message", "category").to_parquet(content)
    return content.getvalue()


NUMBERS = {"neg": "0", "pos": "1", "neutral": "10"}
OWN: dict[str, tuple[bytes, list[str]]] = {
    "latin.csv": (delimited([("text", "label"), *TWO]).encode("latin-1"), ["neg", "pos"]),
    "semicolons.csv": (delimited([("Text ", "LABEL"), *TWO], ";").encode(), ["neg", "pos"]),
    "tabs.tsv": (delimited([("Review", "Sentiment"), *TWO], "\t").encode(), ["neg", "pos"]),
    "utf16.csv": (delimited([("text", "label"), *TWO], "\t").encode("utf-16"), ["neg", "pos"]),
    "bom.csv": (delimited([("text", "label"), *TWO]).encode("utf-8-sig"), ["neg", "pos"]),
    "capitals.csv": (
        delimited([("text", "label"), *((text, label.upper()) for text, label in TWO)]).encode(),
        ["NEG", "POS"],
    ),
    "one capital.csv": (delimited([("text", "label"), *TWO, ("one more", "Pos")]).encode(), ["neg", "pos"]),
    "numbers.csv": (
        delimited([("y", "comment"), *((NUMBERS[label], text) for text, label in THREE)]).encode(),
        ["0", "1", "10"],
    ),
    "no header.csv": (delimited(TWO).encode(), ["neg", "pos"]),
    "other names.csv": (delimited([("foo", "bar"), *TWO]).encode(), ["neg", "pos"]),
    "three.csv": (delimited([("text", "label"), *THREE]).encode(), ["neg", "neutral", "pos"]),
    "three.parquet": (parquet(THREE), ["neg", "neutral", "pos"]),
    "three.jsonl": (frame(THREE, "text", "target").to_json(orient="records", lines=True).encode(), [*ADJECTIVES]),
    "three.csv.gz": (gzip.compress(delimited([("text", "label"), *THREE]).encode()), [*ADJECTIVES]),
}


def prepared(folder: Path, **options: Any) -> SentimentData:
    dataset, task = Reviews("reviews", "sample", **options), SentimentData("sentiment")
    raw, processed = folder / "raw", folder / "processed"
    processed.mkdir()
    dataset.fetch(raw)
    task.open(processed, {**task.prepare(dataset, raw, processed), "digest": ""}, seed=0)
    return task


@pytest.mark.parametrize("name", OWN)
def test_a_table_of_one_s_own_is_prepared_at_the_first_try_and_its_classes_keep_their_names(
    name: str, tmp_path: Path
) -> None:
    content, classes = OWN[name]
    (tmp_path / name).write_bytes(content)
    task = prepared(tmp_path, path=str(tmp_path / name))
    assert (task.classes, task.spec.output_size) == (classes, len(classes))
    film = {"NEG": "awful", "POS": "lovely", "0": "awful", "1": "lovely", "10": "plain", **ADJECTIVES}
    for text, label in zip(texts_of(task, "test"), task.labels["test"], strict=True):
        assert film[classes[label]] in text


@pytest.mark.parametrize("parts", [False, True])
def test_a_folder_for_each_class_is_a_table(parts: bool, tmp_path: Path) -> None:
    for number, (text, label) in enumerate(THREE):
        part = ("test" if number < 6 else "train") if parts else ""
        path = tmp_path / "texts" / part / label / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="latin-1")
    task = prepared(tmp_path, path=str(tmp_path / "texts"))
    assert task.classes == ["neg", "neutral", "pos"]
    assert task.meta["report"]["test split"] == ("official" if parts else "drawn")
    if parts:
        assert texts_of(task, "test")[::2] == [f"naïve {word} film <unknown>" for word in ADJECTIVES.values()]


def test_a_file_and_a_column_are_official_splits(tmp_path: Path) -> None:
    frame(THREE[:24], "text", "label").to_csv(tmp_path / "train.csv")
    frame(THREE[24:], "Text", "Label").to_parquet(tmp_path / "test.parquet")
    by_file = prepared(tmp_path, path=str(tmp_path / "train.csv"), test_path=str(tmp_path / "test.parquet"))
    (tmp_path / "column").mkdir()
    parts = ["train"] * 20 + ["dev"] * 4 + ["Test"] * 12
    frame(THREE, "text", "label").assign(split=parts).to_csv(tmp_path / "all.csv", index=False)
    by_column = prepared(tmp_path / "column", path=str(tmp_path / "all.csv"))
    assert len(by_column.labels["validation"]) == 4
    for task in (by_file, by_column):
        assert task.labels["test"].tolist() == [0, 1, 2] * 4
        assert task.meta["report"]["test split"] == "official"


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "nothing": ("", {}, "is empty"),
    "header": ("text,label\n", {}, "a header and no rows"),
    "one row": ("text,label\nfine,pos\n", {}, "one label only, 'pos': two classes are needed"),
    "one class": (delimited([("text", "label"), *((text, "x") for text, _ in TWO)]), {}, "one label only, 'x'"),
    "no classes": (delimited([("text", "label"), *((text, text) for text, _ in TWO)]), {}, "24 different labels in 24"),
    "no label": (delimited([("text", "label"), *TWO, ("so", "")]), {}, "line 26: the label (column 'label') is empty"),
    "many columns": ("a,b,c\n1,2,3\n", {}, "its columns are 'a', 'b', 'c'. Name it, as task.text=NAME"),
    "no such column": (
        "text,label\nfine,pos\n",
        {"text": "txt"},
        "no column 'txt' (task.text); it has 'text', 'label'; did",
    ),
    "a part": ("text,label,split\nfine,pos,later\n", {"split": "split"}, "found 'later', one of train, validation and"),
    "only in the test part": (
        delimited([("text", "label", "split"), *((*row, "train") for row in TWO), ("so", "new", "test")]),  # type: ignore[list-item]
        {},
        "line 26: the label 'new' is in no row of the training part",
    ),
    "no test part": (
        delimited([("text", "label", "split"), *((*row, ("train", "dev")[n > 9]) for n, row in enumerate(TWO))]),  # type: ignore[list-item]
        {},
        "has a validation part and no test part",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_that_cannot_be_classified_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    content, options, said = REFUSED[name]
    (tmp_path / "my.csv").write_text(content)
    with pytest.raises(UserError) as failure:
        prepared(tmp_path, path=str(tmp_path / "my.csv"), **options)
    assert said in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_folder_with_one_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "texts/pos").mkdir(parents=True)
    (tmp_path / "texts/pos/1.txt").write_text("fine")
    with pytest.raises(
        UserError, match=r"one folder with \.txt in it, pos: a folder of such files for each class is needed"
    ):
        Reviews("reviews", "csv", path=str(tmp_path / "texts")).check()


def test_nb_svm_of_several_classes_finds_the_word_that_decides(tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text(delimited([("text", "label"), *THREE]))
    task = prepared(tmp_path, path=str(tmp_path / "my.csv"))
    judging = SentimentJudging(task)
    table = SentimentBaselines(judging).fitted()["nb_svm"]("test")
    assert judging.judge(table)["accuracy"] == 1
    assert (table["p_true"] > 1 / 3).all()


def test_no_review_is_in_two_parts_and_classes_are_shared_out_alike(opened: Callable[..., SentimentData]) -> None:
    task = opened(vocabulary=1000, longest=100)
    parts = {split: task.labels[split] for split in ("train", "validation", "test")}
    assert [len(labels) for labels in parts.values()] == [140, 20, 40]
    assert all(labels.mean() == 0.5 for labels in parts.values())
    # each review's own word is met once and so unknown: what else it holds tells it from the others
    whole = Counter(" ".join(words(text)[:-1]) + " <unknown>" for text, _ in REVIEWS)
    assert Counter(text for split in parts for text in texts_of(task, split)) == whole


def test_of_a_text_that_comes_twice_the_first_is_kept(opened: Callable[..., SentimentData]) -> None:
    task = opened([*REVIEWS, *((text, 1 - label) for text, label in REVIEWS[:50])])
    assert sum(len(task.reviews[split]) for split in ("train", "validation", "test")) == len(REVIEWS)
    notes = task.meta["report"]["notes"]
    assert "left out: 50 reviews whose text came before" in notes
    assert "of 50 texts that stand under both labels, the first label is kept" in notes
    agreeing = opened([*REVIEWS, *REVIEWS[:50]]).meta["report"]["notes"]
    assert [note for note in agreeing if note] == ["left out: 50 reviews whose text came before"]
    assert task.labels["test"].mean() == 0.5


def test_the_vocabulary_is_learnt_from_the_training_part_alone(opened: Callable[..., SentimentData]) -> None:
    training = split_by_class(np.array([label for _, label in REVIEWS]), 0.1, 0.2)["train"]
    counts = Counter(word for index in training for word in words(REVIEWS[index][0]))
    expected = sorted(counts, key=lambda word: (-counts[word], word))[:30]
    task = opened(vocabulary=30)
    assert task.vocabulary.tokens[len(SPECIAL) :] == expected
    assert task.state_dict()["vocabulary"] == task.vocabulary.tokens


def test_of_a_long_review_the_end_is_read(opened: Callable[..., SentimentData]) -> None:
    whole, cut = texts_of(opened(longest=100), "test"), texts_of(opened(longest=5), "test")
    assert cut == [" ".join(text.split()[-5:]) for text in whole]


sequences = st.lists(st.lists(st.integers(4, 8), max_size=6), min_size=1, max_size=5)


def ragged(lists: list[list[int]]) -> Ragged:
    offsets = np.cumsum([0, *map(len, lists)])
    return Ragged(np.array([number for numbers in lists for number in numbers], np.int32), offsets)


@given(sequences, sequences, st.integers(1, 3))
def test_ngrams_are_those_of_training_that_occur_often_enough(
    training: list[list[int]], others: list[list[int]], at_least: int
) -> None:
    def ngrams(numbers: list[int]) -> list[tuple[int, ...]]:
        return [tuple(numbers[start : start + n]) for n in (1, 2, 3) for start in range(len(numbers) - n + 1)]

    counts = Counter(ngram for numbers in training for ngram in ngrams(numbers))
    known = sorted(
        (ngram for ngram, count in counts.items() if count >= at_least), key=lambda ngram: (len(ngram), ngram)
    )
    expected = [[ngram in ngrams(numbers) for ngram in known] for numbers in others]
    found = NGrams(ragged(training), 9, (1, 2, 3), at_least).features(ragged(others))
    assert found.shape == (len(others), len(known))
    assert np.array_equal(found.toarray(), np.array(expected, float).reshape(found.shape))


def test_logistic_regression_gives_nothing_to_a_class_that_training_lacks() -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    y = np.arange(30) % 2
    found = logistic_regression(x[:20], y[:20], x[20:], np.where(y[20:] == 1, 2, 0), 3)(x[20:])
    assert (found[:, 2] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_nb_svm_is_logistic_regression_on_features_times_their_log_ratio() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 2, (60, 12)), rng.integers(0, 2, 60)
    parts = (slice(0, 30), slice(30, 45), slice(45, 60))
    positive, negative = (1 + x[:30][y[:30] == label].sum(axis=0) for label in (1, 0))
    ratio = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
    train, validation, test = (x[part] * ratio for part in parts)
    expected = logistic_regression(train, y[:30], validation, y[30:45], 2)(test)
    sparse_parts = [sparse.csr_matrix(x[part].astype(np.float32)) for part in parts]
    found = nb_svm(sparse_parts[0], y[:30], sparse_parts[1], y[30:45])(sparse_parts[2])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_the_baseline_finds_the_word_that_decides(opened: Callable[..., SentimentData]) -> None:
    judging = SentimentJudging(opened([(f"{text} {('awful', 'lovely')[label]}", label) for text, label in REVIEWS]))
    fitted = SentimentBaselines(judging).fitted()
    for split in ("validation", "test"):
        assert judging.judge(fitted["nb_svm"](split))["accuracy"] == 1
        assert judging.judge(fitted["naive_bayes"](split))["accuracy"] > 0.9
        assert judging.judge(fitted["frequency"](split))["nll"] == pytest.approx(np.log(2))


def numbers(path: Path) -> None:
    rows = [f"ein {word} Film {number};{value}" for number in range(20) for word, value in WORTH.items()]
    path.write_text("\n".join(["Text;Note", *rows]))


WORTH = {"mieser": "-2,5", "guter": "1", "herrlicher": "3,25"}
"""A word that says the number, which is written with a decimal comma."""


def test_a_number_that_belongs_to_a_text_is_found_and_judged_in_its_own_unit(run: Run, root: Path) -> None:
    numbers(root / "my.csv")
    words_ = ("task=sentiment", "cell=gru", f"task.path={root / 'my.csv'}", "task.label=Note", "task.kind=regression")
    short = ("trainer.max_epochs=20", "task.batch_size=4", "tracking=none")
    for command in ("train", "evaluate"):
        done = run(command, *words_, *short)
        assert done.code == 0, done.err
    (table,) = (pd.read_parquet(path) for path in root.glob("runs/sentiment/*/gru/*/evaluate/seeds/seed=0/*.parquet"))
    assert {*table["actual"]} == {-2.5, 1.0, 3.25}
    assert np.abs(table["predicted"] - table["actual"]).mean() < 0.5
    assert "ridge: test mae 0.0" in done.out
    done = run("predict", *words_, *short, "input='ein guter Film'")
    assert json.loads(done.out)["predicted"] == pytest.approx(1, abs=0.5)


@pytest.mark.parametrize("column", [None, "train test", "all three"])
def test_parts_of_texts_with_numbers(column: str | None, tmp_path: Path) -> None:
    numbers(tmp_path / "my.csv")
    table = pd.read_csv(tmp_path / "my.csv", sep=";")
    parts = {"train test": ["train"] * 48 + ["test"] * 12, "all three": ["train"] * 42 + ["dev"] * 6 + ["test"] * 12}
    if column is not None:
        table["split"] = parts[column]
    table.to_parquet(tmp_path / "my.parquet")
    dataset = Reviews("reviews", "csv", path=str(tmp_path / "my.parquet"), label="Note", kind="regression")
    dataset.fetch(tmp_path / "raw")
    task = NumbersData("sentiment", validation=0.125)
    facts = task.prepare(dataset, tmp_path / "raw", tmp_path)
    task.open(tmp_path, {**facts, "digest": ""}, seed=0)
    assert {split: len(found) for split, found in task.targets.items()} == {
        "train": 40 if column is None else 42, "validation": 8 if column is None else 6, "test": 12
    }  # fmt: skip
    training = task.target_scaler.scale(task.targets["train"][:, None])
    assert training.mean() == pytest.approx(0)
    assert training.std() == pytest.approx(1)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_what_a_net_says_after_each_word_is_what_it_says_of_the_beginning(
    opened: Callable[..., SentimentData], bidirectional: bool
) -> None:
    task = opened(longest=6)
    torch.manual_seed(0)
    net = {"_target_": "rnnlab.layouts.per_timestep.ManyToOne"}
    module = GRU("gru", task.spec.as_dict(), {}, net=net, hidden_size=8, bidirectional=bidirectional)
    module = module.double().eval()
    review = task.reviews["test"][0]
    found = p_by_word(module, review, 1)
    assert len(found) == len(review)
    for count in range(1, len(review) + 1):
        beginning = Batch(torch.from_numpy(review[:count].astype(np.int64))[None], torch.zeros(1, dtype=torch.long))
        assert found[count - 1] == pytest.approx(module(beginning).softmax(1)[0, 1].item(), abs=1e-12)


def test_buckets_of_length_hold_every_review_once() -> None:
    rng = np.random.default_rng(2)
    tables = [
        pd.DataFrame({"label": 1, "predicted": rng.integers(0, 2, 500), "length": length})
        for length in [rng.integers(1, 40, 500)] * 2
    ]
    rows = by_length(tables)
    assert rows["reviews"].sum() == 500
    assert rows["reviews"].min() > 60
    accuracy = np.mean([table["predicted"].mean() for table in tables])
    assert (rows["score"] * rows["reviews"]).sum() / 500 == pytest.approx(accuracy)
    ends = [int(number) for part in rows["part"] for number in part.split(" to ")]
    assert ends == sorted(ends)
    assert ((rows["low"] <= rows["score"]) & (rows["score"] <= rows["high"])).all()


@pytest.mark.mirror
@pytest.mark.skipif(not MIRROR, reason="RNNLAB_MIRROR names no mirror of the full data sets")
def test_imdb_from_a_mirror_trains(run: Run, root: Path) -> None:
    short = ("trainer.max_epochs=1", "trainer.limit_batches=2", "tracking=none")
    done = run("train", "task=sentiment", "task.source=full", *short, f"fetch.mirror={MIRROR}")
    assert done.code == 0, done.err
    assert "train: 22500 reviews, 50.0% positive" in done.out
    assert "test: 25000 reviews, 50.0% positive" in done.out
    assert "test split: official" in done.out
