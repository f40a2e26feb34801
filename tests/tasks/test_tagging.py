"""Sentences read and drawn right, words of the training part alone, and tags judged as one would count them."""

import json
import os
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlab.config.stages import compose_task
from rnnlab.data.vocabulary import IGNORED, SPECIAL
from rnnlab.datasets import grammar
from rnnlab.datasets.grammar import Sentence, generate
from rnnlab.datasets.treebank import ALL, TAGS, Treebank, read_conllu
from rnnlab.errors import UserError
from rnnlab.modules.build import build_module
from rnnlab.tasks.classification.tagging.baselines import TaggingBaselines
from rnnlab.tasks.classification.tagging.data import TaggingData, encode, learn, stand_ins
from rnnlab.tasks.classification.tagging.figures import TaggingFigures
from rnnlab.tasks.classification.tagging.judging import KINDS, TaggingJudging
from rnnlab.training.prepare import open_task
from tests.tasks.examples.tagging import GOOD, line, sentences
from tests.tasks.test_music import take_the_test_part_away

SMALL = "task.sentences=400"
MIRROR = Path(os.environ.get("RNNLAB_MIRROR", ".")) / "ud-english-ewt"


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> TaggingData:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNLAB_ROOT", str(tmp_path_factory.mktemp("tagging")))
        return opened(SMALL)


@pytest.fixture(scope="module")
def judging(task: TaggingData) -> TaggingJudging:
    return TaggingJudging(task)


@pytest.fixture(scope="module")
def baselines(judging: TaggingJudging) -> TaggingBaselines:
    return TaggingBaselines(judging)


@pytest.fixture(scope="module")
def table(baselines: TaggingBaselines) -> pd.DataFrame:
    """The answers of a baseline to the test part."""
    return baselines.fitted()["frequent"]("test")


def opened(*overrides: str) -> TaggingData:
    task = open_task(compose_task("tagging", *overrides), 0)
    assert isinstance(task, TaggingData)
    return task


def derivable(words: list[str], tags: list[str]) -> bool:
    """Whether the grammar can give this sentence, made-up words aside: all that stands from i to j, until no more."""
    rules, lexicon = grammar._rules(), grammar._lexicon()
    size = len(words)
    found = {(symbol, i, i + 1) for i in range(size) for symbol, (tag, (options, _)) in lexicon.items()
             if tag == tags[i] and [words[i]] in options}  # fmt: skip
    found |= {(f"{word}/{tag}", i, i + 1) for i, (word, tag) in enumerate(zip(words, tags, strict=True))}
    while True:
        new = set()
        for symbol, (options, _) in rules.items():
            for becomes in options:
                for start in range(size):
                    ends = {start}
                    for part in becomes:
                        ends = {j for end in ends for j in range(end + 1, size + 1) if (part, end, j) in found}
                    new |= {(symbol, start, end) for end in ends}
        if new <= found:
            return ("S", 0, size) in found
        found |= new


def test_the_example_of_the_docstring_is_a_sentence_of_the_grammar() -> None:
    lines = [each.split() for each in str(TaggingData.__doc__).splitlines()]
    words, tags = (next(each[1:] for each in lines if each[:1] == [side]) for side in ("input", "target"))
    assert derivable(words, tags)
    assert not derivable(words, [*tags[:-2], "VERB", "PUNCT"])


@pytest.mark.parametrize(
    ("words", "tags"),
    [
        ("that light works .", "DET NOUN VERB PUNCT"),
        ("can the can fly like a saw ?", "AUX DET NOUN VERB ADP DET NOUN PUNCT"),
    ],
)
def test_the_examples_of_the_grammar_are_its_sentences(words: str, tags: str) -> None:
    assert words in " ".join(str(grammar.__doc__).split())
    assert derivable(words.split(), tags.split())


