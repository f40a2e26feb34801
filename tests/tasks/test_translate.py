"""Translation: what its texts mean, what they are split by, and what is said of what was written."""

import gzip
import itertools
import json
import os
import re
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from babel.dates import format_date
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig

from rnnlab.config.stages import compose_task
from rnnlab.data.vocabulary import END, IGNORED, PADDING, UNKNOWN
from rnnlab.datasets.dates import DAYS, FIRST, FORMATS, Dates
from rnnlab.datasets.language_names import LanguageNames
from rnnlab.datasets.multi30k import SHA256, SPLITS, Multi30k
from rnnlab.datasets.paired_texts import Pairs
from rnnlab.datasets.pairs import Translations
from rnnlab.errors import UserError
from rnnlab.modules.build import build_module
from rnnlab.tasks.task import Task
from rnnlab.tasks.transduction.data import MEASURES, read_texts, write_texts
from rnnlab.tasks.transduction.judging import TransductionJudging, by_length
from rnnlab.tasks.transduction.translate.baselines import dictionary, most_alike
from rnnlab.tasks.transduction.translate.data import TOKEN, TranslateData
from rnnlab.tasks.transduction.translate.judging import TranslateJudging
from rnnlab.tasks.transduction.translate.templates import templates
from rnnlab.training.prepare import open_task
from tests.conftest import Run
from tests.tasks.parts import baselines_of, figures_of, judging_of

LOCALES = tuple(compose_task("translate").task.locales)
SMALL = ("task.examples=240", "task.locales=[de_DE,en_US]")
MIRROR = os.environ.get("RNNLAB_MIRROR")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """opened(*overrides): the config and the task of a few dates."""
    root = tmp_path_factory.mktemp("translate")

    def opened(*overrides: str) -> tuple[DictConfig, Task]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RNNLAB_ROOT", str(root))
            cfg = compose_task("translate", *SMALL, *overrides)
            return cfg, open_task(cfg, 0)

    return opened


def read(dataset: Dates, folder: Path) -> Pairs:
    dataset.fetch(folder)
    return dataset.read(folder)


# dates


def test_the_examples_of_dates_are_true() -> None:
    assert Dates.__doc__ is not None
    found = re.findall(r"^ {8}(\w+) (.+?) {2,}(\d{4}-\d\d-\d\d)$", Dates.__doc__, re.MULTILINE)
    assert len(found) == 3
    for locale, text, iso in found:
        assert text in {format_date(date.fromisoformat(iso), kind, locale) for kind in FORMATS}


def test_no_text_means_two_days() -> None:
    """Day, month and the year's two digits may trade places where none is above 12; else only the century may."""
    confusable = [date(2000 + year, month, day) for year, month, day in itertools.product(range(1, 13), repeat=3)]
    centuries = [date(year, 3, 4) for year in range(1950, 2050)]
    assert centuries[0].replace(month=1, day=1) == FIRST
    assert FIRST + timedelta(days=DAYS - 1) == date(2049, 12, 31)
    for locale in LOCALES:
        for days in (confusable, centuries):
            meaning: dict[str, date] = {}
            for day in days:
                for kind in FORMATS:
                    assert meaning.setdefault(format_date(day, kind, locale), day) == day, locale


def test_drawn_dates_say_what_they_mean_and_are_the_same_each_time(tmp_path: Path) -> None:
    dataset = Dates(locales=["en_GB", "hu_HU"], examples=400)
    pairs = read(dataset, tmp_path)
    assert pairs == dataset.read(tmp_path)
    for source, target, kind in zip(pairs.sources, pairs.targets, pairs.kinds or [], strict=True):
        locale, _, text = source.partition(" ")
        assert locale == kind
        assert text in {format_date(date.fromisoformat(target), kind, locale) for kind in FORMATS}
    years = {int(target[:4]) for target in pairs.targets}
    assert min(years) >= 1950
    assert max(years) <= 2049
    assert set(pairs.kinds or []) == {"en_GB", "hu_HU"}


def test_more_examples_begin_with_the_locales_asked_for() -> None:
    latin = Dates(locales="latin").fingerprint()["locales"]
    everything = Dates(locales="all").fingerprint()["locales"]
    assert {"de_DE", "en_US", "vi_VN", "sr_Latn_RS"} <= set(latin) < set(everything)
    assert not {"ru_RU", "ja_JP", "sr_RS", "sr_Cyrl_RS", "zh_Hans_CN", "ar_EG", "hi_IN"} & set(latin)
    assert {"ru_RU", "ja_JP", "root"} & set(everything) == {"ru_RU", "ja_JP"}


