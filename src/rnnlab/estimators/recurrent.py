"""A recurrent net of any cell as scikit-learn's classifier and regressor of sequences."""

import os
import random
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import save_file
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from rnnlab.arguments import Dropout, Natural, Part, Positive, PositiveNumber, check_arguments, refusal
from rnnlab.cells.cell import Cell
from rnnlab.config.files import folders, read
from rnnlab.config.fingerprint import plain
from rnnlab.config.names import OURS, check_names, given_packages
from rnnlab.data.sequences.sequences import Sequences
from rnnlab.errors import UserError
from rnnlab.estimators.inputs import InputError, labels_by_id, sequences_of
from rnnlab.modules.build import build_module, module_class
from rnnlab.modules.module import Diverged, SequenceModule
from rnnlab.results.files import atomic_folder, read_json, write_json
from rnnlab.serving.predictor import CONFIG, LEARNT, WEIGHTS, Predictor, what_builds
from rnnlab.tasks.raw_input import ROWS, sequences
from rnnlab.tasks.sequences.data import SequencesData
from rnnlab.tracking.recorder import Recorder
from rnnlab.training.train import fit_to_best, make_trainer

ESTIMATOR = "estimator"
"""The key of a saved net's config for what the estimator adds to it."""

KINDS_OF_CLASSES = "biufUO"
"""Kinds of NumPy's types that classes are restored to."""

Outputs = NDArray[np.float64]


