"""The keys of the config that are ours: what each may hold, what it is for, and what it decides.

Of a node with a `_target_`, the signature of that class says what it takes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_type_hints

from rnnlab.arguments import Name, Natural, Positive, PositiveNumber, Range

Seed = Annotated[int, Range(at_least=0, at_most=2**32 - 1)]


class Decides(Enum):
    """What the value of a key decides.

    A run's folder, name and parameters, and what a report or a search may choose by, are queries of it.
    """

    NOTHING = "nothing of a result"
    ROUNDING = "rounding"  # kept with a run; its folder and its name are the same
    TRAINING = "training"
    DECODING = "decoding"
    DATA = "data"


def option(text: str, decides: Decides = Decides.NOTHING, default: Any = MISSING) -> Any:
    """A field of a group: its `text` in --help, and what it decides. default: of one that may be left out."""
    return field(default=default, metadata={"text": text, "decides": decides})


def group(text: str, decides: Decides = Decides.NOTHING, *, made: bool = False, address: bool = False) -> Any:
    """A group of keys within another.

    decides: of the group as a whole, and of those of its keys that are not declared. made: whether an object is made of
    it, whose class takes them. address: whether it holds the address of a store, a mirror or a cluster, which no file
    keeps: it is no part of what is run.
    """
    return field(metadata={"text": text, "decides": decides, "is_group": True, "made": made, "address": address})


@dataclass(frozen=True)
class Sampling:
    length: Positive = option("characters that the net writes", Decides.DECODING)
    temperature: Annotated[float, Range(at_least=0)] = option("of the draws; 0: always the likeliest", Decides.DECODING)
    top_k: Natural = option("draw among so many of the likeliest; 0: among all", Decides.DECODING)
    seed: Seed = option("of the draws", Decides.DECODING)


@dataclass(frozen=True)
class Fetch:
    mirror: str | None = option("a folder or an http(s) address asked before a data set's own; null: RNNLAB_MIRROR")


@dataclass(frozen=True)
class Report:
    folder: str | list[str] = option(
        "results (of dvc repro), runs (by hand), or folders of runs that are united: [runs,OTHER/runs]"
    )
    write: bool = option("false: leave the files as they are")
    show: bool = option("print the leaderboard")


@dataclass(frozen=True)
class Training:
    hidden_size: Positive = option("what cell.hidden_size is, unless given", Decides.TRAINING)
    max_epochs: Positive = option("what trainer.max_epochs is, unless given", Decides.TRAINING)
    lr: PositiveNumber = option("what optimizer.lr is, unless given", Decides.TRAINING)
    patience: Positive = option("what trainer.patience is, unless given", Decides.TRAINING, default=10)


@dataclass(frozen=True)
class Named:
    """Further keys are those of its `_target_`."""

    name: Name = option("what it is called", Decides.TRAINING)


@dataclass(frozen=True)
class NamedData(Named):
    """As `Named`, of a data set."""

    name: Name = option("what it is called", Decides.DATA)


@dataclass(frozen=True)
class Task:
    """Further keys are a task's own: those that an interpolation reads."""

    name: Name = option("what it is called", Decides.DATA)
    training: Training = group("what every cell gets on this task", Decides.TRAINING)
    net: dict[str, Any] = group("what is around the cell: its layout", Decides.TRAINING, made=True)
    dataset: NamedData = group("what is read", Decides.DATA, made=True)
    data: dict[str, Any] = group("what is made of it", Decides.DATA, made=True)
    judging: dict[str, Any] = group("what predictions mean", Decides.DECODING, made=True)
    figures: dict[str, Any] = group("how they are drawn", Decides.DECODING, made=True)
    baselines: dict[str, Any] = group("what stands beside them", Decides.DECODING, made=True)
    question: str = option("what is asked of the data set, in titles behind its name", default="")
    batch_options: tuple[str, ...] = option(
        "options of data that decide training alone: the prepared arrays are the same", default=()
    )


@dataclass(frozen=True)
class Trainer:
    max_epochs: Positive | None = option("epochs at most; null: as long as budget says", Decides.TRAINING)
    patience: Positive | None = option(
        "epochs without a lower validation loss before training stops; null: it does not", Decides.TRAINING
    )
    gradient_clip_val: Annotated[float, Range(at_least=0)] | None = option(
        "largest norm of the gradient; null: not clipped", Decides.TRAINING
    )
    accelerator: Literal["auto", "cpu", "gpu"] = option("where it is trained", Decides.ROUNDING)
    precision: Literal["32-true", "64-true", "16-mixed", "bf16-mixed"] = option("of the numbers", Decides.TRAINING)
    threads: Annotated[int, Range(at_least=1, at_most=1024)] = option(
        "of the processor: small nets gain nothing from more", Decides.ROUNDING
    )
    deterministic: bool = option("only algorithms that give the same each time", Decides.ROUNDING)
    limit_batches: Positive | None = option("only so many batches of an epoch; null: all", Decides.TRAINING)
    log_every_n_steps: Positive = option("steps from one point of a chart to the next")


@dataclass(frozen=True)
class Budget:
    name: Literal["epochs", "steps", "seconds"] = option("what a training may spend", Decides.TRAINING)
    steps: Positive | None = option("budget=steps: of the optimizer, all of which are taken", Decides.TRAINING)
    seconds: PositiveNumber | None = option("budget=seconds: within training steps, all spent", Decides.TRAINING)


@dataclass(frozen=True)
class Parameters:
    name: Literal["free", "matched"] = option("cell.hidden_size as given, or chosen for equal sizes", Decides.TRAINING)
    count: Positive | None = option(
        "matched: parameters of the whole net; null: as many as the reference has", Decides.TRAINING
    )
    reference: Name = option("matched: a file of conf/cell", Decides.TRAINING)