@pytest.mark.parametrize("name", ["locales", "examples"])
def test_what_is_drawn_decides_the_fingerprint(name: str) -> None:
    options: dict[str, Any] = {"locales": ["en_GB"], "examples": 10}
    other = {"locales": ["en_GB", "en_US"], "examples": 11}
    assert Dates(**options).fingerprint() != Dates(**{**options, name: other[name]}).fingerprint()


# the task


def test_no_day_is_in_two_splits(small: Any) -> None:
    _, task = small()
    days = [set(task.texts(split)[1]) for split in ("train", "validation", "test")]
    assert all(days)
    assert not any(one & other for one, other in itertools.combinations(days, 2))
    assert sum(len(task.texts(split)[1]) for split in ("train", "validation", "test")) == 240


def test_batches_hold_the_texts(small: Any) -> None:
    cfg, task = small("task.batch_size=7")
    judging = judging_of(cfg, task)
    sources, targets = task.texts("validation")
    letters = task.meta["vocabularies"]
    loader = task.loader("validation")
    positions = iter(loader.positions().tolist())
    for batch in loader:
        for row, length in enumerate(batch.lengths.tolist()):
            index = next(positions)
            read = batch.inputs[row].tolist()
            assert "".join(letters[0][number] for number in read[:length]) == sources[index]
            assert set(read[length:]) <= {PADDING}
            wanted = batch.targets[row].tolist()
            end = wanted.index(END) + 1
            assert judging.text(wanted[:end]) == targets[index]
            assert set(wanted[end:]) <= {IGNORED}


class TenPairs(Translations):
    """Sentences by hand, with splits of their own."""

    def read(self, folder: Path) -> Pairs:
        sources = ["Der Hund rennt.", "der Hund schläft!", "Ein Hund", "die Katze rennt", "ein Vogel"]
        targets = ["The dog runs.", "the dog's asleep!", "A dog", "the cat runs", "a bird"]
        return Pairs(sources, targets, sources, splits=np.array([0, 0, 0, 1, 2], np.int8))


def test_words_are_counted_in_training_alone(tmp_path: Path) -> None:
    task = TranslateData("translate", source="multi30k", at_least=2)
    facts = task.prepare(TenPairs("ten", "multi30k"), tmp_path, tmp_path)
    assert [found[UNKNOWN + 1 :] for found in facts["vocabularies"]] == [["hund", "der"], ["dog", "the"]]
    assert facts["longest"] == 5
    assert facts["report"]["splits"] == "official"
    json.dumps(facts)
    task.open(tmp_path, {**facts, "digest": ""}, seed=0)
    assert task.texts("train")[1] == ["the dog runs .", "the dog's asleep !", "a dog"]
    batch = task.loader("test").take(torch.tensor([0]))
    assert batch.inputs.tolist() == [[UNKNOWN, UNKNOWN]]
    assert batch.targets.tolist() == [[UNKNOWN, UNKNOWN, END]]
    assert (task.spec.rank_by, task.spec.metrics["bleu"]) == ("bleu", "max")


@pytest.mark.parametrize("beam", [1, 3])
def test_what_is_written_stands_beside_its_own_source(small: Any, beam: int) -> None:
    """Whatever the batches are, which have the sources in the order of their lengths."""
    tables = []
    for size in (7, 240):
        cfg, task = small(f"task.batch_size={size}", f"task.beam={beam}", "cell=gru", "cell.hidden_size=8")
        torch.manual_seed(0)
        module = build_module(cfg, task)
        with torch.no_grad():
            module.net.decoder.head.weight *= 20  # so that the texts differ
        tables.append(judging_of(cfg, task).predict(module))
    assert tables[0]["written"].nunique() > 3
    pd.testing.assert_frame_equal(*tables)
    assert tables[0]["source"].tolist() == task.texts("test")[0]
    assert tables[0]["written"].str.len().max() <= task.longest


@pytest.mark.parametrize("attention", ["none", "luong", "bahdanau"])
def test_attention_is_drawn_where_there_is_any(small: Any, attention: str) -> None:
    cfg, task = small(f"task.net.attention={attention}", "cell=gru", "cell.hidden_size=8")
    figures = figures_of(cfg, task).inspect(build_module(cfg, task))
    assert list(figures) == ([] if attention == "none" else ["attention"])
    for figure in figures.values():
        for axes in figure.axes:
            assert "".join(label.get_text() for label in axes.get_xticklabels()) in task.texts("test")[0]


