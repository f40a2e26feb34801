"""Language modelling: what is read of a text, what stands beside the nets, and what a net writes."""

import hashlib
import io
import math
import os
import tracemalloc
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rnnlab.cells.rnn import RNNCell
from rnnlab.config.stages import compose_task
from rnnlab.data.batches import Batch
from rnnlab.data.sampling import probabilities, sample
from rnnlab.data.vocabulary import END, PADDING, START, UNKNOWN, Vocabulary
from rnnlab.datasets import plain_text
from rnnlab.datasets.plain_text import Text, byte_values, code_points
from rnnlab.datasets.plays import Plays, plain
from rnnlab.errors import UserError
from rnnlab.layouts.per_timestep import ManyToMany
from rnnlab.losses import CrossEntropy
from rnnlab.modules.build import build_module
from rnnlab.modules.module import SequenceModule
from rnnlab.modules.rnn import RNN
from rnnlab.spec import TaskSpec
from rnnlab.tasks.baselines.kneser_ney import Grown, KneserNey, Mixed
from rnnlab.tasks.language_modelling import baselines, data
from rnnlab.tasks.language_modelling.baselines import LanguageModellingBaselines
from rnnlab.tasks.language_modelling.data import LanguageModellingData
from rnnlab.tasks.language_modelling.figures import COLUMNS, LanguageModellingFigures, _lines, _place_in_word, shown
from rnnlab.tasks.language_modelling.judging import LanguageModellingJudging
from rnnlab.tasks.language_modelling.text.data import TextData
from rnnlab.tasks.task import Split
from rnnlab.training.prepare import open_task
from rnnlab.unroll.recurrent import Recurrent
from tests.conftest import Run

NET = {"_target_": "rnnlab.layouts.per_timestep.ManyToMany"}
MIRROR = os.environ.get("RNNLAB_MIRROR")
WORDS = "the cat sat on the mat and the rat ate it all up\n"


def prose(size: int, seed: int = 0) -> str:
    """Words in a random order, in lines."""
    rng = np.random.default_rng(seed)
    return "".join(rng.choice([word + " " for word in WORDS.split()] + ["it.\n"], size // 3))[:size]


def prepared(folder: Path, content: str | bytes, **options: Any) -> LanguageModellingData:
    """A text as a task, opened."""
    path = folder / "my.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    dataset = Text("text", path=str(path), unit=options.get("unit", "character"))
    (folder / "raw").mkdir()
    (folder / "processed").mkdir()
    dataset.fetch(folder / "raw")
    task = TextData("text", **options)
    task.check()
    facts = task.prepare(dataset, folder / "raw", folder / "processed")
    task.open(folder / "processed", {**facts, "digest": ""}, seed=0)
    return task


def net_of(task: LanguageModellingData, hidden_size: int = 8) -> SequenceModule:
    torch.manual_seed(0)
    module = RNN(name="rnn", spec=task.spec.as_dict(), net=NET, optimizer={}, hidden_size=hidden_size)
    return module.eval()


# --- reading ---


def test_a_play_loses_its_markdown_and_no_word() -> None:
    play = "# Hamlet\n\n## ACT I\n\n_Enter GHOST_\n\n**HAMLET**  \nO _that_ this,'\\--too  \n[Dies]  \n"
    assert plain(play) == "Hamlet\n\nACT I\n\nEnter GHOST\n\nHAMLET:\nO that this,'--too\n[Dies]\n\n"


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.integers(1, 9))
@settings(deadline=None)
def test_a_text_is_the_same_in_pieces_of_any_size(text: str, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_text, "PIECE_BYTES", piece)
        path = file_of(text.encode())
        assert [int(code) for codes in code_points(path) for code in codes] == [ord(one) for one in text]
        assert b"".join(codes.tobytes() for codes in byte_values(path)) == text.encode()


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.sampled_from([b"\xff", b"\xc3("]), st.integers(1, 9))
@settings(deadline=None)
def test_what_is_not_utf_8_is_named_by_byte_and_line(text: str, bad: bytes, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_text, "PIECE_BYTES", piece)
        with pytest.raises(UserError) as error:
            list(code_points(file_of(text.encode() + bad + b"the rest\n")))
    assert f"byte {len(text.encode())} (counted from 0, in line {text.count(chr(10)) + 1})" in str(error.value)
    assert f"0x{bad[0]:02x}" in str(error.value)