@dataclass(frozen=True)
class Tuning:
    name: Name = option("the folder of conf/tuned whose settings are applied last; none: no settings", Decides.TRAINING)
    trials: Natural | None = option("trials it took to find the settings; null: found by hand", Decides.TRAINING)
    study: str | None = option("which search found them, of those in searches/", Decides.TRAINING)


@dataclass(frozen=True)
class Search:
    name: Name = option("the overlays go into conf/tuned/<name>, and tuning=<name> applies them")
    trials: Positive = option("in all, for each cell as many; the same command resumes an interrupted search")
    seed: Seed = option("of the sampler; that of weights and batches is `seed`")
    startup_trials: Natural = option("drawn at random before the sampler learns from them; none of them is pruned")
    pruner: Literal["median", "hyperband", "none"] = option("what ends a trial that is worse than the others")
    warmup_epochs: Natural = option("of every trial that no pruner ends")
    space: dict[str, Any] = group("the keys that are tried, each {low, high, log, step} or {choices}")
    storage: str | None = field(
        default=None,
        metadata={
            "text": "a PostgreSQL database whose studies several workspaces share; null: a journal in the workspace",
            "decides": Decides.NOTHING,
            "address": True,
        },
    )


@dataclass(frozen=True)
class Config:
    seed: Seed = option("of the initial weights and of the order of the batches", Decides.TRAINING)
    force: bool = option("train again although this very result is there")
    checkpoint: str | None = option("evaluate: a .ckpt to test in place of the run's own weights")
    discard: bool = option("keep nothing: results go to a folder that is deleted at the end")
    dvc: bool = option("set by dvc.yaml: all seeds of conf/grid.yaml, kept in results/ instead of runs/")
    packages: list[str] = option(
        "of one's own, whose classes the config may name; on the command line alone, or by RNNLAB_PACKAGES"
    )
    model: str | None = option(
        "predict, export: a run's folder, a model's, or an address, models:/<name>@champion; null: the net that "
        "train made under the same overrides"
    )
    input: Any = option(
        "predict: a file, a folder of files, or a text; - for a timestep in each line of standard input"
    )
    output: str | None = option("predict: a .csv, .parquet, .json or .jsonl; null: lines of JSON to standard output")
    sampling: Sampling = group("predict: of a net that goes on with a text")
    fetch: Fetch = group("where data come from", address=True)
    port: Annotated[int, Range(at_least=1, at_most=65535)] = option("ui: where it listens")
    report: Report = group("which leaderboard")
    task: Task = group("data, layout, loss and baselines", Decides.DATA)
    cell: Named = group("the equations", Decides.TRAINING, made=True)
    trainer: Trainer = group("how long and on what to train", Decides.TRAINING)
    callbacks: dict[str, Any] = group("what looks into a training, by name; null: not this one", made=True)
    optimizer: dict[str, Any] = group("how the weights are changed", Decides.TRAINING, made=True)
    schedule: dict[str, Any] | None = group("the learning rate over epochs", Decides.TRAINING, made=True)
    budget: Budget = group("what a training may spend", Decides.TRAINING)
    parameters: Parameters = group("equal numbers of parameters", Decides.TRAINING)
    tracking: dict[str, Any] = group("the store of runs", made=True, address=True)
    tuning: Tuning = group("settings found for this very task and cell", Decides.TRAINING)
    search: Search = group("search: what it tries, and for how long")
    cluster: dict[str, Any] = group("where the jobs of a sweep run", made=True, address=True)


class Declared(NamedTuple):
    """kind: the type, with its limits. The rest as `option` and `group` say it."""

    kind: Any
    text: str
    decides: Decides
    is_group: bool = False
    made: bool = False
    address: bool = False


@cache
def declared() -> dict[str, Declared]:
    """Every key and group, by its dotted name."""

    def of(holder: type, prefix: str) -> Iterator[tuple[str, Declared]]:
        kinds = get_type_hints(holder, include_extras=True)
        for each in fields(holder):
            kind = kinds[each.name]
            yield f"{prefix}{each.name}", Declared(kind, **each.metadata)
            for inner in (kind, *get_args(kind)):
                if isinstance(inner, type) and is_dataclass(inner):
                    yield from of(inner, f"{prefix}{each.name}.")

    return dict(of(Config, ""))


@cache
def decides(key: str) -> Decides:
    """What a dotted key or group decides: of one that is not declared, what the group says that it stands in."""
    while key and key not in declared():
        key = key.rpartition(".")[0]
    return declared()[key].decides if key else Decides.NOTHING


def decides_a_run(key: str) -> bool:
    """Whether a net that is trained under another value is another net, beyond rounding."""
    return decides(key) in (Decides.DATA, Decides.TRAINING)


def deciding(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Of the keys of the group of this name, with their values, those that decide a run."""
    return {key: value for key, value in values.items() if decides_a_run(f"{name}.{key}")}


GROUPS_OF_A_RUN = tuple(
    name for name, each in declared().items() if each.is_group and "." not in name and decides_a_run(name)
)
"""Groups of the config that decide what a trained net is."""

MADE = tuple(name for name, each in declared().items() if each.made)
"""Nodes that objects are made of, and `callbacks`, a group of such. Their classes have to be imported to know what they
take."""

ADDRESSES = tuple(name for name, each in declared().items() if each.address)
"""Groups and keys with the address of a store, a mirror or a cluster, which are no part of what is run: no file keeps
them."""
