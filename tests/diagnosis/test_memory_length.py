"""Memory looked into: gradients, Jacobians and gates of nets whose own are known, and no trace in the training."""

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hydra.utils import get_class
from matplotlib.pyplot import imread
from mlflow import MlflowClient
from safetensors.torch import load_file
from torch import Tensor

from rnnlab.cells.gru import GRUCell
from rnnlab.cells.linear import LRUCell
from rnnlab.cells.lstm import LSTMCell
from rnnlab.cells.rnn import RNNCell
from rnnlab.config.fingerprint import plain
from rnnlab.config.stages import compose_task
from rnnlab.diagnosis.gradients import gradient_by_timestep
from rnnlab.diagnosis.jacobian import (
    Passage,
    gradients_back,
    growth_rate,
    passages,
    saturation,
    singular_values,
    watch_passages,
)
from rnnlab.diagnosis.memory_length import memory_length
from rnnlab.errors import UserError
from rnnlab.report.length_sweep import draw_lengths, learnt_up_to, read_runs
from rnnlab.results.files import read_json, write_json
from rnnlab.results.paths import CONF
from rnnlab.unroll.recurrent import Recurrent
from tests.conftest import Run, start

CELLS = sorted(path.stem for path in (CONF / "cell").glob("*.yaml") if path.stem != "torchrecurrent")


def inputs(time: int, batch: int = 2, size: int = 3) -> Tensor:
    return torch.randn(time, batch, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def linear_net(weight: Tensor) -> Recurrent:
    """hₜ = W hₜ₋₁ + U xₜ"""
    recurrent = Recurrent(RNNCell, 3, len(weight), activation="identity").double()
    with torch.no_grad():
        recurrent.cells[0].weight_hh.copy_(weight)
    return recurrent


def looked(recurrent: Recurrent, x: Tensor, **options: Any) -> tuple[list[dict[str, Tensor]], list[Passage]]:
    loss, found = watch_passages(recurrent, lambda: recurrent(x, **options)[0][-1].sum())
    return gradients_back(loss, found), found


def random_weight(size: int = 5) -> Tensor:
    return torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) / size**0.5


def test_a_linear_elman_net_has_the_singular_value_and_the_gradients_of_its_weight() -> None:
    weight, time = random_weight(), 12
    recurrent = linear_net(weight)
    ((gradient,), (passage,)) = looked(recurrent, inputs(time))
    ones = torch.ones(5, dtype=torch.float64)
    expected = [
        math.sqrt(2) * torch.linalg.matrix_power(weight.T, k).mv(ones).norm().item() for k in range(1, time + 1)
    ]  # of two sequences
    assert gradient["state"].tolist() == pytest.approx(expected, rel=1e-12)
    assert gradient["hidden"].equal(gradient["state"])
    sigma = singular_values(passage)
    assert sigma.shape == (2 * time,)
    assert sigma.numpy() == pytest.approx(torch.linalg.matrix_norm(weight, 2).item(), rel=1e-5)


@pytest.mark.parametrize("largest", [0.8, 1.3])
def test_gradients_grow_in_the_long_run_as_the_largest_eigenvalue_does(largest: float) -> None:
    torch.manual_seed(0)
    basis = torch.eye(5, dtype=torch.float64) + 0.3 * random_weight()
    eigenvalues = torch.tensor([largest, 0.5, 0.4, 0.2, -0.1], dtype=torch.float64)
    weight = basis @ eigenvalues.diag() @ basis.inverse()
    ((gradient,), (passage,)) = looked(linear_net(weight), inputs(100))
    assert growth_rate(passage) == pytest.approx(math.log(largest), rel=1e-4)
    memory = memory_length(gradient["state"].tolist())
    if largest > 1:
        assert memory == math.inf
    else:
        assert 0 < memory < 3 / -math.log(largest)


def test_an_orthogonal_weight_keeps_every_gradient_as_it_is() -> None:
    weight = torch.linalg.qr(random_weight())[0]
    ((gradient,), (passage,)) = looked(linear_net(weight), inputs(50))
    assert gradient["state"].tolist() == pytest.approx([math.sqrt(2 * 5)] * 50, rel=1e-12)
    assert singular_values(passage).numpy() == pytest.approx(1, rel=1e-12)
    assert growth_rate(passage) == pytest.approx(0, abs=1e-12)
    assert memory_length(gradient["state"].tolist()) == math.inf