def file_of(content: bytes) -> Any:
    """A path to a file of that content, which lies in memory."""
    return SimpleNamespace(open=lambda mode: io.BytesIO(content))


def test_the_content_of_a_text_decides_and_not_its_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("a text")
    other.write_text("a text")
    fingerprint = Text("text", path=str(one)).fingerprint()
    assert fingerprint["sha256"] == hashlib.sha256(b"a text").hexdigest()
    assert fingerprint == Text("text", path=str(other)).fingerprint()
    assert fingerprint != Text("text", path=str(one), unit="byte").fingerprint()
    one.write_text("a test")
    os.utime(one, ns=(1, 1))
    assert fingerprint != Text("text", path=str(one)).fingerprint()


def test_a_genre_is_part_of_the_plays_and_not_of_the_excerpt() -> None:
    assert Plays("p", "plays", "roman").fingerprint() != Plays("p", "plays", "all").fingerprint()
    assert Plays("p", "tiny", "roman").fingerprint() == Plays("p", "tiny", "all").fingerprint()


# --- preparing ---


@pytest.mark.parametrize(
    ("unit", "text", "shown_input", "shown_target"),
    [("character", "Grüße!", "Grüße", "rüße!"), ("byte", "Grüß", "47 72 c3 bc c3", "72 c3 bc c3 9f")],
)
def test_the_example_of_the_docstring(
    tmp_path: Path, unit: str, text: str, shown_input: str, shown_target: str
) -> None:
    task = prepared(tmp_path, text * 2000, unit=unit)
    assert shown_input.replace(" ", "") in str(TextData.__doc__).replace(" ", "")
    assert shown_target.replace(" ", "") in str(TextData.__doc__).replace(" ", "")
    tokens = task.tokens[:6]
    written = ["".join(task.vocabulary.tokens[token] for token in part) for part in (tokens[:-1], tokens[1:])]
    if unit == "byte":
        written = [" ".join(f"{ord(one):02x}" for one in part) for part in written]
    assert written == [shown_input, shown_target]


@given(st.text(st.characters(codec="utf-8"), min_size=50, max_size=200), st.sampled_from(["character", "byte"]))
@settings(deadline=None, max_examples=25)
def test_tokens_are_the_text_and_the_vocabulary_is_that_of_the_training_part(
    tmp_path_factory: pytest.TempPathFactory, text: str, unit: str
) -> None:
    text = prose(3000) + text + prose(3000) + "".join(dict.fromkeys(text)) * 5
    task = prepared(tmp_path_factory.mktemp("text"), text, unit=unit)
    units = list(text) if unit == "character" else [chr(byte) for byte in text.encode()]
    training = units[slice(*task.meta["splits"]["train"])]
    fitted = Vocabulary.fit([training])
    assert task.vocabulary.tokens == fitted.tokens
    assert np.array_equal(task.tokens, fitted.encode(units))
    counts = Counter(training)
    assert [counts[token] for token in fitted.tokens[4:]] == task.counts[4:].tolist()


def test_parts_follow_each_other_and_are_no_longer_than_asked(tmp_path: Path) -> None:
    task = prepared(tmp_path, prose(20_000), validation=0.1, test=0.2)
    assert task.meta["splits"] == {"train": (2_000, 16_000), "validation": (0, 2_000), "test": (16_000, 20_000)}
    capped = TextData("text", validation=0.1, test=0.2, largest_part=500)
    assert capped._split(20_000) == {"train": (500, 19_500), "validation": (0, 500), "test": (19_500, 20_000)}


def test_what_training_never_saw_is_unknown_and_reported(tmp_path: Path) -> None:
    task = prepared(tmp_path, prose(9_000) + "é" * 1_000)
    first, end = task.meta["splits"]["test"]
    assert set(task.tokens[first:end].tolist()) == {UNKNOWN}
    assert "é" not in task.vocabulary
    assert "100.00% of them unknown" in task.meta["report"]["test"]
    (tmp_path / "rare").mkdir()
    rare = prepared(tmp_path / "rare", "q" + prose(9_000), at_least=2)
    assert "q" not in rare.vocabulary
    assert rare.tokens[0] == UNKNOWN


def test_memory_does_not_grow_with_the_text(tmp_path: Path) -> None:
    peaks = []
    for number, size in enumerate((1 << 23, 1 << 25)):
        folder = tmp_path / str(number)
        folder.mkdir()
        content = (prose(1 << 16) * (size >> 16)).encode()
        tracemalloc.start()
        prepared(folder, content, largest_part=10_000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0], "four times as long"