def test_a_net_learns_and_shows_it(run: Run, root: Path) -> None:
    """From nothing to better than the baselines in some seconds, with all that is kept of it."""
    command = ("task=translate", "task.locales=[sv_SE]", "task.examples=1200", "task.batch_size=32", "cell=gru")
    command = (*command, "trainer.max_epochs=8", "cell.hidden_size=48", "optimizer.lr=0.01", "tracking=none")
    assert run("train", *command).code == 0
    assert run("evaluate", *command).code == 0
    (folder,) = root.glob("runs/translate/*/gru/*/evaluate/seeds/seed=0")
    assert json.loads((folder / "metrics.json").read_text())["exact_match"] > 0.5
    (baseline,) = root.glob("runs/translate/*/baselines/dictionary/metrics.json")
    assert json.loads(baseline.read_text())["exact_match"] < 0.5
    kept = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert {"parts.png", "written.png", "look/attention.png"} <= kept
    samples = (folder / "samples" / "written.txt").read_text()
    assert samples.count("source     sv_SE ") == samples.count("reference  ") == samples.count("written    ") == 12


# baselines


@given(st.lists(st.tuples(st.text("abc ", max_size=8), st.text("xyz ", max_size=8)), min_size=1, max_size=9))
@settings(max_examples=60, deadline=None)
def test_the_dictionary_is_dice_s(pairs: list[tuple[str, str]]) -> None:
    sources, targets = ["a", *(source for source, _ in pairs)], ["x", *(target for _, target in pairs)]
    lookup = dictionary(sources, targets)
    words = [(set(source.split()), set(target.split())) for source, target in zip(sources, targets, strict=True)]
    of_source = Counter(word for read, _ in words for word in read)
    of_target = Counter(word for _, written in words for word in written)
    together = Counter(pair for read, written in words for pair in itertools.product(read, written))
    for word in of_source:
        scores = {
            other: (2 * count / (of_source[one] + of_target[other]), of_target[other])
            for (one, other), count in together.items()
            if one == word
        }
        if scores:
            assert scores[lookup(word)] == max(scores.values())
        else:
            assert lookup(word) == word
    assert lookup("never read") == "never read"


@given(st.lists(st.text("abcd", min_size=1, max_size=6), min_size=1, max_size=12, unique=True))
@settings(max_examples=40, deadline=None)
def test_a_known_text_is_most_like_itself(texts: list[str]) -> None:
    assert most_alike(texts)(texts[::-1]).tolist() == list(range(len(texts)))[::-1]


def test_templates_find_out_where_year_month_and_day_stand() -> None:
    known = {
        "en_GB 04/03/2019": "2019-03-04",
        "en_GB 25/12/2001": "2001-12-25",
        "en_US 3/4/19": "2019-03-04",
        "en_US 12/25/31": "2031-12-25",
        "en_US Monday, March 4, 2019": "2019-03-04",
        "en_US Monday, April 8, 2019": "2019-04-08",
        "en_US Friday, March 1, 1957": "1957-03-01",
        "ar_EG ٤ مارس ٢٠١٩": "2019-03-04",
    }
    translate = templates(list(known), list(known.values()))
    assert {source: translate(source) for source in known} == known
    assert translate("en_GB 07/06/1988") == "1988-06-07"
    assert translate("en_US 7/6/31") == "2031-07-06"
    assert translate("en_US Friday, April 5, 2041") == "2041-04-05"
    assert translate("ar_EG ٧ مارس ٢٠٢٠") == "2020-03-07"
    assert translate("en_US 2041.4.5") == "", "of a shape that was never seen nothing is known"
    assert translate("pt_PT 07/06/1988") == "1988-06-07", "of an unknown locale, as in all others"