def test_sentences_are_the_same_each_time_and_all_different() -> None:
    many = generate(500)
    assert generate(100) == many[:100]
    assert len({tuple(sentence.words) for sentence in many}) == 500
    assert {tag for sentence in many for tag in sentence.tags} <= set(TAGS)
    assert all(len(sentence.words) == len(sentence.tags) for sentence in many)
    known = {word for _, (options, _) in grammar._lexicon().values() for (word,) in options}
    plain = [sentence for sentence in many if len(sentence.words) < 9 and known.issuperset(sentence.words[:-1])]
    assert plain
    assert all(derivable(sentence.words, sentence.tags) for sentence in plain[:10])


def test_of_a_tenth_of_the_words_the_tag_shows_in_the_words_around_them_alone(table: pd.DataFrame) -> None:
    wrong = (table["label"] != table["predicted"]) & (table["kind"] == "several tags")
    assert wrong.mean() > 0.1


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Cs")), min_size=1, max_size=6)
pairs = st.lists(st.tuples(words.filter(str.strip), st.sampled_from(TAGS)), min_size=1, max_size=6)


@given(st.lists(pairs, min_size=1, max_size=4), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
@settings(deadline=None)
def test_conllu_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, written: list, end: str, mark: bool, last_line: bool
) -> None:
    """With comments, contractions, words left out, a byte-order mark, and with or without a blank line at the end."""
    lines = []
    for sentence in written:
        lines += ["# sent_id = 1", line("1-2", "don't", "_")]
        lines += [line(number, word, tag) for number, (word, tag) in enumerate(sentence, 1)]
        lines += [line(f"{len(sentence)}.1", "left", "_"), ""]
    path = tmp_path_factory.getbasetemp() / "written.conllu"
    text = end.join(lines[: None if last_line else -1])
    path.write_bytes(("\ufeff" * mark + text).encode())
    read = list(read_conllu(path))
    assert [list(zip(sentence.words, sentence.tags, strict=True)) for sentence in read] == written
    assert {sentence.document for sentence in read} == {0}


def test_a_users_parts_are_kept_and_drawn_ones_hold_nothing_twice(tmp_path: Path) -> None:
    paths = {key: tmp_path / f"{key}.conllu" for key in ("path", "validation_path", "test_path")}
    for path, part in zip(paths.values(), (GOOD[:10], GOOD[10:13], GOOD[12:15]), strict=True):
        path.write_bytes(sentences(*part, part[0]))
    data = Treebank("treebank", "file", **{key: str(path) for key, path in paths.items()})
    data.fetch(tmp_path / "raw")
    read = data.read(tmp_path / "raw")
    assert {part: len(found) for part, found in read.items()} == {"train": 11, "validation": 4, "test": 4}
    assert read["test"][0] == Sentence(["fish12", "swim"], ["NOUN", "VERB"])
    whole = Treebank("treebank", "file", path=str(paths["path"]))
    whole.fetch(tmp_path / "again")
    parts = TaggingData("tagging")._split(whole.read(tmp_path / "again")[ALL])
    assert sum(map(len, parts.values())) == 10


def documents(*each: list[tuple[str, ...]]) -> bytes:
    return b"".join(f"# newdoc id = {number}\n".encode() + sentences(*part) for number, part in enumerate(each))


def test_sentences_of_one_document_are_one_unit_where_the_parts_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNLAB_ROOT", str(tmp_path))
    keys = ("path", "validation_path", "test_path")
    parts = (
        documents(GOOD[:10]),
        documents(GOOD[10:12], GOOD[12:13]),
        documents(GOOD[13:15], GOOD[15:17], GOOD[17:18]),
    )
    for key, part in zip(keys, parts, strict=True):
        (tmp_path / key).write_bytes(part)
    given = opened("task.source=file", *(f"task.{key}={tmp_path / key}" for key in keys))
    assert given.spec.unit == "document"
    judging = TaggingJudging(given)
    for split, count in (("validation", 2), ("test", 3)):
        table = judging.table(np.random.default_rng(0).dirichlet([1, 1], len(given.labels[split])), split)
        assert len(judging.losses(table)) == count
        assert judging.losses(table).mean() == pytest.approx(1 - judging.judge(table)["accuracy"])
    # sentences of the same documents are in all of the parts that are drawn: what is asked is how well these are known
    (tmp_path / "all").write_bytes(documents(GOOD[:10], GOOD[10:]))
    drawn = opened("task.source=file", f"task.path={tmp_path / 'all'}")
    assert drawn.spec.unit == "sentence"
    assert drawn.documents["test"].tolist() != [0] * len(drawn.documents["test"])