class _Recurrent(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What both share; see `RecurrentClassifier` for the options."""

    kind: ClassVar[str]
    """Of `task=sequences`."""

    def __init__(
        self,
        cell: str | type[Cell] = "gru",
        hidden_size: Positive = 64,
        num_layers: Positive = 1,
        bidirectional: bool = False,
        dropout: Dropout = 0.0,
        input_dropout: Dropout = 0.0,
        output_dropout: Dropout = 0.2,
        readout: Literal["last", "mean", "max"] = "mean",
        lr: PositiveNumber = 0.005,
        max_epochs: Positive = 200,
        patience: Natural | None = 30,
        batch_size: Positive = 16,
        validation: Part = 0.2,
        cell_options: Mapping[str, Any] | None = None,
        random_state: Any = None,
        accelerator: Literal["auto", "cpu", "gpu"] = "auto",
        threads: Positive | None = None,
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.output_dropout = output_dropout
        self.readout = readout
        self.lr = lr
        self.max_epochs = max_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.validation = validation
        self.cell_options = cell_options
        self.random_state = random_state
        self.accelerator = accelerator
        self.threads = threads

    def _fit(self, found: Sequences, y: list[Any], groups: Any) -> None:
        """found: without labels. y: of each sequence, as the task has them."""
        if len(found) == 1:
            raise InputError("X has 1 sample: at least one more is needed, to choose the best epoch on.")
        if not found.categories and all(np.isnan(values).all() for values in found.values):
            raise InputError("X has no number in it: all values are missing.")
        if groups is not None:
            check_consistent_length(found.values, groups)
            groups = [str(group) for group in groups]
        found = replace(found, labels=y, groups=groups)
        cfg = self._config()
        seed = self._seed()
        task = _task(cfg)
        task.check()
        task.hold(found, seed)
        with _apart(seed, self.threads), tempfile.TemporaryDirectory(prefix="rnnlab-") as folder:
            module = build_module(cfg, task, self._cell_class())
            recorder = Recorder(None)
            trainer = make_trainer(cfg.trainer, recorder, Path(folder), [])
            try:
                self.best_epoch_ = fit_to_best(trainer, module, task)
            except Diverged as error:
                raise InputError(f"{error}. Try a lower lr.") from None
        self.n_epochs_ = trainer.current_epoch
        self.history_ = _history(recorder)
        self.n_features_in_ = len(found.channels)
        self._keep(what_builds(cfg), task.state_dict(), module.state_dict())

    def _config(self) -> DictConfig:
        """The config that `rnnlab train task=sequences` has under the same settings."""
        task = _file("task/sequences")
        task.merge_with({"kind": self.kind, "batch_size": int(self.batch_size), "validation": float(self.validation)})
        task.merge_with(self._of_the_task())
        task.net.merge_with({key: float(getattr(self, key)) for key in ("input_dropout", "output_dropout")})
        task.net.readout = str(self.readout)
        trainer = _file("trainer/default")
        patience = None if self.patience is None else int(self.patience)
        trainer.merge_with({"max_epochs": int(self.max_epochs), "patience": patience, "accelerator": self.accelerator})
        optimizer = _file("optimizer/adam")
        optimizer.lr = float(self.lr)
        whole = OmegaConf.create(
            {
                "task": task,
                "cell": self._cell_config(),
                "trainer": trainer,
                "optimizer": optimizer,
                "schedule": _file("schedule/cosine"),
            }
        )
        for key in ("dataset", "figures", "baselines"):
            del whole.task[key]
        resolved = OmegaConf.create(plain(whole))
        assert isinstance(resolved, DictConfig)
        faults: dict[str, str] = {}
        check_names(resolved, faults, (*OURS, *given_packages((), os.environ)))
        if isinstance(self.cell, type):
            faults.pop("cell._target_", None)  # it is not looked up by this name
        if faults:
            raise InputError(" ".join(faults.values()))
        return resolved

    def _of_the_task(self) -> dict[str, Any]:
        """Further settings of the task."""
        return {}

    def _cell_config(self) -> DictConfig:
        if isinstance(self.cell, type):
            found = _file("recurrent")
            found._target_ = f"{self.cell.__module__}.{self.cell.__qualname__}"
            found.name = self.cell.__name__.lower()
        else:
            known = read(f"cell/{self.cell}")
            if known is None:
                names = sorted({path.stem for folder in folders() for path in (folder / "cell").glob("*.yaml")})
                raise InputError(refusal("cell", f"a class made from Cell, or one of {', '.join(names)}", self.cell))
            found = known
        found.merge_with({key: _plain(value) for key, value in (self.cell_options or {}).items()})
        found.hidden_size, found.num_layers = int(self.hidden_size), int(self.num_layers)
        found.bidirectional, found.dropout = bool(self.bidirectional), float(self.dropout)
        return found

    def _cell_class(self) -> type[Cell] | None:
        """None where the config names it."""
        return self.cell if isinstance(self.cell, type) else None

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _check(self) -> None:
        check_arguments(type(self), self.get_params(deep=False))
        if isinstance(self.cell, type):
            module_class(self.cell)
        own = {"hidden_size", "num_layers", "bidirectional", "dropout"} & set(self.cell_options or ())
        if own:
            raise InputError(f"cell_options has {', '.join(sorted(own))}: the estimator has an option of this name.")

    def _keep(self, config: dict[str, Any], learnt: dict[str, Any], weights: dict[str, Any]) -> None:
        self._net = (config, learnt, {name: part.detach().cpu().clone() for name, part in weights.items()})
        self._opened = self._build()

    def _open(self) -> tuple[SequencesData, SequenceModule]:
        """The task, restored, and the net; neither is pickled."""
        if "_opened" not in self.__dict__:
            self._opened = self._build()
        return self._opened

    def _build(self) -> tuple[SequencesData, SequenceModule]:
        config, learnt, weights = self._net
        cfg = OmegaConf.create(config)
        assert isinstance(cfg, DictConfig)
        task = _task(cfg)
        task.restore(learnt)
        with torch.random.fork_rng():
            module = build_module(cfg, task, self._cell_class()).eval()
        module.load_state_dict(weights)
        return task, module

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {key: value for key, value in state.items() if key != "_opened"}

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_net")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags

    def _outputs(self, x: Any) -> Outputs:
        """What the net says of each sequence, (n, outputs)."""
        check_is_fitted(self)
        found, _ = sequences_of(x)
        task, module = self._open()
        found = _as_trained(found, task, type(self).__name__)
        encoded = [task.encoding.encode(values, found.categories) for values in found.values]
        pieces = [encoded[first : first + ROWS] for first in range(0, len(encoded), ROWS)]
        with _threads(self.threads), torch.inference_mode():
            return np.concatenate([module(sequences(piece)).double().numpy() for piece in pieces])

    def save(self, path: str | Path) -> None:
        """Write the net into a folder, whole or not at all: weights as safetensors, all else as JSON, no pickle.

        `load` reads it, and so does `rnnlab predict model=<folder>`.

        Raises: `InputError` for classes that JSON cannot hold.
        """
        check_is_fitted(self)
        config, learnt, weights = self._net
        params = {key: _plain(value) for key, value in self.get_params(deep=False).items()}
        if isinstance(self.cell, type):
            params["cell"] = None
        if not isinstance(params["random_state"], int | None):
            params["random_state"] = None
        own = {"class": type(self).__name__, "params": params, **self._to_save()}
        task, _ = self._open()
        with atomic_folder(Path(path)) as part:
            write_json(part / CONFIG, {**config, ESTIMATOR: own})
            write_json(part / LEARNT, {"spec": task.spec.as_dict(), "data": {}, "learnt": learnt})
            save_file(weights, part / WEIGHTS)

    @classmethod
    def load(cls, path: str | Path, cell: type[Cell] | None = None) -> Self:
        """The estimator that `save` wrote. Of the folder no code is run, only its weights and JSON are read.

        cell: the class of the net's cell, where it is the user's own: a folder names no code but rnnlab's.

        Raises: `InputError` for a folder that is not whole, or of something else.
        """
        with _as_value_errors():
            folder = Path(path)
            predictor = Predictor.load(folder, cell)
            content = read_json(folder / CONFIG)
            own = content.pop(ESTIMATOR, None)
            if not isinstance(own, dict) or own.get("class") != cls.__name__:
                found = own.get("class") if isinstance(own, dict) else "no estimator"
                raise InputError(f"{folder} holds {found}, and no {cls.__name__}.")
            made = cls(**{key: value for key, value in own["params"].items() if key in cls._get_param_names()})
            if cell is not None:
                made.cell = cell
            made.n_features_in_ = len(predictor.task.state_dict()["channels"]["names"])
            made._restore(own)
            made._keep(content, predictor.task.state_dict(), predictor.module.state_dict())
        return made

    def _to_save(self) -> dict[str, Any]:
        """What else is to be saved."""
        return {}

    def _restore(self, own: Mapping[str, Any]) -> None:
        """Take what `_to_save` gave."""


class RecurrentClassifier(ClassifierMixin, _Recurrent):  # type: ignore[misc]
    """Which class is a sequence? The net of `rnnlab train task=sequences`, without any file.

        >>> import numpy as np
        >>> from rnnlab.estimators import RecurrentClassifier
        >>> rng = np.random.default_rng(0)
        >>> y = np.repeat(["falling", "rising"], 20)
        >>> slope = np.where(y == "rising", 1.0, -1.0)[:, None, None]
        >>> X = slope * np.linspace(0, 1, 12) + rng.normal(0, 0.3, (40, 1, 12))  # (n, channels, time)
        >>> net = RecurrentClassifier("gru", hidden_size=8, lr=0.01, max_epochs=15, random_state=0).fit(X, y)
        >>> net.predict(X[:1]), net.predict(X[-1:])
        (array(['falling'], dtype='<U7'), array(['rising'], dtype='<U7'))

    X: see `rnnlab.estimators.inputs.sequences_of`. y: a label for each sequence, of any kind; of a long data frame a
    series may be indexed by its ids.

    Everything that the pipeline does is done inside, on what `fit` is given alone: channels are scaled, a missing value
    is the last one known, and a further channel says what was measured; a share `validation`, of each class or of whole
    groups, is kept to stop early and to choose the epoch whose weights are kept. Nothing is written or printed, and
    torch's random numbers are left as they were.

    cell: a name in conf/cell, such as `lstm`, or a class made from `rnnlab.cells.cell.Cell`. cell_options: its other
        options, and those of all cells (conf/recurrent.yaml, docs/cells.md): {"zoneout": 0.1}.
    hidden_size, num_layers, bidirectional, dropout: of the recurrent net. input_dropout, output_dropout: share of what
        enters and of what is read out that is set to zero in training.
    readout: what is said at the end is of the mean or maximum over all timesteps, or of the last one.
    lr: of Adam, falling to 0 by a cosine over max_epochs. patience: epochs without a lower validation loss before the
        training ends; None: all are spent.
    batch_size: sequences in a step. validation: share of the sequences, or of the groups.
    random_state: decides weights, order and dropout; a number is what `seed` is to the pipeline.
    accelerator: auto, cpu or gpu, to train on; answers are of the processor.
    threads: of torch, while it fits and answers; None: as many as torch has already.

    classes_: the labels, sorted. n_features_in_: channels. best_epoch_, n_epochs_: the epoch that is kept, and how many
    there were. history_: loss/train and loss/validation of each epoch.

    Raises: `InputError`, a `ValueError`, for options and data that cannot work.
    """

    kind: ClassVar[str] = "classification"

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:  # noqa: N803 (scikit-learn's name)
        """groups: whom each sequence is of; none of them is both trained on and kept for validation."""
        with _as_value_errors():
            self._check()
            found, ids = sequences_of(X)
            labels = _target(labels_by_id(y, ids), found, type(self).__name__)
            check_classification_targets(labels)
            classes, numbers = np.unique(labels, return_inverse=True)
            if len(classes) < 2:
                raise InputError(f"y has one class alone, {classes.tolist()[0]!r}: two are needed.")
            texts = [str(label) for label in classes.tolist()]
            self._fit(found, [texts[number] for number in numbers], groups)
            self.classes_ = classes
            return self

    def predict_proba(self, X: Any) -> Outputs:  # noqa: N803
        """The probability of each of `classes_`, (n, classes)."""
        result: Outputs = softmax(self._logits(X), axis=1)
        return result

    def predict_log_proba(self, X: Any) -> Outputs:  # noqa: N803
        """Its natural logarithm."""
        result: Outputs = log_softmax(self._logits(X), axis=1)
        return result

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """The most probable class of each sequence."""
        best = self._logits(X).argmax(axis=1)
        result: NDArray[Any] = self.classes_[best]
        return result

    def _logits(self, x: Any) -> Outputs:
        with _as_value_errors():
            outputs = self._outputs(x)
            # the net has them in the task's order, numbers by their size
            known = self._open()[0].classes
            return outputs[:, [known.index(str(label)) for label in self.classes_.tolist()]]

    def _to_save(self) -> dict[str, Any]:
        classes = self.classes_.tolist()
        if not all(isinstance(label, str | int | float | bool) for label in classes):
            raise InputError(f"classes such as {classes[0]!r} cannot be saved: use texts or numbers.")
        return {"classes": classes, "dtype": self.classes_.dtype.str}

    def _restore(self, own: Mapping[str, Any]) -> None:
        try:
            dtype = np.dtype(str(own["dtype"]))
            classes = np.array(own["classes"], dtype if dtype.kind in KINDS_OF_CLASSES else None)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"the classes of the saved net cannot be read ({error}).") from None
        self.classes_ = classes


class RecurrentRegressor(RegressorMixin, _Recurrent):  # type: ignore[misc]
    """Which number belongs to a sequence? The net of `rnnlab train task=sequences task.kind=regression`.

        >>> import numpy as np
        >>> from rnnlab.estimators import RecurrentRegressor
        >>> X = np.random.default_rng(0).normal(size=(60, 2, 10))
        >>> y = X[:, 0].mean(axis=1)
        >>> net = RecurrentRegressor("lstm", hidden_size=8, lr=0.02, max_epochs=30, random_state=0).fit(X, y)
        >>> net.score(X, y) > 0.7  # R²
        True

    As `RecurrentClassifier`, and y, one number for each sequence, is scaled too.

    loss: "absolute_error" or "squared_error", of the scaled number, which training lowers.
    """

    kind: ClassVar[str] = "regression"

    def __init__(
        self,
        cell: str | type[Cell] = "gru",
        hidden_size: Positive = 64,
        num_layers: Positive = 1,
        bidirectional: bool = False,
        dropout: Dropout = 0.0,
        input_dropout: Dropout = 0.0,
        output_dropout: Dropout = 0.2,
        readout: Literal["last", "mean", "max"] = "mean",
        lr: PositiveNumber = 0.005,
        max_epochs: Positive = 200,
        patience: Natural | None = 30,
        batch_size: Positive = 16,
        validation: Part = 0.2,
        cell_options: Mapping[str, Any] | None = None,
        random_state: Any = None,
        accelerator: Literal["auto", "cpu", "gpu"] = "auto",
        threads: Positive | None = None,
        loss: Literal["absolute_error", "squared_error"] = "absolute_error",
    ) -> None:
        super().__init__(
            cell,
            hidden_size,
            num_layers,
            bidirectional,
            dropout,
            input_dropout,
            output_dropout,
            readout,
            lr,
            max_epochs,
            patience,
            batch_size,
            validation,
            cell_options,
            random_state,
            accelerator,
            threads,
        )
        self.loss = loss

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:  # noqa: N803
        """groups: whom each sequence is of; none of them is both trained on and kept for validation."""
        with _as_value_errors():
            self._check()
            found, ids = sequences_of(X)
            target = _target(labels_by_id(y, ids), found, type(self).__name__)
            try:
                numbers = np.asarray(target, np.float64)
            except (TypeError, ValueError):
                raise InputError("y holds something that is no number.") from None
            if not np.isfinite(numbers).all():
                raise InputError("Input y contains NaN or infinity.")
            self._fit(found, numbers.tolist(), groups)
            return self

    def predict(self, X: Any) -> Outputs:  # noqa: N803
        """The number of each sequence."""
        with _as_value_errors():
            outputs = self._outputs(X)
            result: Outputs = self._open()[0].target_scaler.unscale(outputs)[:, 0]
            return result

    def _of_the_task(self) -> dict[str, Any]:
        return {"loss": {"absolute_error": "AbsoluteError", "squared_error": "SquaredError"}[self.loss]}


def _target(y: Any, found: Sequences, name: str) -> NDArray[Any]:
    if y is None:
        raise InputError(f"{name} requires y to be passed, but the target y is None.")
    target: NDArray[Any] = column_or_1d(y, warn=True)
    check_consistent_length(found.values, target)
    if pd.isna(target).any():
        raise InputError("Input y contains NaN.")
    return target


def _as_trained(found: Sequences, task: SequencesData, name: str) -> Sequences:
    """The channels in the order of training.

    Raises: `InputError` where they are others.
    """
    if found.channels != task.channels:
        if len(found.channels) != len(task.channels):
            raise InputError(
                f"X has {len(found.channels)} features, but {name} is expecting {len(task.channels)} features as "
                "input: channels are meant."
            )
        missing = [channel for channel in task.channels if channel not in found.channels]
        if missing:
            raise InputError(f"X has no channel '{missing[0]}'; the net reads {', '.join(task.channels)}.")
        order = [found.channels.index(channel) for channel in task.channels]
        categories = {order.index(index): texts for index, texts in found.categories.items()}
        values = [each[:, order] for each in found.values]
        found = replace(found, values=values, channels=task.channels, categories=categories)
    for index, channel in enumerate(task.channels):
        if (index in found.categories) != (index in task.encoding.categorical):
            raise InputError(f"channel '{channel}' holds text here or in training, and numbers in the other.")
    return found


def _task(cfg: DictConfig) -> SequencesData:
    task = instantiate(cfg.task.data)
    assert isinstance(task, SequencesData)
    return task


def _file(name: str) -> DictConfig:
    found = read(name)
    assert found is not None
    return found


def _history(recorder: Recorder) -> pd.DataFrame:
    rows = [(row.epoch, row.key, row.value) for row in recorder.rows if row.key in ("loss/train", "loss/validation")]
    table = pd.DataFrame(rows, columns=["epoch", "key", "value"])
    return table.pivot_table(index="epoch", columns="key", values="value").rename_axis(columns=None)


def _plain(value: Any) -> Any:
    """Python's own numbers and lists, for configs and JSON."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


@contextmanager
def _as_value_errors() -> Iterator[None]:
    """A `UserError` is an `InputError` to whoever asked scikit-learn's way."""
    try:
        yield
    except InputError:
        raise
    except UserError as error:
        raise InputError(str(error)) from None


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _apart(seed: int, threads: int | None) -> Iterator[None]:
    """Random numbers of this seed within it, as the pipeline has them; what Lightning sets for the whole process,
    these numbers and the filters of warnings are as before behind it."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(), warnings.catch_warnings(), _threads(threads):
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 (whatever draws from it)
        torch.manual_seed(seed)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)  # noqa: NPY002
            torch.use_deterministic_algorithms(deterministic, warn_only=only_warns)
            torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