def test_baselines_know_training_alone(small: Any) -> None:
    cfg, task = small()
    baselines = baselines_of(cfg, task)
    fitted = baselines.fitted()
    tables = {name: predict("test") for name, predict in fitted.items()}
    assert set(tables) == {"templates", "dictionary", "copy", "nearest"}
    assert set(tables["nearest"]["written"]) <= set(task.texts("train")[1])
    assert tables["copy"]["written"].tolist() == [text.partition(" ")[2] for text in task.texts("test")[0]]
    assert baselines.judging.judge(tables["nearest"])["exact_match"] == 0, "no day of the test split occurs in training"
    copied = fitted["copy"]("validation")
    assert copied["reference"].tolist() == task.texts("validation")[1]
    assert copied["kind"].tolist() == [text.partition(" ")[0] for text in task.texts("validation")[0]]


def test_the_texts_of_one_day_are_one_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of twenty days, each many times in each part."""
    monkeypatch.setattr("rnnlab.datasets.dates.DAYS", 20)
    task = TranslateData("translate", validation=0.3, test=0.3)
    dataset = Translations("translations", "dates", locales=["de_DE", "en_US"], examples=240)
    dataset.fetch(tmp_path)
    task.open(tmp_path, {**task.prepare(dataset, tmp_path, tmp_path), "digest": ""}, seed=0)
    judging = TranslateJudging(task)
    assert task.spec.unit == "day"
    for split in ("validation", "test"):
        references = task.texts(split)[1]
        rng = np.random.default_rng(0)
        wrong = rng.random(len(references)) < 0.4
        table = judging.table(["" if bad else true for bad, true in zip(wrong, references, strict=True)], split)
        days, of_day = np.unique(references, return_inverse=True)
        assert len(days) == 6 < len(references)
        errors, sizes = np.bincount(of_day, wrong), np.bincount(of_day)
        rate = wrong.mean()
        assert judging.losses(table) == pytest.approx(rate + (errors - rate * sizes) / sizes.mean())
        assert judging.losses(table).mean() == pytest.approx(1 - judging.judge(table)["exact_match"])


# what is said of written texts


def judging_by(measures: tuple[str, ...], separator: str) -> TransductionJudging:
    """What all tasks share, of texts that no task has."""
    task = TranslateData("texts")
    task.measures, task.separator = measures, separator
    return TransductionJudging(task)


def table(pairs: list[tuple[str, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(pairs, columns=["reference", "written"])
    return frame.assign(source=frame["reference"])


def distance(one: str | list[str], other: str | list[str]) -> int:
    """Levenshtein's, by its recursion."""
    if not one or not other:
        return len(one) + len(other)
    return min(
        distance(one[1:], other) + 1,
        distance(one, other[1:]) + 1,
        distance(one[1:], other[1:]) + (one[0] != other[0]),
    )


WORDS = st.lists(st.sampled_from(["a", "bb", "c"]), min_size=1, max_size=4).map(" ".join)