def test_a_trained_model_needs_no_unit_to_answer(task: TaggingData) -> None:
    """One that an earlier version trained has none."""
    learnt = json.loads(json.dumps(task.state_dict()))
    assert "unit" not in learnt
    alone = TaggingData("tagging")
    alone.restore(learnt)
    assert alone.classes == task.classes


def test_an_edited_file_is_another_data_set(tmp_path: Path) -> None:
    path = tmp_path / "my.conllu"
    found = []
    for part in (GOOD, GOOD[1:], GOOD):
        path.write_bytes(sentences(*part))
        found.append(Treebank("treebank", "file", path=str(path)).fingerprint())
    assert found[0] == found[2] != found[1]


def test_a_tag_that_training_lacks_is_reported_and_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNLAB_ROOT", str(tmp_path))
    keys = ("path", "validation_path", "test_path")
    parts = (GOOD[:10], [*GOOD[10:13], (line(1, "oh", "INTJ"),)], [*GOOD[13:15], (line(1, "ah", "INTJ"),)])
    for key, part in zip(keys, parts, strict=True):
        (tmp_path / key).write_bytes(sentences(*part))
    task = opened("task.source=file", *(f"task.{key}={tmp_path / key}" for key in keys))
    assert task.meta["report"]["not in training"] == "INTJ"
    judging = TaggingJudging(task)
    for predict in TaggingBaselines(judging).fitted().values():
        metrics = judging.judge(predict("test"))
        assert metrics["accuracy"] <= 4 / 5
        json.dumps(metrics, allow_nan=False)


@given(st.text(min_size=1, max_size=12))
def test_what_stands_for_a_word_gets_less_close(word: str) -> None:
    own, ending, shape = stand_ins(word)
    assert own == word
    assert shape.strip("<>") in ("0", ".", "AA", "Aa", "a")
    assert ending == shape or (ending.startswith(shape[:-1]) and ending.endswith(f"{word[-3:].lower()}>"))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("bartolness", ("<a -ess>", "<a>")),
        ("Paris", ("<Aa -ris>", "<Aa>")),
        ("1984", ("<0>", "<0>")),
        ("UNESCO", ("<AA -sco>", "<AA>")),
        ("saw", ("<a>", "<a>")),
        ("I", ("<Aa>", "<Aa>")),
        ("...", ("<.>", "<.>")),
        ("e-mail", ("<a>", "<a>")),
    ],
)
def test_a_rare_word_is_read_as_its_shape_and_ending(word: str, expected: tuple[str, str]) -> None:
    assert stand_ins(word)[1:] == expected


@given(st.lists(st.sampled_from(["fish", "walking", "talking", "Anna", "Otto", "7", "?"]), max_size=12))
def test_each_word_is_read_as_the_closest_that_training_had_often_enough(training: list[str]) -> None:
    vocabulary = learn(training, 2)
    counts = Counter(training)
    for word in {*training, "running", "Emma", "8"}:
        (number,) = encode([word], vocabulary)
        token = vocabulary.tokens[number]
        if counts[word] >= 2:
            assert token == word
            continue
        # of its ending or shape there are two words at least that have no token of their own
        rare = [other for other, count in counts.items() if count < 2]
        ending, shape = stand_ins(word)[1:]
        alike = [other for other in rare if stand_ins(other)[1] == ending]
        left = [other for other in rare if sum(stand_ins(rival)[1] == stand_ins(other)[1] for rival in rare) < 2]
        if len(alike) >= 2:
            assert token == ending
        elif sum(stand_ins(other)[2] == shape for other in left) >= 2:
            assert token == shape
        else:
            assert token == SPECIAL[3]