def test_an_lstm_whose_forget_gate_is_one_keeps_the_gradient_of_its_cell() -> None:
    recurrent = Recurrent(LSTMCell, 1, 1).double()
    (cell,) = recurrent
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.bias_ih[1] = 100.0
    ((gradient,), (passage,)) = looked(recurrent, torch.zeros(50, 1, 1, dtype=torch.float64))
    assert gradient["cell"].tolist() == pytest.approx([0.5] * 50, rel=1e-12)  # o = σ(0), c = 0: dh/dc = 1/2
    assert gradient["hidden"].tolist() == [0.0] * 50
    assert memory_length(gradient["state"].tolist()) == math.inf
    # d(h, c)/d(h, c) is [[0, 1/2], [0, 1]]
    assert singular_values(passage).numpy() == pytest.approx(math.sqrt(1.25), rel=1e-12)
    assert growth_rate(passage) == pytest.approx(0, abs=1e-12)
    assert saturation(passage, cell) == [(0, 1), (0, 0), (0, 0)], "forget, input and output gate"


@pytest.mark.parametrize("cell_class", [RNNCell, GRUCell, LSTMCell, LRUCell])
def test_a_singular_value_is_that_of_the_jacobian_of_the_step(cell_class: type) -> None:
    """`torch.autograd.functional.jacobian` of the stepwise net, sequence by sequence."""
    torch.manual_seed(0)
    recurrent = Recurrent(cell_class, 3, 4).double()
    x = inputs(3)
    _, (passage,) = looked(recurrent, x)
    sigma = singular_values(passage).view(3, 2)
    state = recurrent.initial_state(2)[0]
    for t in range(3):
        for row in range(2):

            def step(flat: Tensor, t: int = t, row: int = row, state: Any = state) -> Tensor:
                parts = flat.split([part.shape[1] for part in state])
                after = recurrent.step(x[t, row][None], [type(state)._make(part[None] for part in parts)])[1][0]
                return torch.cat(list(after), dim=1)[0]

            jacobian = torch.autograd.functional.jacobian(step, torch.cat([part[row] for part in state]).detach())
            assert sigma[t, row].item() == pytest.approx(torch.linalg.matrix_norm(jacobian, 2).item(), rel=1e-4)
        state = recurrent.step(x[t], [state])[1][0]


def test_gradients_are_those_by_timestep_where_the_state_is_the_output_and_the_loss_reads_its_end() -> None:
    torch.manual_seed(0)
    recurrent = Recurrent(GRUCell, 3, 4).double()
    (gradient,), _ = looked(recurrent, inputs(7))
    (by_timestep,) = gradient_by_timestep(recurrent, inputs(7), lambda outputs: outputs[-1].sum())
    assert gradient["hidden"].flip(0)[1:].tolist() == pytest.approx(by_timestep["hidden"][:-1], rel=1e-12)


def test_of_a_loss_at_every_timestep_the_last_one_counts() -> None:
    torch.manual_seed(0)
    recurrent = Recurrent(GRUCell, 3, 4, num_layers=2).double()
    at_the_end, _ = looked(recurrent, inputs(7))
    loss, found = watch_passages(recurrent, lambda: recurrent(inputs(7))[0].sum())
    for ours, theirs in zip(gradients_back(loss, found), at_the_end, strict=True):
        assert torch.allclose(ours["state"], theirs["state"], rtol=1e-12)
    assert loss.item() == pytest.approx(recurrent(inputs(7))[0].sum().item(), rel=1e-12), "its value stays"


