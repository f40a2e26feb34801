"""Tasks whose sequences are drawn by rule, and XOR."""

from pathlib import Path

from tests.tasks.examples.catalogue import Bad, Example

SMALL = ("task.validation=16", "task.test=16", "task.batch_size=8")


def forget(raw: Path) -> None:
    (raw / "source.json").unlink()


def bad(*further: Bad) -> tuple[Bad, ...]:
    """What cannot work in any of them, beside what is of one alone."""
    return (
        Bad("no length", ("task.length=0",), ("task.length must be an integer >= ", "got 0.")),
        Bad(
            "no list",
            ("task.test_lengths=20",),
            ("task.test_lengths must be a list, each item an integer >= ", "got 20."),
        ),
        Bad(
            "test length",
            ("task.test_lengths=[5,0.5]",),
            ("task.test_lengths must be a list, each item an integer", "got [5, 0.5]."),
        ),
        Bad("shortest", ("task.length=5", "task.shortest=6"), ("task.shortest must be at most task.length=5, got 6.",)),
        Bad("no training", ("task.train=0",), ("task.train must be an integer >= 2", "got 0.")),
        *further,
    )


EXAMPLES = [
    Example(
        "xor",
        ("task.repeats=2",),
        bad=(Bad("repeats", ("task.repeats=0",), ("task.repeats must be an integer >= 1", "got 0.")),),
    ),
    Example(
        "adding",
        ("task.length=8", "task.test_lengths=[12,5]", "task.train=64", *SMALL),
        bad=bad(
            Bad("no two halves", ("task.length=1",), ("task.length must be an integer >= 2", "got 1.")),
            Bad("fetch record", messages=("holds no data of generated", "fetch it first"), break_raw=forget),
        ),
    ),
    Example(
        "copy",
        ("task.length=5", "task.items=3", "task.symbols=4", "task.test_lengths=[9]", "task.train=64", *SMALL),
        bad=bad(
            Bad("items", ("task.items=0",), ("task.items must be an integer >= 1", "got 0.")),
            Bad("symbols", ("task.symbols=27",), ("task.symbols must be an integer >= 2 and <= 26, got 27.",)),
            Bad(
                "too few sequences",
                ("task.items=2", "task.symbols=2"),
                ("too few different sequences of", "blanks", "task.length"),
            ),
        ),
    ),
    Example(
        "delay",
        ("task.length=8", "task.delay=2", "task.shortest=4", "task.test_lengths=[14]", "task.train=64", *SMALL),
        bad=bad(
            Bad(
                "nothing due",
                ("task.test_lengths=[2]",),
                ("task.test_lengths must be more than task.delay=2", "got 2."),
            )
        ),
    ),
    Example(
        "parity",
        ("task.length=12", "task.test_lengths=[20]", "task.train=64", *SMALL),
        bad=bad(Bad("too few sequences", ("task.length=3",), ("too few different sequences of 3 bits",))),
    ),
    Example(
        "modular",
        ("task.length=5", "task.test_lengths=[8]", "task.train=64", *SMALL),
        bad=bad(
            Bad("modulus", ("task.modulus=1",), ("task.modulus must be an integer >= 2 and <= 100, got 1.",)),
            Bad("large modulus", ("task.modulus=101",), ("task.modulus must be an integer >= 2 and <= 100, got 101.",)),
            Bad("operators", ("task.operators=/",), ("task.operators must be one or more of +-*, got /.",)),
            Bad("answer missing from training", ("task.modulus=50", "task.train=20"), ("task.train=20", "the answer")),
        ),
    ),
    Example(
        "recall",
        ("task.length=3", "task.test_lengths=[5]", "task.train=64", *SMALL),
        bad=bad(
            Bad("pairs", ("task.test_lengths=[9]",), ("task.test_lengths must be at most task.keys=8", "got 9.")),
            Bad("keys", ("task.keys=27",), ("task.keys must be an integer >= 2 and <= 26, got 27.",)),
            Bad("values", ("task.values=1",), ("task.values must be an integer >= 2 and <= 10, got 1.",)),
        ),
    ),
    Example(
        "next_word_gap",
        ("task.length=6", "task.shortest=4", "task.test_lengths=[4,9]", "task.train=600", *SMALL),
        bad=bad(Bad("countries", ("task.train=10",), ("task.train=10", "no training sequence has the answer"))),
    ),
]