def test_words_are_learnt_from_training_alone_and_no_sentence_stands_in_two_parts(
    task: TaggingData, table: pd.DataFrame
) -> None:
    parts = task._split(generate(400))
    assert {name: len(part) for name, part in parts.items()} == {"train": 280, "validation": 40, "test": 80}
    training = [word for sentence in parts["train"] for word in sentence.words]
    assert task.vocabulary.tokens == learn(training, 2).tokens
    own = {token for token in task.vocabulary.tokens if not token.startswith("<")}
    assert own == {word for word, count in Counter(training).items() if count >= 2}
    texts = [{tuple(sentence.words) for sentence in part} for part in parts.values()]
    assert not texts[0] & texts[1] | texts[0] & texts[2] | texts[1] & texts[2]
    read = [(word, tag) for sentence in parts["test"] for word, tag in zip(sentence.words, sentence.tags, strict=True)]
    assert list(zip(table["word"], (task.classes[label] for label in table["label"]), strict=True)) == read


def test_the_kinds_of_words_and_their_frequent_tags_agree_with_counting(task: TaggingData, table: pd.DataFrame) -> None:
    parts = task._split(generate(400))
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for sentence in parts["train"]:
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            counts[word][tag] += 1
    for row in table.itertuples():
        had = counts.get(row.word, Counter())
        assert row.kind == KINDS[0 if len(had) == 1 else 1 if had else 2]
        if had:
            assert had[task.classes[row.predicted]] == max(had.values())


def test_a_window_holds_the_neighbours_within_the_sentence(task: TaggingData, baselines: TaggingBaselines) -> None:
    size = len(task.vocabulary)
    windows = baselines._windows("test")
    row = 0
    for index in range(5):
        numbers = [*3 * [0], *task.words["test"][index].tolist(), *3 * [0]]
        for first in range(len(numbers) - 6):
            around = numbers[first : first + 7]
            assert sorted(windows[row].indices) == [place * size + number for place, number in enumerate(around)]
            row += 1


def test_metrics_agree_with_counting_sentence_by_sentence(judging: TaggingJudging, table: pd.DataFrame) -> None:
    metrics, losses = judging.judge(table), judging.losses(table)
    right = [(group["label"] == group["predicted"]).tolist() for _, group in table.groupby("sentence")]
    assert len(losses) == len(right) == 80
    assert metrics["accuracy"] == pytest.approx(sum(map(sum, right)) / sum(map(len, right)))
    assert metrics["sentence_accuracy"] == pytest.approx(np.mean([all(each) for each in right]))
    assert losses.mean() == pytest.approx(1 - metrics["accuracy"])
    mean = np.mean(list(map(len, right)))
    for loss, each in zip(losses, right, strict=True):
        wrong = len(each) - sum(each)
        expected = (wrong - (1 - metrics["accuracy"]) * len(each)) / mean
        assert loss - losses.mean() == pytest.approx(expected, abs=1e-12)
    unknown = table[table["kind"] == "unknown"]
    assert metrics["accuracy_unknown"] == pytest.approx((unknown["label"] == unknown["predicted"]).mean())
    assert isinstance(table, pd.DataFrame)


def test_a_net_that_reads_both_ways_is_judged_on_each_sentence_as_if_it_stood_alone(
    task: TaggingData, judging: TaggingJudging
) -> None:
    torch.manual_seed(0)
    cfg = compose_task("tagging", SMALL, "cell=gru", "cell.hidden_size=8", "cell.bidirectional=true")
    net = build_module(cfg, task).eval()
    table = judging.predict(net)
    for index in range(0, 80, 7):
        numbers = torch.from_numpy(task.words["test"][index].astype(np.int64))[None]
        with torch.no_grad():
            logits = net.net._leave(net.net.recurrent(net.net.entry(numbers))[0])
        p = logits[0].double().softmax(dim=-1)
        own = table[table["sentence"] == index]
        assert own["predicted"].tolist() == p.argmax(dim=-1).tolist()
        assert np.allclose(own["confidence"], p.max(dim=-1).values, atol=1e-6)