def test_padding_changes_nothing() -> None:
    """Two sequences, of 4 and 7 timesteps: as each by itself."""
    torch.manual_seed(0)
    recurrent = Recurrent(LSTMCell, 3, 4).double()
    x, lengths = inputs(7), torch.tensor([4, 7])
    loss, (both,) = watch_passages(
        recurrent, lambda: recurrent(x, lengths=lengths)[0][lengths - 1, torch.arange(2)].sum()
    )
    together = gradients_back(loss, [both])[0]["state"]
    alone = [looked(recurrent, x[: lengths[row], row : row + 1]) for row in range(2)]
    short, long = (gradient["state"] for (gradient,), _ in alone)
    assert torch.allclose(together[:4], (short**2 + long[:4] ** 2).sqrt(), rtol=1e-12)
    assert torch.allclose(together[4:], math.sqrt(2) * long[4:], rtol=1e-12)
    of_each = torch.cat([singular_values(passage) for _, (passage,) in alone]).sort().values
    assert torch.allclose(singular_values(both).sort().values, of_each, rtol=1e-4)
    cell = recurrent.cells[0]
    shares = [np.array(saturation(passage, cell)) for passage in (both, *(passage for _, (passage,) in alone))]
    assert np.allclose(shares[0], (4 * shares[1] + 7 * shares[2]) / 11)


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_can_be_looked_into(name: str) -> None:
    torch.manual_seed(0)
    options = plain(compose_task("digits", f"cell={name}").cell) | {"hidden_size": 4, "num_layers": 2}
    options.pop("name")
    cell_class = get_class(options.pop("_target_")).cell_class
    recurrent = Recurrent(cell_class, 3, **options).double().eval()
    gradients, found = looked(recurrent, inputs(6))
    for gradient, passage, cell in zip(gradients, found, recurrent, strict=True):
        assert set(gradient) == {"state", *cell.initial_state(1)._fields}
        assert all(values.shape == (6,) and values.isfinite().all() for values in gradient.values())
        sigma = singular_values(passage)
        assert sigma.isfinite().all()
        # what J does to any one direction is no more than what it does to the one it stretches most
        assert growth_rate(passage) <= math.log(sigma.max()) + 1e-6
        assert all(0 <= share <= 1 and 0 <= other <= 1 for share, other in saturation(passage, cell))
    assert gradients[-1]["state"][1] > 0


def test_a_backward_direction_counts_back_from_where_it_ends() -> None:
    """It reads the turned sequence, as a net of one direction with its weights would."""
    torch.manual_seed(0)
    recurrent, alone = (Recurrent(GRUCell, 3, 4, bidirectional=both).double() for both in (True, False))
    alone.cells[0].load_state_dict(recurrent.cells[1].state_dict())
    x = inputs(6)
    loss, (_, backward) = watch_passages(recurrent, lambda: recurrent(x)[0][0, :, 4:].sum())
    (expected,), (passage,) = looked(alone, x.flip(0))
    assert torch.allclose(gradients_back(loss, [backward])[0]["state"], expected["state"], rtol=1e-12)
    assert growth_rate(backward) == pytest.approx(growth_rate(passage), rel=1e-12)


def test_memory_ends_where_one_in_e_of_the_gradient_is_left() -> None:
    """Of λᵏ: 1 / ln(1/λ) timesteps, whole or not."""
    for decay in (0.5, 0.9, 0.99):
        norms = [7 * decay**k for k in range(1000)]
        assert memory_length(norms) == pytest.approx(-1 / math.log(decay), rel=1e-12)
        assert memory_length(norms, 0.01) == pytest.approx(math.log(0.01) / math.log(decay), rel=1e-12)
    assert memory_length([1.0, 0.0, 0.0]) == 1
    assert memory_length([1.0, 2.0, 4.0]) == math.inf
    for nothing in ([0.0, 0.0], [math.inf, 1.0], []):
        assert math.isnan(memory_length(nothing))


def test_the_net_is_left_as_it_was() -> None:
    recurrent = Recurrent(LSTMCell, 3, 4)
    x = inputs(5).float()
    before, unroll = recurrent(x)[0], recurrent.unroll
    random_numbers = torch.get_rng_state()
    _, (passage,) = looked(recurrent, x)
    singular_values(passage)
    growth_rate(passage)
    assert torch.equal(random_numbers, torch.get_rng_state())
    assert torch.equal(recurrent(x)[0], before)
    assert recurrent.unroll == unroll != "loop"
    assert all(parameter.grad is None for parameter in recurrent.parameters())
    with pytest.raises(RuntimeError, match="no loss"), passages(recurrent):
        raise RuntimeError("no loss")
    assert recurrent.step_hook is None
    assert not recurrent._forward_pre_hooks


def test_a_net_that_is_run_token_by_token_is_refused() -> None:
    recurrent = Recurrent(GRUCell, 3, 4)
    with pytest.raises(UserError, match="token by token"):
        watch_passages(recurrent, lambda: recurrent.step(torch.zeros(1, 3))[0].sum())


SHORT = ("tracking=none", "task=adding", "task.length=12", "task.test_lengths=[]", "task.train=200",
         "task.validation=50", "task.test=50", "trainer.max_epochs=3", "cell=lstm", "cell.num_layers=2",
         "cell.dropout=0.2")  # fmt: skip


def trained(root: Path) -> Path:
    (folder,) = root.glob("runs/*/*/*/*/train/seed=0")
    return folder


