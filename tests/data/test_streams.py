"""A long sequence read in streams: each target once, nothing between two batches, the state carried as it should be."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra.utils import get_class
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from rnnlab.config.fingerprint import plain
from rnnlab.config.stages import compose_task
from rnnlab.data.batches import Batch, Streams
from rnnlab.data.vocabulary import IGNORED
from rnnlab.layouts.per_timestep import ManyToMany
from rnnlab.losses import CrossEntropy
from rnnlab.modules.module import SequenceModule
from rnnlab.spec import TaskSpec
from tests.conftest import Run, start
from tests.layouts.nets import options_of
from tests.training.test_train import same, wait_for

TOKENS = 7
SPEC = TaskSpec(
    "streams", "many_to_many", TOKENS, TOKENS, CrossEntropy(), {"nll": "min"}, "nll", tokens=True, causal=True,
    streamed=True,
)  # fmt: skip
ADAM = {"_target_": "torch.optim.Adam", "lr": 1e-2}
CELLS = ("rnn", "lstm", "gru", "mingru", "slstm", "lmu", "feedforward")


@st.composite
def cut(draw: st.DrawFn) -> dict[str, Any]:
    """Options of `Streams` over the values 0, 1, 2 ..., so that a value tells its place."""
    size = draw(st.integers(3, 90))
    first = draw(st.integers(0, size - 3))
    return {
        "values": np.arange(size),
        "span": (first, draw(st.integers(first + 2, size))),
        "timesteps": draw(st.integers(1, 12)),
        "batch_size": draw(st.integers(1, 9)),
    }


def counted(streams: Streams) -> np.ndarray:
    """The targets that count, in ascending order."""
    targets = np.concatenate([batch.targets.numpy().ravel() for batch in streams])
    return np.sort(targets[targets != IGNORED])


@given(cut(), st.integers(0, 20))
@settings(deadline=None, max_examples=200)
def test_every_timestep_but_the_first_is_a_target_once(options: dict[str, Any], warm_up: int) -> None:
    first, end = options["span"]
    assert np.array_equal(counted(Streams(**options, warm_up=warm_up)), np.arange(first + 1, end))


@given(cut(), st.integers(0, 5), st.integers(0, 5))
@settings(deadline=None, max_examples=200)
def test_with_a_seed_too_in_every_epoch_and_nothing_outside_the_span_is_read(
    options: dict[str, Any], seed: int, epoch: int
) -> None:
    first, end = options["span"]
    streams = Streams(**options, seed=seed, warm_up=3)
    streams.sampler.set_epoch(epoch)
    assert np.array_equal(counted(streams), np.arange(first + 1, end))
    inputs = torch.cat([batch.inputs.flatten() for batch in streams])
    assert first <= int(inputs.min())
    assert int(inputs.max()) < end - 1


@given(cut(), st.integers(0, 20), st.none() | st.integers(0, 5), st.none() | st.integers(1, 4))
@settings(deadline=None, max_examples=200)
def test_the_target_is_the_next_input_within_a_batch_and_between_two(
    options: dict[str, Any], warm_up: int, seed: int | None, at_most: int | None
) -> None:
    streams = Streams(**options, warm_up=warm_up, seed=seed, at_most=at_most)
    batches = list(streams)
    assert len(batches) == len(streams)
    assert [batch.starts for batch in batches] == [True] + [False] * (len(batches) - 1)
    assert {len(batch.inputs) for batch in batches} == {streams.batch_size}
    first, end = options["span"]
    inputs = torch.cat([batch.inputs for batch in batches], dim=1).numpy()
    targets = torch.cat([batch.targets for batch in batches], dim=1).numpy()
    real = targets != IGNORED
    assert np.array_equal(targets[real], inputs[real] + 1)
    following = real[:, :-1] & real[:, 1:]
    read = inputs[:, 1:][following]
    # behind the end of the span, it is read from its beginning
    assert np.array_equal(targets[:, :-1][following], np.where(read == first, end - 1, read))


@given(cut(), st.integers(1, 20))
@settings(deadline=None, max_examples=200)
def test_before_its_first_target_a_stream_reads_as_much_as_it_is_asked_to_and_there_is(
    options: dict[str, Any], warm_up: int
) -> None:
    streams = Streams(**options, warm_up=warm_up)
    inputs = torch.cat([batch.inputs for batch in streams], dim=1).numpy()
    targets = torch.cat([batch.targets for batch in streams], dim=1).numpy()
    for read, target in zip(inputs, targets, strict=True):
        places = np.flatnonzero(target != IGNORED)
        if len(places):
            before = read[: places[0] + 1]
            assert np.array_equal(before, np.arange(before[-1] - warm_up, before[-1] + 1).clip(0))


def test_an_epoch_of_few_batches_reads_another_part_each_time() -> None:
    streams = Streams(np.arange(10_001), (0, 10_001), timesteps=10, batch_size=4, seed=0, at_most=5)
    assert len(streams) == 5
    seen = []
    for epoch in range(40):
        streams.sampler.set_epoch(epoch)
        seen.append(counted(streams))
        assert len(np.unique(seen[-1])) == 4 * 5 * 10
    assert len(np.unique(np.concatenate(seen))) > 4000, "40 random fifths of a hundredth cover 1 - 0.98⁴⁰ = 0.55"


def module_of(name: str, **changes: Any) -> SequenceModule:
    """In float64, its embedding far from zero."""
    options = plain(compose_task("digits", f"cell={name}").cell) | {"hidden_size": 6} | changes
    torch.manual_seed(0)
    module_class = get_class(options.pop("_target_"))
    return module_class(
        **options, spec=SPEC.as_dict(), optimizer=ADAM, net=options_of(ManyToMany, embedding_size=5)
    ).double()


def tokens(size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, TOKENS, size)


@pytest.mark.parametrize("name", CELLS)
def test_the_carried_state_makes_one_long_sequence_of_all_batches(name: str) -> None:
    module = module_of(name, num_layers=2).eval()
    streams = Streams(tokens(64), (0, 64), timesteps=9, batch_size=1)
    assert len(streams) == 7
    whole = torch.from_numpy(tokens(64))[None]
    with torch.no_grad():
        expected = module.net(Batch(whole[:, :-1], whole[:, 1:]))[0]
        state, found = None, []
        for batch in streams:
            prediction, state = module.net(batch, None if batch.starts else state)
            found.append(prediction)
    torch.testing.assert_close(torch.cat(found, dim=1), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_training_over_the_batches_is_truncated_backpropagation_through_time(name: str) -> None:
    """The gradients of an epoch's batches add up to that of the whole sequence, cut every so many timesteps."""
    values = tokens(61)
    module = module_of(name)
    for batch in Streams(values, (0, 61), timesteps=10, batch_size=1):
        (module.training_step(batch, 0) / 6).backward()
    whole = torch.from_numpy(values)[None]
    cut_off = module_of(name, truncate=10)
    cut_off.load_state_dict(module.state_dict())
    loss = cut_off.loss(Batch(whole[:, :-1], whole[:, 1:]))
    loss.backward()
    for (key, ours), theirs in zip(module.named_parameters(), cut_off.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-12, msg=key)

    uncut = module_of(name)
    uncut.load_state_dict(module.state_dict())
    uncut.loss(Batch(whole[:, :-1], whole[:, 1:])).backward()
    differs = [not torch.allclose(p.grad, q.grad) for p, q in zip(module.parameters(), uncut.parameters(), strict=True)]
    assert any(differs) or name == "feedforward", "what is cut off is felt"