def test_padding_is_no_target(task: TaggingData) -> None:
    batch = next(iter(task.loader("train")))
    assert batch.lengths is not None
    real = torch.arange(batch.inputs.shape[1]) < batch.lengths[:, None]
    assert torch.equal(batch.targets != IGNORED, real)
    assert not batch.inputs[~real].any()


def test_samples_show_what_was_said_and_what_is_right(task: TaggingData, judging: TaggingJudging) -> None:
    torch.manual_seed(0)
    net = build_module(compose_task("tagging", SMALL, "cell=gru", "cell.hidden_size=8"), task).eval()
    text = judging.samples(net)["tagged.txt"]
    assert isinstance(text, str)
    shown = [re.fullmatch(r"(.+)/([A-Z]+)(?:\(([A-Z]+)\))?", word) for word in text.split()]
    assert len(text.splitlines()) == 20
    place = 0
    for index, sentence in enumerate(task._split(generate(400))["validation"][:20]):
        numbers = torch.from_numpy(task.words["validation"][index].astype(np.int64))[None]
        with torch.no_grad():
            said = net.net._leave(net.net.recurrent(net.net.entry(numbers))[0])[0].argmax(dim=-1)
        for word, tag, answer in zip(sentence.words, sentence.tags, said, strict=True):
            match = shown[place]
            assert match is not None
            assert (match[1], match[2], match[3] or match[2]) == (word, task.classes[answer], tag)
            place += 1
    assert place == len(shown)


def test_samples_need_no_test_part(task: TaggingData, judging: TaggingJudging) -> None:
    """Which `evaluate` alone reads: samples are written during training as well."""
    net = build_module(compose_task("tagging", SMALL, "cell=gru", "cell.hidden_size=8"), task).eval()
    with pytest.MonkeyPatch.context() as patch:
        take_the_test_part_away(task, patch)
        with pytest.raises(KeyError, match="test"):
            judging.predict(net)
        assert judging.samples(net)


def test_a_kind_of_word_has_a_bar_of_each_baseline_and_of_the_net(judging: TaggingJudging) -> None:
    figures = TaggingFigures(judging)
    window, frequent = (figures.baselines.fitted()[name]("test") for name in ("window", "frequent"))
    figure = figures.figures([frequent], "gru seed 0")["by_kind"]
    bars = {str(each.get_label()): [bar.get_height() for bar in each] for each in figure.axes[0].containers}
    assert list(bars) == ["frequent", "window", "gru seed 0"]
    assert bars["frequent"] == bars["gru seed 0"]
    metrics = judging.judge(window)
    assert bars["window"] == pytest.approx([100 * metrics[f"accuracy_{kind.replace(' ', '_')}"] for kind in KINDS])


def test_a_file_without_a_sentence_is_named_before_the_others_are_used(tmp_path: Path) -> None:
    (tmp_path / "empty.conllu").write_text("# nothing\n")
    data = Treebank("treebank", "file", path=str(tmp_path / "empty.conllu"))
    data.fetch(tmp_path / "raw")
    with pytest.raises(UserError, match=r"empty\.conllu holds no sentence"):
        data.read(tmp_path / "raw")


@pytest.mark.mirror
@pytest.mark.skipif(not MIRROR.is_dir(), reason="RNNLAB_MIRROR is not set, or holds no ud-english-ewt")
def test_the_full_set_is_whole(tmp_path: Path) -> None:
    data = Treebank("treebank", "full")
    data.fetch(tmp_path)
    read = data.read(tmp_path)
    assert {part: len(found) for part, found in read.items()} == {"train": 12544, "validation": 2001, "test": 2077}
    assert {tag for sentence in read["train"] for tag in sentence.tags} == set(TAGS)
    assert read["train"][0].words[:4] == ["Al", "-", "Zaman", ":"]