@given(st.lists(st.tuples(WORDS, WORDS | st.just("")), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_error_rates_and_exact_matches_are_those_of_their_definitions(pairs: list[tuple[str, str]]) -> None:
    frame, total = table(pairs), len(pairs)
    found = judging_by(tuple(MEASURES), " ").judge(frame)
    letters = sum(distance(true, text) for true, text in pairs) / sum(len(true) for true, _ in pairs)
    assert found["character_error_rate"] == pytest.approx(letters)
    words = sum(distance(true.split(), text.split()) for true, text in pairs) / sum(len(t.split()) for t, _ in pairs)
    assert found["word_error_rate"] == pytest.approx(words)
    exact = sum(true == text for true, text in pairs) / total
    assert found["exact_match"] == pytest.approx(exact)
    assert found["exact_match_low"] <= exact <= found["exact_match_high"]
    losses = judging_by(("exact_match",), " ").losses(frame)
    assert 1 - losses.mean() == pytest.approx(exact)
    for measure, rate in (("word_error_rate", words), ("character_error_rate", letters)):
        assert judging_by((measure,), " ").losses(frame).mean() == pytest.approx(rate)


def test_bleu_is_that_of_its_paper() -> None:
    """Counted by hand: of 6, 5, 4, 3 n-grams 5, 3, 2, 1 are right, and one word of 7 is missing."""
    pairs = [("the cat sat on the old mat", "the cat sat on a mat")]
    precisions = [5 / 6, 3 / 5, 2 / 4, 1 / 3]
    expected = 100 * np.exp(1 - 7 / 6) * np.prod(precisions) ** 0.25
    assert judging_by(("bleu",), " ").judge(table(pairs))["bleu"] == pytest.approx(expected)


@pytest.mark.parametrize("measure", ["bleu", "chrf"])
def test_a_perfect_text_scores_a_hundred_and_loses_nothing(measure: str) -> None:
    frame = table([("a man walks his dog .", "a man walks his dog ."), ("two men sleep .", "two men sleep .")])
    judged = judging_by((measure,), " ")
    assert judged.judge(frame)[measure] == pytest.approx(100)
    assert judged.judge(frame.assign(written="zzz"))[measure] == pytest.approx(0)
    if measure == "chrf":
        with pytest.raises(ValueError, match="chrf cannot rank"):
            judged.losses(frame)
    else:
        assert judged.losses(frame) == pytest.approx(0)
        assert judged.losses(frame.assign(written="zzz")) == pytest.approx(100)


def sentences(count: int, seed: int = 0) -> pd.DataFrame:
    """Of 6 to 14 words, some of them written wrong: a few sentences nearly all, others hardly any."""
    rng = np.random.default_rng(seed)
    pairs = []
    for wrong in rng.beta(1, 3, count):
        true = rng.choice([f"word{number}" for number in range(40)], rng.integers(6, 15))
        written = np.where(rng.random(len(true)) < wrong, "other", true)
        pairs.append((" ".join(true), " ".join(written[rng.random() < 0.2 :])))
    return table(pairs)


@pytest.mark.parametrize("separator", [" ", ""])
def test_the_losses_of_bleu_are_those_of_the_jackknife(separator: str) -> None:
    """By leaving out one text after the other, and scoring all the rest."""
    frame, judging = sentences(12), judging_by(("bleu",), separator)
    score = judging.judge(frame)["bleu"]
    rests = [judging.judge(frame.drop(index=row))["bleu"] for row in frame.index]
    values = 12 * score - 11 * np.array(rests)
    losses = judging.losses(frame)
    assert losses == pytest.approx(100 - (values - values.mean() + score))
    assert losses.mean() == pytest.approx(100 - score, abs=1e-9)
    spread = np.sqrt(11 / 12 * np.square(rests - np.mean(rests)).sum())
    assert losses.std(ddof=1) / np.sqrt(12) == pytest.approx(spread)


def test_the_standard_error_of_bleu_is_the_bootstraps() -> None:
    frame, judging, rng = sentences(300), judging_by(("bleu",), " "), np.random.default_rng(1)
    drawn = [judging.judge(frame.iloc[rng.integers(300, size=300)])["bleu"] for _ in range(200)]
    assert judging.losses(frame).std(ddof=1) / np.sqrt(300) == pytest.approx(np.std(drawn), rel=0.15)


def test_the_losses_of_bleu_are_of_groups_where_texts_belong_together(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, judging = sentences(12), judging_by(("bleu",), " ")
    groups = pd.Series([2, 0, 1, 0, 2, 2, 3, 0, 1, 3, 2, 0])
    monkeypatch.setattr(judging, "unit", lambda predictions: groups)
    score = judging.judge(frame)["bleu"]
    values = 4 * score - 3 * np.array([judging.judge(frame[groups != group])["bleu"] for group in range(4)])
    assert judging.losses(frame) == pytest.approx(100 - (values - values.mean() + score))
    groups = pd.Series([0] * 12)
    assert judging.losses(frame) == pytest.approx([100 - score])


@given(st.lists(st.integers(1, 60), min_size=1, max_size=80))
def test_parts_by_length_are_ranges_that_do_not_overlap(lengths: list[int]) -> None:
    parts = by_length(pd.Series(["x" * length for length in lengths]))
    seen: dict[str, list[int]] = {}
    for part, length in zip(parts, lengths, strict=True):
        seen.setdefault(part, []).append(length)
    for name, found in seen.items():
        low, _, high = name.partition("-")
        assert (int(low), int(high or low)) == (min(found), max(found))
    ranges = sorted((min(found), max(found)) for found in seen.values())
    assert all(one[1] < other[0] for one, other in itertools.pairwise(ranges))
    assert list(parts.cat.categories) == [name for name in parts.cat.categories if name in seen]


@given(st.lists(st.text(), max_size=5))
@settings(max_examples=30, deadline=None)
def test_texts_come_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    folder = tmp_path_factory.mktemp("texts")
    write_texts(folder, "some", texts)
    assert read_texts(folder, "some") == texts


# names of languages


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    LanguageNames().fetch(folder)
    return folder


def test_names_have_one_answer_each_and_are_as_documented(names: Path) -> None:
    pairs = LanguageNames().read(names)
    assert len(pairs.sources) == len(set(pairs.sources)) == 7877
    answers = dict(zip(pairs.sources, pairs.targets, strict=True))
    assert answers["Ancient Greek (to 1453)"] == "Grec ancien (jusqu'à 1453)"
    assert TranslateData.__doc__ is not None
    assert "Grec ancien (jusqu'à 1453)" in TranslateData.__doc__
    assert all(
        (kind == "the same") == (source.lower() == target.lower())
        for source, target, kind in zip(pairs.sources, pairs.targets, pairs.kinds or [], strict=True)
    )


def test_names_go_from_any_language_to_any_other(names: Path) -> None:
    there = LanguageNames(languages=("de", "fr")).read(names)
    back = LanguageNames(languages=("fr", "de")).read(names)
    both = set(zip(there.sources, there.targets, strict=True)) & set(zip(back.targets, back.sources, strict=True))
    assert ("Ungarisch", "Hongrois") in both
    assert len(there.sources) == len(set(there.sources))


# multi30k


def by_hand(folder: Path, **changes: bytes) -> Multi30k:
    """A folder as it is fetched file by file, of three pairs."""
    dataset = Multi30k()
    for name in (file.name for file in dataset.files()):
        content = gzip.compress(b"Ein Hund.\n" if ".de." in name else b"A dog.\n")
        (folder / name).write_bytes(changes.get(name.removesuffix(".gz").replace(".", "_"), content))
    (folder / "source.json").write_text(json.dumps({"source": "multi30k", "files": {}}))
    return dataset


def test_multi30k_is_read_file_by_file_too(tmp_path: Path) -> None:
    pairs = by_hand(tmp_path).read(tmp_path)
    assert (pairs.sources, pairs.targets) == (["Ein Hund."] * 3, ["A dog."] * 3)
    assert pairs.splits is not None
    assert pairs.splits.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"Ein Hund.\nZwei Hunde.\n"), "train has 2 lines in de and 1 in en"),
        (gzip.compress(b"Ein Hund.\n\nZwei Hunde.\n"), r"train.de.gz, line 2 is empty"),
        (gzip.compress("Ein müder Hund.\n".encode("latin-1")), "train.de.gz is not UTF-8 at byte 5"),
        (gzip.compress(b"Ein Hund.\n" * 99)[:-9], "train.de.gz is cut off or not packed by gzip"),
        (b"<html>", "train.de.gz is cut off or not packed by gzip"),
    ],
    ids=["unequal", "empty line", "not UTF-8", "cut off", "no gzip"],
)
def test_a_broken_file_of_multi30k_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        by_hand(tmp_path, train_de=content).read(tmp_path)


