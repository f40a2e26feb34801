"""The leaderboard: ranks, verdicts and the words under the table."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from rnnlab.errors import UserError
from rnnlab.report.curves import draw_curves
from rnnlab.report.leaderboard import in_words, rows
from rnnlab.report.page import _figures, by_part, write
from rnnlab.report.results_table import Entry, Section, _chosen, _distinct, _named, _section
from rnnlab.results.paths import Results
from tests.conftest import Run
from tests.report.parts import RAIN

ITEMS = 400


def losses(mean: float, p_value: float) -> NDArray[np.float64]:
    """Losses whose paired t test against those of the reference, all 1, has this p-value."""
    spread = np.tile([-1.0, 1.0], ITEMS // 2)
    if p_value >= 1:
        return 1 + spread
    deviation = stats.t.isf(p_value / 2, ITEMS - 1)
    return 1 + (np.sign(mean - 1) or 1) * deviation / np.sqrt(ITEMS - 1) + spread


def entry(name: str, value: float, p_value: float, kind: str = "cell", seeds: int = 3, spread: float = 0.0) -> Entry:
    """Of seeds whose losses differ by `spread` from one to the next."""
    offsets = np.arange(seeds) - (seeds - 1) / 2
    by_seed = [{"score": value + 0.01 * offset} for offset in offsets]
    training = [{"parameters": 10, "state_size": 2, "train_seconds": 1.0, "steps_per_second": 5.0}] * seeds
    items = np.ones(ITEMS) if name == "naive" else losses(value, p_value)
    items = items + spread * offsets[:, None]
    return Entry(name, kind, {"score": value}, by_seed, items, training if kind == "cell" else [])


def section(*entries: Entry, direction: str = "min", naive: Entry | None = None) -> Section:
    return replace(
        RAIN, direction=direction, entries=[*entries, naive or entry("naive", 1.0, 1.0, "baseline", seeds=1)]
    )


def verdicts(found: Section) -> dict[str, str]:
    return {row.name: row.verdict for row in rows(found)}


@pytest.mark.parametrize("direction", ["min", "max"])
def test_the_better_side_depends_on_the_direction(direction: str) -> None:
    """Losses are to be low, whatever the metric."""
    low, high = entry("low", 0.5, 1e-6), entry("high", 1.5, 1e-6)
    if direction == "max":
        low, high = replace(low, losses=high.losses), replace(high, losses=low.losses)
    found = section(low, high, direction=direction)
    first, last = ("low", "high") if direction == "min" else ("high", "low")
    assert [row.name for row in rows(found)] == [first, "naive", last]
    assert verdicts(found)[first].startswith("better than naive")
    assert verdicts(found)[last].startswith("worse than naive")


def test_a_verdict_is_corrected_for_the_number_of_cells() -> None:
    """p = 0.03 alone is evidence; as the best of three looks it is not."""
    assert verdicts(section(entry("a", 0.9, 0.03)))["a"].startswith("better")
    three = section(entry("a", 0.9, 0.03), entry("b", 0.95, 0.4), entry("c", 0.97, 0.6))
    assert verdicts(three)["a"] == "no difference from naive seen (p = 0.09)"


BEST = "naive, the best baseline on validation"


def test_the_words_say_when_no_cell_beats_the_reference() -> None:
    ridge = entry("ridge", 0.8, 0.4, "baseline", seeds=1)
    found = section(entry("a", 0.9, 0.3), ridge)
    text = in_words(found, rows(found))
    assert text.startswith(f"No cell is seen to be better than {BEST}.")
    assert "first in rank is ridge" in text
    winner = section(entry("a", 0.5, 1e-9))
    assert in_words(winner, rows(winner)) == f"Better than {BEST}, with evidence: a."
    loser = section(entry("a", 1.5, 1e-9))
    assert in_words(loser, rows(loser)).startswith(f"No cell is seen to be better than {BEST}; worse: a.")


def test_a_strong_baseline_is_what_cells_are_compared_with_and_the_trivial_one_named_beside_it() -> None:
    """As of the weather, where every net beats climatology, and ridge does so as well."""
    ridge = entry("ridge", 0.5, 1e-9, "baseline", seeds=1)
    found = replace(section(entry("a", 0.49, 1e-9), entry("b", 0.51, 1e-9), ridge), reference="ridge")
    table = rows(found)
    assert [row.verdict for row in table if row.kind == "cell"] == ["no difference from ridge seen (p = 1.00)"] * 2
    assert next(row.verdict for row in table if row.name == "naive").startswith("worse than ridge")
    assert in_words(found, table) == (
        "No cell is seen to be better than ridge, the best baseline on validation. "
        "Better than naive, the trivial one: all cells. Among the cells no order is seen."
    )
    single = replace(section(entry("a", 0.49, 1e-9), entry("b", 0.51, 1e-9, seeds=1), ridge), reference="ridge")
    assert (
        " Better than naive, the trivial one: a. "
        "Better than naive, the trivial one, but with fewer than three seeds: b. "
    ) in in_words(single, rows(single))
    weak = replace(section(entry("a", 1.0, 1.0), ridge), reference="ridge")
    assert in_words(weak, rows(weak)).endswith(
        "; worse: a. None is seen to be better than naive, the trivial one. The first in rank is ridge, which uses no "
        "recurrent net."
    )
    few = replace(section(entry("a", 0.49, 1e-9, seeds=1), ridge), reference="ridge")
    assert "Better than naive, the trivial one, but with fewer than three seeds: a." in in_words(few, rows(few))


def test_evidence_over_days_is_not_enough_when_the_seeds_disagree() -> None:
    assert verdicts(section(entry("steady", 0.99, 1e-4)))["steady"].startswith("better than naive")
    lucky = entry("lucky", 0.99, 1e-4, spread=0.3)
    assert verdicts(section(lucky))["lucky"].startswith("no difference from naive seen")
    single = section(entry("single", 0.5, 1e-9, seeds=1))
    assert verdicts(single)["single"].startswith("better than naive with this one seed")
    assert in_words(single, rows(single)).startswith(f"Better than {BEST}, but with fewer than three seeds: single.")
    two = section(entry("two", 0.5, 1e-9, seeds=2), entry("one", 0.6, 1e-9, seeds=1))
    assert verdicts(two)["two"].startswith("better than naive with these two seeds")
    assert "Fewer than three seeds of a cell say nothing of" in in_words(two, rows(two))


def test_the_words_say_what_the_seeds_tell_of_the_cells_among_themselves() -> None:
    close = section(entry("a", 0.90, 1.0), entry("b", 0.91, 1.0))
    assert "Among the cells no order is seen." in in_words(close, rows(close))
    apart = section(entry("a", 0.5, 1e-9), entry("b", 0.51, 1e-9), entry("c", 0.9, 1.0))
    assert "Among the cells, a is better than c; no difference from the others" in in_words(apart, rows(apart))


def seeds_at(name: str, *values: float) -> Entry:
    items = np.random.default_rng(0).normal(size=ITEMS) * 0.1
    losses = np.array(values)[:, None] + items
    training = [{"parameters": 10, "state_size": 2, "train_seconds": 1.0, "steps_per_second": 5.0}] * len(values)
    by_seed = [{"score": value} for value in values]
    return Entry(name, "cell", {"score": float(np.mean(values))}, by_seed, losses, training)


def test_an_order_behind_an_unsure_first_is_said() -> None:
    """The first in rank is good on some items and bad on others, so that it is seen to be better than none."""
    wild = seeds_at("wild", 0.4, 0.401, 0.402)
    wild = replace(wild, losses=wild.losses + 40 * np.tile([-1.0, 1.0], ITEMS // 2))
    found = section(wild, seeds_at("b", 0.5, 0.501, 0.502), seeds_at("c", 0.9, 0.901, 0.902))
    assert in_words(found, rows(found)).endswith(
        " Among the cells, wild is not seen to be better than any; b is better than c."
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_cell_of_losses_that_are_not_finite_leaves_the_verdicts_of_the_others_as_they_are(value: float) -> None:
    good, bad = entry("good", 0.5, 1e-9), entry("bad", 0.6, 1e-9)
    bad = replace(bad, losses=np.where(np.arange(ITEMS) == 3, value, bad.losses), summary={"score": value})
    found, alone = section(bad, good, entry("worse", 1.5, 1e-9)), section(good, entry("worse", 1.5, 1e-9))
    *others, last = rows(found)
    assert others == rows(alone)
    assert (last.name, last.verdict) == ("bad", "no verdict: not all its losses are finite")
    assert (last.p_value, last.ci_low) == (None, None)
    assert in_words(found, [*others, last]).endswith(
        "Among the cells, good is better than worse. Not judged, as not all losses are finite: bad."
    )


def test_seeds_that_fail_now_and_then_get_their_share_and_no_better() -> None:
    """A mean over a spread of two humps stands for neither."""
    cells = (
        seeds_at("sure", 0.001, 0.002, 0.0015),
        seeds_at("torn", 0.001, 0.002, 0.6),
        seeds_at("lost", 0.6, 0.61, 0.6),
    )
    found = replace(section(*cells), solved=0.01)
    said = verdicts(found)
    assert said["sure"] == "better than naive (p < 0.0001); 3 of 3 seeds solve it (share 0.44 to 1.00)"
    assert said["torn"] == "2 of 3 seeds solve it (share 0.21 to 0.94)"
    assert said["lost"].endswith("; 0 of 3 seeds solve it (share 0.00 to 0.56)")
    assert [(row.name, row.solved) for row in rows(found)] == [("sure", 3), ("torn", 2), ("lost", 0), ("naive", None)]
    words = in_words(found, rows(found))
    assert words.startswith(f"Better than {BEST}, with evidence: sure, lost.")
    assert "Among the cells, sure is better than lost." in words
    assert words.endswith("Of torn the mean stands for no seed: some are good and some are not.")


def test_seeds_in_two_groups_are_named_where_nothing_says_what_solved_is() -> None:
    cells = seeds_at("sure", 0.10, 0.11, 0.105), seeds_at("torn", 0.10, 0.11, 0.6)
    said = verdicts(section(*cells))
    assert said["sure"].startswith("better than naive")
    assert said["torn"] == "no verdict: its seeds are far apart (2 near 0.105, 1 near 0.6)"


def test_cells_that_search_with_different_beams_are_not_compared_fairly() -> None:
    one, other = entry("a", 0.9, 0.3), entry("b", 0.95, 0.3)
    found = section(*(replace(each, settings={"task.beam": beam}) for each, beam in ((one, 1), (other, 5))))
    assert in_words(found, rows(found)).endswith("beams of different widths (a 1, b 5): not a fair comparison.")
    alike = section(*(replace(each, settings={"task.beam": 5}) for each in (one, other)))
    assert "beam" not in in_words(alike, rows(alike))


def test_cells_that_were_trained_for_different_budgets_are_not_compared_fairly() -> None:
    epochs = {"trainer.max_epochs": 10}
    steps = {"budget.name": "steps", "budget.steps": 40, "trainer.max_epochs": None}
    found = section(replace(entry("a", 0.9, 0.3), settings=epochs), replace(entry("b", 0.95, 0.3), settings=steps))
    assert in_words(found, rows(found)).endswith("budgets (a 10 epochs, b 40 steps): not a fair comparison.")
    alike = section(*(replace(entry(name, 0.9, 0.3), settings=epochs) for name in "ab"))
    assert "budget" not in in_words(alike, rows(alike))


def test_too_few_forecasts_are_not_tested_and_the_report_says_why(tmp_path: Path) -> None:
    few = [replace(each, losses=each.losses[:, :11]) for each in section(*map(sure, "ab")).entries]
    found = replace(section(), overlap=12, unit="forecast", entries=few)
    too_few = "too few to test: 11 forecasts, overlapping by 11"
    assert verdicts(found) == dict.fromkeys(("naive", "a", "b"), too_few) | {"naive": "the reference"}
    words = f"No difference was tested, as there are {too_few}; at least 144 are "
    assert in_words(found, rows(found)) == f"{words}needed."
    write([found], tmp_path / "reports")
    table = pd.read_csv(tmp_path / "reports/leaderboard.csv", index_col="name")
    assert table["verdict"]["a"] == too_few
    assert table["ci_low"].isna().all()
    for page in ("leaderboard.html", "leaderboard.md"):
        text = re.sub('base64,[^"]*', "", (tmp_path / "reports" / page).read_text(encoding="utf-8"))
        assert words in text
        assert not re.search(r"\bnan\b|p [=<] ", text, re.IGNORECASE)
    one = replace(found, unit="speaker", overlap=None, entries=[replace(e, losses=e.losses[:, :1]) for e in few])
    assert verdicts(one)["a"] == "too few to test: 1 speaker"


def sure(name: str) -> Entry:
    return entry(name, 0.5, 1e-9)


def test_the_columns_that_others_read_keep_their_places(tmp_path: Path) -> None:
    write([section(sure("a"))], tmp_path / "reports")
    columns = list(pd.read_csv(tmp_path / "reports/leaderboard.csv").columns)
    assert " ".join(columns[:16]) == (
        "task name kind metric direction mean ci_low ci_high rank seeds trials parameters state_size train_seconds "
        "steps_per_second verdict"
    )
    assert columns[16:] == ["reference", "p_value", "solved", "data", "data_digest"]


def test_intervals_are_over_seeds_and_items_and_absent_for_a_cell_of_one_seed() -> None:
    found = {row.name: row for row in rows(section(entry("one", 0.5, 1.0, seeds=1), entry("several", 0.7, 1e-9)))}
    assert found["one"].ci_low is None
    several = found["several"]
    assert several.ci_low is not None
    assert several.ci_high is not None
    # the losses' own mean, which of these made-up ones is not the score
    mean = losses(0.7, 1e-9).mean()
    assert several.ci_low < mean < several.ci_high


def test_an_interval_is_of_the_metric_and_does_not_leave_what_it_can_be() -> None:
    wrong = np.zeros((3, 100))
    wrong[1, 0] = 1
    accuracies = [{"accuracy": 1 - share} for share in wrong.mean(axis=1)]
    nearly = Entry("nearly", "cell", {"accuracy": 1 - wrong.mean()}, accuracies, wrong)
    half = np.tile([0.0, 1.0], 50)[None]
    naive = Entry("naive", "baseline", {"accuracy": 0.5}, [{"accuracy": 0.5}], half)
    found = replace(section(nearly, naive=naive), metric="accuracy", direction="max")
    one, other = rows(found)
    assert one.ci_low is not None
    assert one.ci_high is not None
    assert 0.95 < one.ci_low < one.mean < one.ci_high <= 1.0
    assert (other.ci_low, other.ci_high) == pytest.approx((0.40, 0.60), abs=0.005)


def test_equal_means_share_a_rank(tmp_path: Path) -> None:
    equal = [entry("b", 0.1 + 0.2, 1.0), entry("a", 0.3, 1.0), entry("c", 0.4, 1.0)]
    write([section(*equal)], tmp_path / "reports")
    ranked = pd.read_csv(tmp_path / "reports/leaderboard.csv")
    assert dict(zip(ranked["name"], ranked["rank"], strict=True)) == {"b": 1, "a": 1, "c": 3, "naive": 4}
    markdown = (tmp_path / "reports/leaderboard.md").read_text(encoding="utf-8")
    assert [line.split("|")[1].strip() for line in markdown.splitlines() if line.startswith("|")][2:6] == list("1134")


def test_a_page_has_its_contents_and_a_short_verdict_with_the_whole_one_behind_it(tmp_path: Path) -> None:
    losing = replace(section(entry("lost_cell", 1.5, 1e-9)), task="snow")
    write([section(sure("a"), naive=None), losing], tmp_path / "reports")
    html = (tmp_path / "reports/leaderboard.html").read_text(encoding="utf-8")
    contents = html[html.index("<nav>") : html.index("</nav>")]
    for number, (task, who) in enumerate([("rain", "a better than"), ("snow", "no cell seen to be better than")], 1):
        row = f'<tr><td><a href="#section-{number}">{task} (score, lower is better)</a></td><td>{who} naive</td></tr>'
        assert row in contents
        assert f'<h2 id="section-{number}">' in html
    assert '<td title="better than naive (p &lt; 0.0001)">better (p\u00a0&lt;\u00a00.0001)</td>' in html


def test_errors_by_part_keep_their_intervals(tmp_path: Path) -> None:
    summary = {"score": 1.0, "score_1": 0.5, "score_low_1": 0.4, "score_high_1": 0.6, "score_2": 0.7}
    found = section(naive=Entry("naive", "baseline", summary, [summary], np.ones((1, 2))))
    table = by_part(found)
    assert list(table["score"]) == ["0.500 (0.400 to 0.600)", "0.700"]
    write([found], tmp_path / "reports")
    metrics = pd.read_csv(tmp_path / "reports/metrics.csv")
    assert set(metrics["metric"]) == set(summary)


def test_what_a_baseline_lacks_stays_empty(tmp_path: Path) -> None:
    """One without probabilities has no nll, whole or by part."""
    whole = {"score": 1.0, "nll": 12.345, "score_1": 0.5, "nll_1": 3.0, "p_value_1": 1e-9}
    bare = {"score": 0.9, "score_1": 12.25}
    baselines = [Entry(name, "baseline", has, [has], np.ones((1, 2))) for name, has in (("naive", whole), ("b", bare))]
    found = replace(section(naive=baselines[0]), entries=baselines)
    table = by_part(found)
    assert list(table.columns) == ["name", "steps ahead", "score", "NLL", "p value"]
    assert table.to_numpy()[:, 2:].tolist() == [["0.50", "3.00", "< 0.0001"], ["12.25", "", ""]]
    write([found], tmp_path / "reports")
    assert "nan" not in (tmp_path / "reports/leaderboard.md").read_text(encoding="utf-8")


def test_runs_by_hand_are_compared_on_the_same_data_only(run: Run, root: Path) -> None:
    """Of two settings of a cell one is shown; another data set gets a table of its own."""
    short = ("trainer.max_epochs=1", "tracking=none")
    same_data = (["cell=rnn"], ["cell=rnn", "task.batch_size=32"])
    for overrides in (*same_data, ["cell=gru", "task.test=0.1"]):
        assert run("train", *short, *overrides).code == 0
        assert run("evaluate", *short, *overrides).code == 0
    outcome = run("report", "report.folder=runs", "tracking=none")
    assert outcome.code == 0
    one, other = sorted(re.split(r"^## ", outcome.out, flags=re.MULTILINE)[1:], key=lambda part: "gru" in part)
    assert len(re.findall(r"\| rnn task.batch_size=(?:32|64) ", one)) == 1
    assert len(list(root.glob("runs/price/*/rnn/*/train"))) == 2
    assert "gru" in other
    assert "| rnn" not in other
    headings = [part.splitlines()[0] for part in (one, other)]
    titles = ["price: AAPL, 5 ahead", "price: AAPL, 5 ahead, test=0.1"]
    assert headings == [f"{title} (relative MAE, lower is better)" for title in titles]
    for name in ("leaderboard", "metrics"):
        table = pd.read_csv(root / f"reports-runs/{name}.csv")
        assert set(table["task"]) == {"price"}
        assert set(table["data"]) == set(titles)
        assert table["data_digest"].nunique() == 2
    # a copy of a folder is no other data set
    shutil.copytree(next(root.glob("runs/price/*/rnn")).parent, root / "runs/price/copy")
    assert run("report", "report.folder=runs", "tracking=none").code == 0
    assert len(pd.read_csv(root / "reports-runs/metrics.csv")) == len(table)


def test_runs_without_baselines_are_named(run: Run, root: Path) -> None:
    """As an interrupted `evaluate` leaves them: no table can be made, and none goes without a word."""
    short = ("task=xor", "cell=rnn", "trainer.max_epochs=1", "tracking=none")
    for name in ("train", "evaluate"):
        assert run(name, *short).code == 0
    (folder,) = root.glob("runs/xor/*/rnn/*")
    shutil.rmtree(folder.parents[1] / "baselines")
    reported = run("report", "report.folder=runs", "tracking=none")
    assert reported.code == 2
    said = f"left out, as the baselines on their data are not judged: {folder.relative_to(root)}: run `rnnlab evaluate`"
    assert said in reported.out


def test_baselines_of_an_earlier_version_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text('{"format": 3, "spec": {}, "data": "d", "reference": "ridge"}')
    with pytest.raises(UserError, match="is not there, or of an earlier version"):
        _section("rain", [tmp_path], [])


def test_orders_of_pixels_are_tasks_of_their_own(run: Run, root: Path) -> None:
    """The arrays are the same, but not what is asked."""
    short = ("task=digits", "cell=rnn", "cell.hidden_size=4", "trainer.max_epochs=1", "trainer.limit_batches=1")
    for order in ("rows", "permuted"):
        for name in ("train", "evaluate"):
            assert run(name, *short, f"task.order={order}", "tracking=none").code == 0
    assert run("report", "report.folder=runs", "tracking=none").code == 0
    table = pd.read_csv(root / "reports-runs/leaderboard.csv").query("kind == 'cell'")
    assert list(table["data"]) == ["digits: 5,000 of MNIST, permuted", "digits: 5,000 of MNIST, rows"]
    assert list(table["task"]) == ["digits", "digits"]
    assert list(table["trials"]) == [0, 0]


def test_data_sets_of_a_task_are_in_order_and_those_called_the_same_apart() -> None:
    def titles(*called: str) -> list[str]:
        found = [replace(section(), data=f"{i}123456789", called=each) for i, each in enumerate(called)]
        return [section.title for section in _distinct(found)]

    assert titles("rain: length 5") == ["rain: length 5"]
    assert titles("rain: length 100", "rain: length 5") == ["rain: length 5", "rain: length 100"]
    assert titles("rain: a.csv", "rain: b.csv", "rain: a.csv") == [
        "rain: a.csv (01234567)", "rain: a.csv (21234567)", "rain: b.csv",
    ]  # fmt: skip


def test_a_bar_in_a_name_breaks_no_table(tmp_path: Path) -> None:
    write([replace(section(sure("gru columns=a|b")), called='rain: wet|dry.csv, "mm/h" <b>')], tmp_path / "reports")
    text = (tmp_path / "reports/leaderboard.md").read_text()
    (line,) = [line for line in text.splitlines() if "gru" in line and line.startswith("|")]
    assert r"gru columns=a\|b" in line
    assert len(re.findall(r"(?<!\\)\|", line)) == 12
    assert r'## rain: wet|dry.csv, "mm/h" \<b> (' in text
    assert "mm/h&#34; &lt;b&gt;" in (tmp_path / "reports/leaderboard.html").read_text()


def test_a_cell_that_is_called_as_a_baseline_keeps_its_own_figures(tmp_path: Path) -> None:
    results = Results(tmp_path / "runs")
    (results.summary / "figures").mkdir(parents=True)
    (results.summary / "figures/by_length.png").touch()
    pd.DataFrame({"key": ["loss/train", "loss/validation"], "epoch": 1, "value": 1.0}).to_parquet(_history(results))
    cell = entry("naive", 0.5, 1e-9, seeds=1)
    found = section(replace(cell, results=results, training=[{**cell.training[0], "seed": 0}]))
    (own,) = _figures(found, rows(found), tmp_path / "figures").own
    assert list(own) == ["naive: by length"]


def _history(results: Results) -> Path:
    results.train(0).mkdir(parents=True)
    return results.train(0) / "history.parquet"


def tried(cell: str, lr: float, validation_loss: float, score: float) -> Entry:
    facts = {"parameters": 10, "multiply_adds": 9, "train_seconds": 1.0, "validation_loss": validation_loss}
    found = Entry(cell, "cell", {"score": score}, [{"score": score}] * 2, np.ones((2, 4)), [facts] * 2)
    return replace(found, settings={"optimizer.lr": lr, "cell.hidden_size": 8}, results=Results(Path(f"{cell}{lr}")))


def test_of_several_settings_the_validation_part_chooses_and_the_trials_are_counted() -> None:
    """The best on the test part is not taken."""
    entries = _named([tried("gru", 0.1, 0.9, 0.1), tried("gru", 0.01, 0.5, 0.4), tried("gru", 0.001, 0.7, 0.3)])
    (chosen,) = _chosen(entries, tried=4)
    assert chosen.name == "gru optimizer.lr=0.01"
    assert chosen.cell == "gru"
    assert chosen.trials == 4
    limited = replace(entries[0], settings={**entries[0].settings, "trainer.limit_batches": 1})
    limited = replace(limited, training=[{**limited.training[0], "validation_loss": 0.1}] * 2)
    assert _chosen([limited, *entries[1:]], tried=3)[0].name == "gru optimizer.lr=0.01"
    lucky = [replace(entries[2], by_seed=entries[2].by_seed * 2, training=entries[2].training * 2), *entries[:2]]
    assert _chosen(lucky, tried=3)[0].name == "gru optimizer.lr=0.001", "three seeds before two that were lucky"
    (alone,) = _chosen(entries[:1], tried=1)
    assert alone.trials == 0
    other_loss = replace(entries[0], settings={**entries[0].settings, "task.loss": "SquaredError"})
    assert len(_chosen([other_loss, *entries[1:]], tried=3)) == 3


def test_settings_are_named_in_words_of_the_command_line() -> None:
    """What is not set is not said, nor what follows from another word."""
    plain = {"cell.forget_bias": None, "trainer.max_epochs": 20, "trainer.patience": 10}
    steps = {"trainer.max_epochs": None, "trainer.patience": None, "budget.name": "steps", "budget.steps": 40}
    tuned = {**plain, "optimizer.lr": 0.1, "tuning.name": "search", "tuning.trials": 20, "tuning.study": "abc"}
    settings = [plain, {**plain, **steps}, {**plain, "cell.forget_bias": 3.0}, tuned]
    named = _named([replace(tried("lstm", 0.1, 1, 1), settings={"optimizer.lr": 0.2, **each}) for each in settings])
    assert [each.name for each in named] == [
        "lstm optimizer.lr=0.2",
        "lstm optimizer.lr=0.2 budget=steps budget.steps=40",
        "lstm optimizer.lr=0.2 cell.forget_bias=3",
        "lstm optimizer.lr=0.1 tuning=search",
    ]
    longer = {**tuned, "tuning.trials": 50, "tuning.study": "def"}
    names = [each.name for each in _named([replace(tried("gru", 1, 1, 1), settings=each) for each in (tuned, longer)])]
    assert names == ["gru tuning.trials=20 tuning.study=abc", "gru tuning.trials=50 tuning.study=def"]


def test_what_was_varied_gets_a_picture_with_a_line_for_each_cell() -> None:
    settings = [tried(cell, lr, lr, 1 - lr) for cell in ("gru", "rnn") for lr in (0.1, 0.01)]
    naive = Entry("naive", "baseline", {"score": 1.0}, [{"score": 1.0}], np.ones((1, 4)))
    found = replace(section(settings[1], settings[3], naive=naive), tried=settings)
    figures = draw_curves(found)
    assert set(figures) == {"test score against learning rate", "test score against cost"}
    axes = figures["test score against learning rate"].axes[0]
    assert axes.get_xscale() == "log"
    lines = {line.get_label(): line for line in axes.containers}
    assert [list(line[0].get_xdata()) for line in lines.values()] == [[0.01, 0.1]] * 2
    legend = figures["test score against learning rate"].legends[0]
    assert {text.get_text() for text in legend.get_texts()} == {"gru", "rnn", "naive, the best baseline"}


def test_every_picture_of_a_section_has_the_reference_and_the_best_baseline() -> None:
    """The one is chosen on validation, the other leads on the test split; one may lack a metric of parts."""
    parts = {"score_10": 0.5, "score_20": 0.7}
    cells = [replace(tried("gru", lr, lr, 1 - lr)) for lr in (0.1, 0.01)]
    cells = [replace(cell, summary=cell.summary | parts, by_seed=[{"score": 1.0} | parts] * 2) for cell in cells]
    naive = Entry("naive", "baseline", {"score": 0.9} | parts, [{"score": 0.9}], np.ones((1, 4)))
    ridge = Entry("ridge", "baseline", {"score": 0.8}, [{"score": 0.8}], np.ones((1, 4)))
    figures = draw_curves(replace(section(cells[0], ridge, naive=naive), tried=cells))
    assert len(figures) == 3
    for title, figure in figures.items():
        texts = {text.get_text().replace("\n", " ") for text in figure.legends[0].get_texts()}
        said = {"naive, best baseline on validation", "ridge, best baseline on test"}
        assert said <= texts, title
        for axes in figure.axes:
            assert sum(line.get_linestyle() in ("--", ":") for line in axes.lines) == 2, title


def test_metrics_of_parts_are_drawn_for_cells_and_baselines() -> None:
    summary = {"score": 1.0, "score_10": 0.5, "score_20": 0.7, "score_low_10": 0.1, "other_10": 3.0}
    cell = replace(tried("gru", 0.1, 0.5, 0.5), summary=summary, by_seed=[summary, summary])
    naive = Entry("naive", "baseline", summary, [summary], np.ones((1, 4)))
    found = replace(section(cell, direction="max", naive=naive), parts="lengths", tried=[cell])
    figures = draw_curves(found)
    assert set(figures) == {"test score by lengths"}
    assert list(figures["test score by lengths"].axes[0].lines[0].get_xdata()) == [10, 20]