def test_a_training_is_looked_into_and_ends_in_the_same_weights(run: Run, root: Path) -> None:
    assert run("train", *SHORT).code == 0
    without = trained(root)
    weights = load_file(without / "weights.safetensors")
    assert not (without / "memory").exists()
    shutil.rmtree(root / "runs")

    assert run("train", *SHORT, "callbacks=memory", "callbacks.memory.every_n_epochs=2").code == 0
    folder = trained(root)
    for name, weight in load_file(folder / "weights.safetensors").items():
        assert weight.equal(weights[name]), "dropout included, nothing drew from the training's random numbers"
    kept = read_json(folder / "metrics.json")["best_epoch"]
    memory = read_json(folder / "memory/memory.json")
    assert memory["before_training"]["epoch"] == 0
    assert (memory["epoch"], memory["timesteps"], memory["sequences"], len(memory["cells"])) == (kept, 12, 32, 2)
    assert [len(cell["gates"]) for cell in memory["cells"]] == [3, 3]
    gradients = pd.read_parquet(folder / "memory/gradients.parquet")
    assert set(gradients["epoch"]) == {0, 2, kept}
    assert set(gradients["field"]) == {"state", "hidden", "cell"}
    assert (gradients.groupby(["epoch", "cell", "field"])["steps_back"].max() == 12).all()
    for name in ("gradients_back", "memory"):
        assert imread(folder / f"memory/{name}.png").std() > 0.05, "something is drawn"
    history = pd.read_parquet(folder / "history.parquet")
    charted = history[history["key"] == "memory/cells.1.largest_singular_value"]
    assert list(charted["epoch"]) == sorted({0, 2, kept})
    assert charted["value"].iloc[-1] == memory["cells"][1]["largest_singular_value"]

    assert run("evaluate", *SHORT, "callbacks=memory", "callbacks.memory.every_n_epochs=2").code == 0
    assert (folder.parents[1] / "evaluate/figures/gradients_back.png").exists()


def test_a_trained_net_is_looked_into_later_with_the_same_numbers(run: Run, root: Path) -> None:
    before = run("diagnose", *SHORT, "callbacks=memory")
    assert before.code == 2
    assert "is not trained under this config" in before.err
    assert run("train", *SHORT, "callbacks=memory").code == 0
    outcome = run("diagnose", *SHORT, "callbacks=memory")
    assert outcome.code == 0
    assert "cell 1: memory" in outcome.out
    folder = trained(root).parents[1] / "diagnosis/seed=0"
    of_training = read_json(trained(root) / "memory/memory.json")
    assert read_json(folder / "memory.json") == of_training | {"before_training": None}


def test_a_run_that_the_code_made_anew_counts_once_in_a_sweep_over_lengths(run: Run, root: Path) -> None:
    sweep = ("-m", *SHORT, "cell=rnn", "task.length=5,9", "trainer.max_epochs=1", "callbacks=memory")
    for stage in ("train", "evaluate"):
        assert run(stage, *sweep).code == 0
    before = read_runs([root / "runs"])
    assert list(before["length"]) == [5, 9]
    path = next(path for path in root.glob("runs/*/*/*/*") if of_length(path) == 9)
    other = path.with_name("0123456789")
    shutil.copytree(path, other)
    judged, about = other / "evaluate/seeds/seed=0/metrics.json", other / "train/seed=0/run.json"
    write_json(judged, read_json(judged) | {"mse": 0.0})
    description = read_json(about)
    description["params"]["parameters"] += 1  # as where the code gives the cell a bias more
    description["key"] += " of other code"
    for later in (False, True):
        write_json(about, description | {"started": description["started"] + (1 if later else -1)})
        found = read_runs([root / "runs"])
        assert list(found["length"]) == [5, 9]
        assert list(found["score"]) == [before["score"][0], 0.0 if later else before["score"][1]]
        assert learnt_up_to(found)["of"].tolist() == [9]
    config = about.with_name("config.yaml")
    config.write_text(config.read_text().replace("initialization: default", "initialization: {name: identity}"))
    assert list(read_runs([root / "runs"])["length"]) == [5, 9, 9], (
        "options that are no parameters of the run set it apart as well"
    )


def of_length(path: Path) -> int | None:
    about = path / "train/seed=0/run.json"
    return read_json(about)["params"]["task.length"] if about.exists() else None