def test_validation_between_two_epochs_and_a_new_epoch_leave_no_trace() -> None:
    """Training and validation carry states of their own, and an epoch begins at the initial state."""
    module = module_of("gru")
    train, validation = (Streams(tokens(41), (0, 41), 10, size) for size in (2, 1))

    def epoch(with_validation: bool) -> list[float]:
        losses = []
        for batch in train:
            losses.append(module._step(batch, "train").item())
            if with_validation:
                for other in validation:
                    module._step(other, "validation")
        return losses

    assert epoch(False) == epoch(True) == epoch(False)


def test_the_loss_of_an_epoch_is_the_mean_over_all_targets() -> None:
    """Batches in which few targets count weigh less: the last one, and those of a warm-up."""
    module = module_of("gru").float()
    streams = Streams(tokens(75), (10, 75), timesteps=12, batch_size=3, warm_up=8)
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.validate(module, streams, verbose=False)
    total, count, state = 0.0, 0, None
    with torch.no_grad():
        for batch in streams:
            prediction, state = module.net(batch, state)
            loss, size = module.net.loss(prediction, batch)
            total, count = total + loss.item() * size, count + size
    assert count == 64
    assert trainer.callback_metrics["loss/validation"].item() == pytest.approx(total / count, rel=1e-6)


class Recording(pl.Callback):
    """Keeps the first input of every epoch."""

    def __init__(self) -> None:
        self.first: list[Tensor] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Batch, batch_idx: int) -> None:
        if batch_idx == 0:
            self.first.append(batch.inputs)


def test_lightning_tells_the_streams_the_epoch() -> None:
    streams = Streams(tokens(500), (0, 500), timesteps=10, batch_size=3, seed=4)
    recording = Recording()
    trainer = pl.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[recording],
    )  # fmt: skip
    module = module_of("rnn").float()
    trainer.fit(module, streams)
    assert len(recording.first) == 3
    for epoch, found in enumerate(recording.first):
        streams.sampler.set_epoch(epoch)
        assert torch.equal(found, next(iter(streams)).inputs)


def test_a_killed_run_on_a_stream_goes_on_and_ends_as_if_nothing_had_happened(run: Run, root: Path) -> None:
    text = root / "my.txt"
    text.write_text("".join(np.random.default_rng(0).choice(list("abc de\n"), 30_000)))
    command = (
        "task=text", f"task.path={text}", "cell=lstm", "cell.hidden_size=16", "cell.dropout=0.1", "cell.num_layers=2",
        "trainer.max_epochs=6", "callbacks=none", "task.epoch_steps=20", "tracking=none",
    )  # fmt: skip

    def weights() -> dict[str, Tensor]:
        (path,) = root.glob("runs/text/*/lstm/*/train/seed=0/weights.safetensors")
        return load_file(path)

    process = start(root, "train", *command)
    wait_for(process, lambda: list(root.glob("runs/text/*/lstm/*/checkpoints/seed=0/last.ckpt")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not list(root.glob("runs/text/*/lstm/*/train/*"))
    resumed = run("train", *command)
    assert resumed.code == 0, resumed.err
    assert "going on where it stopped" in resumed.out
    after_kill = weights()
    assert run("train", *command, "force=true").code == 0
    assert same(after_kill, weights())