def test_every_file_of_multi30k_has_a_checksum() -> None:
    assert len(set(SHA256.values())) == len(SHA256) == 4 * len(SPLITS)


@pytest.mark.mirror
@pytest.mark.skipif(not MIRROR, reason="RNNLAB_MIRROR names no mirror of the full data sets")
def test_multi30k_from_a_mirror(tmp_path: Path) -> None:
    dataset = Translations("translations", "multi30k")
    dataset.fetch(tmp_path, MIRROR)
    pairs = dataset.read(tmp_path)
    assert pairs.splits is not None
    assert np.bincount(pairs.splits).tolist() == [29_000, 1_014, 1_000]
    first = np.flatnonzero(pairs.splits == 2)[0]
    plain = [" ".join(TOKEN.findall(side[first].lower())) for side in (pairs.sources, pairs.targets)]
    assert TranslateData.__doc__ is not None
    assert all(text in TranslateData.__doc__ for text in plain)
    # BLEU of the words is BLEU of the sentences as they were published, but for their case
    raw = [pairs.targets[index] for index in np.flatnonzero(pairs.splits == 2)]
    words = [" ".join(TOKEN.findall(text.lower())) for text in raw]
    judged = judging_by(("bleu",), " ").judge(pd.DataFrame({"source": raw, "reference": raw, "written": words}))
    assert judged["bleu"] > 99.9


def test_every_written_task_can_tell_its_parts() -> None:
    frame = table([("a b c", "a b c"), ("a", "b"), ("a b", "a b")])
    rows = judging_by(("exact_match",), " ").plot_rows([frame, frame])
    assert rows.to_dict("list") == {"part": ["1", "2", "3"], "score": [0, 1, 1], "examples": [1, 1, 1]}