@pytest.mark.parametrize(
    ("scores", "labels"),
    [
        ((0.147, 0.168), ["0.15", "0.155", "0.16", "0.165"]),
        ((0.011, 0.095), ["0.01", "0.02", "0.05", "0.1"]),
        ((0.0001, 0.16), ["10^{-4}", "10^{-3}", "10^{-2}", "10^{-1}"]),
    ],
)
def test_errors_of_any_range_have_numbers_on_their_axis(scores: tuple[float, float], labels: list[str]) -> None:
    rows = [
        {"task": "t", "unit": "timesteps", "name": "rnn", "length": length, "seed": 0, "metric": "m",
         "direction": "min", "score": score, "reference": "constant", "reference_score": scores[1],
         "timesteps": length, "memory_length": 3.0, "beyond": False, "memory_length_at_start": 2.0,
         "beyond_at_start": False}
        for length, score in zip((5, 9), scores, strict=True)
    ]  # fmt: skip
    figure = draw_lengths(pd.DataFrame(rows))
    figure.draw_without_rendering()
    shown = []
    for axes in figure.axes:
        low, high = axes.get_ylim()
        texts = [text.get_text() for text in axes.get_yticklabels()]
        shown.append([text for text, at in zip(texts, axes.get_yticks(), strict=True) if low <= at <= high])
    assert [text.removeprefix("$\\mathdefault{").removesuffix("}$") for text in shown[0]] == labels
    assert shown[1] == shown[2] == ["2", "5", "10"]


@pytest.mark.slow
def test_a_diagnosis_goes_into_the_store_and_into_a_rebuilt_one(run: Run, root: Path) -> None:
    tracked = [override for override in SHORT if override != "tracking=none"]
    assert run("train", *tracked, "callbacks=memory", "callbacks.memory.every_n_epochs=2").code == 0
    for _ in range(2):
        assert run("diagnose", *tracked, "callbacks=memory", "callbacks.memory.every_n_epochs=2").code == 0
    (root / "mlflow.db").rename(root / "first.db")
    process = start(root, "report", "report.folder=runs", "report.write=false", "report.show=false", "tracking=sync")
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    for name in ("first.db", "mlflow.db"):
        client = MlflowClient(f"sqlite:///{root}/{name}")
        (found,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
        assert found.data.metrics["diagnosis/cells.0.growth_rate"] < 0
        assert [point.step for point in client.get_metric_history(found.info.run_id, "memory/cells.0.growth_rate")][
            :2
        ] == [0, 2]
        for folder in ("diagnosis", "train/memory"):
            artifacts = {file.path for file in client.list_artifacts(found.info.run_id, folder)}
            assert f"{folder}/gradients_back.png" in artifacts


@pytest.mark.slow
def test_a_resumed_training_has_looked_at_all_epochs(root: Path) -> None:
    overrides = [*SHORT, "callbacks=memory", "trainer.max_epochs=400", "trainer.patience=400"]
    process = start(root, "train", *overrides)
    while not list(root.glob("runs/adding/*/lstm/*/checkpoints/seed=0/memory/epoch_0003.json")):
        assert process.poll() is None
    process.kill()
    process.communicate()
    (measured,) = root.glob("runs/adding/*/lstm/*/checkpoints/seed=0/memory")
    before = {path.name: path.read_bytes() for path in sorted(measured.glob("epoch_*.json"))[:3]}
    again = start(root, "train", *overrides)
    while not (measured / "epoch_0008.json").exists():
        assert again.poll() is None
    again.kill()
    printed, _ = again.communicate()
    assert "going on where it stopped" in printed
    assert {name: (measured / name).read_bytes() for name in before} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ("task=digits", "cell=mlstm", "cell.num_heads=1"),
        ("task=shakespeare", "cell=mingru"),
        ("task=translate", "cell=lstm", "cell.bidirectional=true"),
        ("task=next_word_gap", "cell=irnn"),
        ("task=parity", "cell=rnn", "trainer.precision=64-true"),
        ("task=price", "cell=gru", "trainer.precision=bf16-mixed", "cell.truncate=10"),
    ],
)
def test_all_layouts_and_precisions_are_looked_into(run: Run, root: Path, overrides: tuple[str, ...]) -> None:
    outcome = run("train", "debug=fast", "callbacks=memory", *overrides)
    assert outcome.code == 0, outcome.err


def test_a_decoder_with_attention_is_refused_before_it_is_trained(run: Run, root: Path) -> None:
    outcome = run("train", "tracking=none", "task=caption", "task.net.attention=bahdanau", "callbacks=memory")
    assert outcome.code == 2
    assert "token by token" in outcome.err


@pytest.mark.parametrize("value", ["0", "true", "often"])
def test_settings_that_mean_nothing_are_named(run: Run, value: str) -> None:
    outcome = run("train", "tracking=none", "callbacks=memory", f"callbacks.memory.every_n_epochs={value}")
    assert outcome.code == 2
    assert "callbacks.memory.every_n_epochs" in outcome.err