# --- judging ---


@pytest.fixture
def task(tmp_path: Path) -> LanguageModellingData:
    return prepared(tmp_path, prose(12_000))


def test_every_token_of_the_test_part_is_judged_after_the_whole_text_before_it(
    task: LanguageModellingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one stream and a warm-up over all that comes before, the net has read the text from its first token."""
    first, end = task.meta["splits"]["test"]
    monkeypatch.setattr(data, "EVALUATED_STREAMS", 1)
    monkeypatch.setattr(data, "WARM_UP", first)
    module = net_of(task)
    table = LanguageModellingJudging(task).predict(module)
    whole = torch.from_numpy(task.tokens.astype(np.int64))[None]
    with torch.no_grad():
        logits = module(Batch(whole[:, :-1], whole[:, 1:]))[0, first:]
    expected = nn.functional.cross_entropy(logits, whole[0, first + 1 :], reduction="none")
    assert len(table) == end - first - 1
    np.testing.assert_allclose(table["nats"], expected, rtol=0, atol=1e-5)
    assert np.array_equal(table["right"], logits.argmax(-1) == whole[0, first + 1 :])
    assert np.array_equal(table["token"], whole[0, first + 1 :])


def test_streams_side_by_side_judge_as_one_does(task: LanguageModellingData, monkeypatch: pytest.MonkeyPatch) -> None:
    """A past of a hundred characters stands for all of it: an untrained Elman net has forgotten what was before."""
    module, judging = net_of(task), LanguageModellingJudging(task)
    side_by_side = judging.predict(module)["nats"]
    monkeypatch.setattr(data, "EVALUATED_STREAMS", 1)
    np.testing.assert_allclose(side_by_side, judging.predict(module)["nats"], rtol=0, atol=1e-5)


def test_metrics_are_means_and_losses_are_those_of_windows(task: LanguageModellingData) -> None:
    nats = np.arange(250) / 100
    table = pd.DataFrame({"token": 5, "nats": nats.astype(np.float32), "right": np.arange(250) % 5 == 0})
    judging = LanguageModellingJudging(task)
    metrics = judging.judge(table)
    assert metrics["nats_per_character"] == pytest.approx(1.245, rel=1e-6)
    assert metrics["bits_per_character"] == pytest.approx(1.245 / math.log(2), rel=1e-6)
    assert metrics["accuracy"] == pytest.approx(0.2)
    # windows of 100 and 150: 1.245 + (sum - 1.245 size) / 125
    losses = judging.losses(table)
    assert losses == pytest.approx(1.245 + np.array([49.5 - 124.5, 261.75 - 186.75]) / 125, rel=1e-6)
    assert losses.mean() == pytest.approx(metrics["nats_per_character"], rel=1e-12)
    assert (task.spec.unit, task.spec.overlap) == ("window of 100 characters", 1)
    rows = judging.plot_rows([table, table])
    assert rows["part"].tolist() == list(range(1, 11))
    assert rows["score"].to_numpy() == pytest.approx(nats.reshape(10, 25).mean(axis=1), rel=1e-6)


def slow_kneser_ney(tokens: list[int], size: int, longest: int, history: list[int]) -> list[float]:
    """p of each token after `history`, from the formula: n-grams in dictionaries."""

    def counts(n: int) -> Counter[tuple[int, ...]]:
        grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
        if n == longest:
            return Counter(grams)
        longer = {tuple(tokens[i : i + n + 1]) for i in range(len(tokens) - n)}
        return Counter(gram[1:] for gram in longer)

    p = [1 / size] * size
    for n in range(1, longest + 1):
        c = counts(n)
        kinds = [sum(value == number for value in c.values()) for number in (0, 1, 2, 3, 4)]
        share = kinds[1] / (kinds[1] + 2 * kinds[2]) if kinds[1] else 0.5
        discounts = [0.0]
        for number in (1, 2, 3):
            found = number - (number + 1) * share * kinds[number + 1] / kinds[number] if all(kinds[1:]) else share
            discounts.append(min(max(found, 0.1), float(number)))
        context = tuple(history[len(history) - n + 1 :])
        of_context = {gram[-1]: count for gram, count in c.items() if gram[:-1] == context}
        if of_context:
            total = sum(of_context.values())
            left = sum(discounts[min(count, 3)] for count in of_context.values()) / total
            p = [
                (of_context.get(x, 0) - discounts[min(of_context.get(x, 0), 3)]) / total + left * p[x]
                for x in range(size)
            ]
    return p


@given(st.integers(0, 30), st.integers(2, 5), st.integers(20, 200))
@settings(deadline=None, max_examples=60)
def test_kneser_ney_is_the_formula_and_sums_to_one(seed: int, size: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    tokens = (rng.integers(0, size, length) * rng.integers(0, 2, length)).astype(np.uint8)
    text, validation = tokens[: length // 2], tokens[length // 2 : 3 * length // 4]
    model = Grown.fit(text, size, validation).best
    for place in range(3 * length // 4, length):
        history = tokens[:place]
        expected = slow_kneser_ney(text.tolist(), size, model.longest, history.tolist())
        assert sum(expected) == pytest.approx(1)
        found = [model.predict(np.append(history, x), place)[0][0] for x in range(size)]
        assert found == pytest.approx(expected, rel=1e-5)
        (likeliest,) = model.predict(tokens[: place + 1], place)[1]
        assert expected[likeliest] == pytest.approx(max(expected), rel=1e-5)


@given(st.integers(0, 30), st.integers(2, 5))
@settings(deadline=None, max_examples=30)
def test_at_the_beginning_of_a_text_kneser_ney_takes_the_few_tokens_there_are(seed: int, size: int) -> None:
    """A p of each token from those before it, which sum to one; and the same, whatever else is asked beside it."""
    rng = np.random.default_rng(seed)
    tokens = (rng.integers(0, size, 120) * rng.integers(0, 2, 120)).astype(np.uint8)
    model = Grown.fit(tokens[:80], size, tokens[80:]).best
    begins = tokens[90:]
    whole, likeliest = model.predict(begins, 0)
    for place in range(5):
        each = [model.predict(np.append(begins[:place], x).astype(np.uint8), place) for x in range(size)]
        assert sum(p[0] for p, _ in each) == pytest.approx(1, rel=1e-5)
        assert whole[place] == each[begins[place]][0][0]
        assert max(p[0] for p, _ in each) == pytest.approx(each[likeliest[place]][0][0])


@given(st.integers(0, 30), st.integers(2, 5), st.integers(30, 200))
@settings(deadline=None, max_examples=40)
def test_a_mixture_is_one_of_kneser_ney_of_all_lengths(seed: int, size: int, length: int) -> None:
    """Its p sum to one, and are between the lowest and the highest of the lengths; so also where a text begins."""
    rng = np.random.default_rng(seed)
    tokens = (rng.integers(0, size, length) * rng.integers(0, 2, length)).astype(np.uint8)
    text, validation, test = np.split(tokens, [length // 2, 3 * length // 4])
    grown = Grown.fit(text, size, validation)
    mixed = Mixed.fit(grown, validation)
    assert mixed.weights.sum(axis=1) == pytest.approx(1)
    single = [KneserNey(size, [*grown.shorter[:place], top]) for place, top in enumerate(grown.tops)]
    for place in range(len(test)):
        for history in (test[:place], np.concatenate([text, test[:place]])):
            asked = [np.append(history, x).astype(np.uint8) for x in range(size)]
            found = np.array([mixed.predict(each, len(history))[0][0] for each in asked])
            assert found.sum() == pytest.approx(1, rel=1e-5)
            each = np.array([[model.predict(one, len(history))[0][0] for one in asked] for model in single])
            assert (found <= each.max(axis=0) + 1e-6).all()
            assert (found >= each.min(axis=0) - 1e-6).all()
            assert mixed.predict(asked[0], len(history))[1][0] in [
                model.predict(asked[0], len(history))[1][0] for model in single
            ]


def test_the_mixture_is_likelier_than_each_length_where_it_was_fitted(
    task: LanguageModellingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnnlab.tasks.baselines.kneser_ney.PRIOR", 1e-6)
    first, _ = task.meta["splits"]["test"]
    validation = task.tokens[: task.meta["splits"]["validation"][1]]
    grown = Grown.fit(task.tokens[first - 4000 : first], len(task.vocabulary), validation)
    mixed = Mixed.fit(grown, validation)

    def loss(model: KneserNey | Mixed) -> float:
        return float(-np.log(model.predict(validation, 0)[0]).mean())

    assert loss(mixed) < min(
        loss(KneserNey(grown.size, [*grown.shorter[:place], top])) for place, top in enumerate(grown.tops)
    )


def test_kneser_ney_grows_as_long_as_it_helps(task: LanguageModellingData) -> None:
    first, end = task.meta["splits"]["test"]
    tokens, size = task.tokens[:end], len(task.vocabulary)
    model = Grown.fit(tokens[:first], size, tokens[first:]).best
    losses = []
    for longest in range(1, model.longest + 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("rnnlab.tasks.baselines.kneser_ney.LONGEST", longest)
            losses.append(
                -np.log(Grown.fit(tokens[:first], size, tokens[first:]).best.predict(tokens, first)[0]).mean()
            )
    assert losses == sorted(losses, reverse=True)
    assert len(losses) > 3


def test_n_grams_see_the_training_part_alone_and_pieces_change_nothing(
    task: LanguageModellingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    judging = LanguageModellingJudging(task)
    beside = LanguageModellingBaselines(judging)
    whole = predicted(beside)
    nats = {name: judging.judge(table)["nats_per_character"] for name, table in whole.items()}
    assert nats["ngram"] < 0.7 * nats["unigram"]
    monkeypatch.setattr(baselines, "PIECE", 500)
    assert predicted(beside)["ngram"].equals(whole["ngram"])
    first = task.meta["splits"]["test"][0]
    task.tokens = np.array(task.tokens)
    task.tokens[first + 600 :] = task.tokens[-1]
    changed = predicted(beside)["ngram"]
    assert changed[:599].equals(whole["ngram"][:599])


def predicted(beside: LanguageModellingBaselines, split: Split = "test") -> dict[str, pd.DataFrame]:
    return {name: predict(split) for name, predict in beside.fitted().items()}


def test_the_validation_part_is_predicted_as_the_test_part_is(task: LanguageModellingData) -> None:
    """From its first token on, which nothing is before."""
    judging = LanguageModellingJudging(task)
    first, end = task.meta["splits"]["validation"]
    assert first == 0
    tables = predicted(LanguageModellingBaselines(judging), "validation")
    for table in tables.values():
        assert table["token"].tolist() == task.tokens[1:end].tolist()
        assert judging.losses(table).mean() == pytest.approx(judging.judge(table)["nats_per_character"])
    train = task.tokens[slice(*task.meta["splits"]["train"])]
    model = Grown.fit(train, len(task.vocabulary), task.tokens[:end]).best
    assert model.longest > 3
    for place in (1, 2, 3, model.longest, 2 * model.longest):
        p, likeliest = model.predict(task.tokens[: place + 1], place)
        assert tables["ngram"]["nats"][place - 1] == pytest.approx(-math.log(p[0]), rel=1e-6)
        assert tables["ngram"]["right"][place - 1] == (likeliest[0] == task.tokens[place])


def test_the_unigram_is_each_token_s_share_in_training(task: LanguageModellingData) -> None:
    table = predicted(LanguageModellingBaselines(LanguageModellingJudging(task)))["unigram"]
    train = task.tokens[slice(*task.meta["splits"]["train"])]
    size = len(task.vocabulary)
    for token in (4, 7, size - 1):
        share = ((train == token).sum() + 1) / (len(train) + size)
        assert table[table["token"] == token]["nats"].to_numpy() == pytest.approx(-math.log(share), rel=1e-6)
    assert (table["right"] == (table["token"] == np.bincount(train).argmax())).all()


# --- writing ---


SPEC = TaskSpec("letters", "many_to_many", 6, 6, CrossEntropy(), {"nll": "min"}, "nll", tokens=True)


def many_to_many(cell_class: Any = RNNCell, spec: TaskSpec = SPEC, hidden_size: int = 12) -> ManyToMany:
    torch.manual_seed(0)

    def make(input_size: int) -> Recurrent:
        return Recurrent(cell_class, input_size, hidden_size, batch_first=True)

    return ManyToMany(spec, make, embedding_size=8).eval()


def with_fixed_distribution(p: list[float]) -> ManyToMany:
    """A net that says the same of every next token."""
    net = many_to_many()
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias.copy_(torch.tensor(p).log())
    return net


P = [0.4, 0.05, 0.25, 0.1, 0.15, 0.05]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, P),
        ({"temperature": 0.5}, [p**2 / sum(q**2 for q in P) for p in P]),
        ({"temperature": 2.0}, [p**0.5 / sum(q**0.5 for q in P) for p in P]),
        ({"top_k": 2}, [0.4 / 0.65, 0, 0.25 / 0.65, 0, 0, 0]),
        ({"top_k": 99}, P),
        ({"never": (0, 2)}, [0, 0.05 / 0.35, 0, 0.1 / 0.35, 0.15 / 0.35, 0.05 / 0.35]),
        ({"top_k": 1, "never": (0,)}, [0, 0, 1, 0, 0, 0]),
        ({"temperature": 0}, [1, 0, 0, 0, 0, 0]),
        ({"temperature": 1e-30}, [1, 0, 0, 0, 0, 0]),
    ],
    ids=str,
)
def test_tokens_are_drawn_from_the_distribution_that_was_asked_for(options: dict[str, Any], expected: Any) -> None:
    net = with_fixed_distribution(P)
    assert probabilities(torch.tensor(P).log(), **options).tolist() == pytest.approx(expected, abs=1e-6)
    generator = torch.Generator().manual_seed(0)
    drawn = sample(net, torch.zeros(500, 3, dtype=torch.long), 40, generator=generator, **options)
    assert drawn.shape == (500, 40)
    shares = torch.bincount(drawn.flatten(), minlength=6) / drawn.numel()
    # 20,000 draws: five standard errors of a share are at most 0.018
    assert shares.tolist() == pytest.approx(expected, abs=0.018)


@pytest.mark.parametrize("options", [{"top_k": 1}, {"temperature": 0}, {"temperature": 1e-30}], ids=str)
def test_the_greedy_text_is_what_the_whole_net_says_of_it(options: dict[str, Any]) -> None:
    net = many_to_many()
    prompt = torch.tensor([[1, 4, 2], [0, 3, 5]])
    written = sample(net, prompt, 20, **options)
    whole = torch.cat([prompt, written], dim=1)
    with torch.no_grad():
        logits, _ = net(Batch(whole, whole))
    assert torch.equal(logits[:, 2:-1].argmax(-1), written)


def test_the_same_generator_writes_the_same_and_another_something_else() -> None:
    net, prompt = many_to_many(), torch.tensor([[1]])
    one, again, other = (sample(net, prompt, 40, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


class Counted(RNNCell):
    """Counts how often its weights are prepared."""

    prepared = 0

    def prepare(self) -> dict[str, Tensor]:
        Counted.prepared += 1
        return super().prepare()


def test_weights_are_prepared_once_for_a_whole_text() -> None:
    net = many_to_many(Counted)
    prompt = torch.tensor([[1, 2]])
    net(Batch(prompt, prompt))
    Counted.prepared = 0
    net(Batch(prompt, prompt))
    of_prompt = Counted.prepared
    sample(net, prompt, 30)
    assert Counted.prepared == 2 * of_prompt + 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "temperature must be a number >= 0, got -1"),
        ({"top_k": 0}, "top_k must be an integer >= 1"),
    ],
)
def test_what_cannot_be_drawn_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        sample(many_to_many(), torch.tensor([[1]]), 2, **options)


def test_an_elman_net_learns_hello_world_and_writes_it() -> None:
    text = "hello world"
    vocabulary = Vocabulary.fit([text])
    size = len(vocabulary)
    spec = TaskSpec("hello", "many_to_many", size, size, CrossEntropy(), {"nll": "min"}, "nll", tokens=True)
    net = many_to_many(spec=spec, hidden_size=16)
    tokens = torch.from_numpy(vocabulary.encode(text)).long()[None]
    batch = Batch(tokens[:, :-1], tokens[:, 1:])
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        loss, _ = net.loss(net(batch)[0], batch)
        loss.backward()
        optimizer.step()
    written = sample(net, tokens[:, :1], len(text) - 1, top_k=1)
    assert "h" + "".join(vocabulary.decode(written[0].tolist())) == text


@pytest.mark.parametrize("unit", ["character", "byte"])
def test_a_net_writes_text_without_special_tokens(tmp_path: Path, unit: str) -> None:
    task = prepared(tmp_path, "Grüße an alle, äöü!\n" * 500, unit=unit)
    module, judging = net_of(task), LanguageModellingJudging(task)
    for content in judging.samples(module).values():
        assert isinstance(content, str)
        assert len(content) >= (600 if unit == "character" else 200)
        assert "<" not in content
    assert judging.write(module, "Grüße", 30, top_k=1) == judging.write(module, "Grüße", 30, temperature=0)
    module.net.head.bias.data[[PADDING, START, END, UNKNOWN]] = 100
    assert len(judging.write(module, "\n", 50, temperature=0).encode()) >= 50


def test_a_net_that_would_read_its_targets_is_refused(task: LanguageModellingData) -> None:
    with pytest.raises(UserError, match="may not read it"):
        RNN(name="rnn", spec=task.spec.as_dict(), net=NET, optimizer={}, hidden_size=8, bidirectional=True)


# --- figures ---


def test_a_passage_is_broken_into_lines_and_nothing_is_lost() -> None:
    text = "a word " * 30 + "\n\n" + "x" * 200 + " end\nlast"
    lines = _lines(text)
    assert [place for line in lines for place in line] == list(range(len(text)))
    assert max(map(len, lines)) == COLUMNS
    first = "".join(text[place] for place in lines[0])
    assert first == "a word " * 11 + "a "


def test_letters_are_counted_within_their_words() -> None:
    text = "it's, well .. a.b"
    places = _place_in_word(np.array([one.isalnum() for one in text]))
    assert places.tolist() == [1, 2, 0, 1, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 1, 0, 1]


def test_the_passage_is_a_line_of_the_test_part_behind_what_comes_before_it(task: LanguageModellingData) -> None:
    passage = LanguageModellingFigures(LanguageModellingJudging(task)).passage()
    assert passage.past is not None
    tokens = torch.cat([passage.past.inputs, passage.batch.inputs], dim=1)[0].tolist()
    text, whole = "".join(task.vocabulary.decode(tokens)), "".join(task.vocabulary.decode(task.tokens.tolist()))
    line = text[-len(passage.labels) :]
    assert "".join(passage.labels) == "".join(map(shown, line))
    assert text[: -len(line)].endswith("\n")
    assert whole.index(line, task.meta["splits"]["test"][0]) == whole.index(text, 0) + len(text) - len(line)


def test_every_character_is_shown_by_one_sign() -> None:
    assert [shown(one) for one in "a\n\t \x00é漢\ufffd"][:5] == ["a", "↵", "→", "␣", "·"]
    assert all(len(shown(chr(code))) == 1 for code in range(0x3000))


# --- as a user runs it ---


def test_a_text_is_trained_on_and_written_by_the_byte(run: Run, root: Path) -> None:
    """Of a file that is no text at all."""
    (root / "my.bin").write_bytes(bytes(np.random.default_rng(0).choice([0, 200, 255, 65, 13], 20_000).tolist()))
    command = (
        "task=text", f"task.path={root / 'my.bin'}", "task.unit=byte", "task.epoch_steps=5", "cell=gru",
        "trainer.max_epochs=2", "callbacks.samples.every_n_epochs=1", "tracking=none",
    )  # fmt: skip
    trained = run("train", *command)
    assert trained.code == 0, trained.err
    assert "5 kinds of byte" in trained.out
    judged = run("evaluate", *command)
    assert judged.code == 0, judged.err
    assert "text/ngram: test nats_per_byte" in judged.out
    (folder,) = root.glob("runs/text/*/gru/*")
    for name in ("train/seed=0/samples/epoch_0002", "evaluate/seeds/seed=0/samples"):
        assert {path.name for path in (folder / name).iterdir()} == {"temperature_0.5.txt", "temperature_1.0.txt"}
    assert (folder / "evaluate/figures/activations.png").is_file()


@pytest.mark.mirror
@pytest.mark.skipif(not MIRROR, reason="RNNLAB_MIRROR names no mirror of the full data sets")
def test_tiny_shakespeare_is_judged_on_what_others_validate_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNLAB_MIRROR", str(MIRROR))
    cfg = compose_task("shakespeare", "task.source=tiny")
    task = open_task(cfg, 0)
    assert isinstance(task, LanguageModellingData)
    assert len(task.tokens) == 1_115_394
    assert task.meta["splits"]["test"] == [int(0.9 * 1_115_394), 1_115_394]
    assert len(task.vocabulary) == 4 + 65
    judging = LanguageModellingJudging(task)
    metrics = judging.judge(predicted(LanguageModellingBaselines(judging))["ngram"])
    assert 1.5 < metrics["nats_per_character"] < 1.65
    assert judging.predict(build_module(cfg, task).eval())["nats"].mean() == pytest.approx(math.log(69), abs=0.2)
