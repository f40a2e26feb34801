"""Tagging: generated sentences, and files of the user's own."""

from tests.tasks.examples.catalogue import Bad, Example


def line(number: object, word: str = "fish", tag: str = "NOUN") -> str:
    return "\t".join([str(number), word, "_", tag, *["_"] * 6])


def sentences(*each: tuple[str, ...]) -> bytes:
    return "".join("\n".join(lines) + "\n\n" for lines in each).encode()


GOOD = [(line(1, f"fish{number}"), line(2, "swim", "VERB")) for number in range(20)]


def bad_file(name: str, content: bytes, *messages: str) -> Bad:
    path = ("task.source=file", "task.path=ROOT/my.conllu")
    return Bad(name, path, ("my.conllu", *messages), {"my.conllu": content})


EXAMPLES = [
    Example(
        "tagging",
        ("task.sentences=200", "task.batch_size=8"),
        bad=(
            Bad("source", ("task.source=ewt",), ("task.source must be one of generated, full, file, got ewt.",)),
            Bad("no sentences", ("task.sentences=0",), ("task.sentences must be an integer >= 1", "got 0.")),
            Bad("too few sentences", ("task.sentences=3",), ("3 examples are too few", "validation")),
            Bad("rare words", ("task.at_least=0",), ("task.at_least must be an integer >= 1", "got 0.")),
            Bad("shares", ("task.validation=0.6", "task.test=0.4"), ("nothing to train on",)),
            Bad("no path", ("task.source=file",), ("task.path is missing",)),
            Bad(
                "no such file",
                ("task.source=file", "task.path=ROOT/mine.conllu"),
                ("no such file", "my.conllu"),
                {"my.conllu": sentences(*GOOD)},
            ),
            Bad("a folder", ("task.source=file", "task.path=ROOT"), ("not a file",)),
            Bad(
                "half the parts",
                ("task.source=file", "task.path=ROOT/my.conllu", "task.test_path=ROOT/my.conllu"),
                ("go together",),
                {"my.conllu": sentences(*GOOD)},
            ),
            bad_file("empty", b"", "no sentence"),
            bad_file("comments alone", b"# text = fish\n\n", "no sentence"),
            bad_file("not UTF-8", sentences(*GOOD[:2]) + b"\xff\n", "line 7", "not UTF-8"),
            bad_file("spaces for tabs", b"1 fish _ NOUN _ _ _ _ _ _\n", "line 1", "1 field(s)"),
            bad_file("a field too few", sentences((line(1)[:-2],)), "line 1", "9 field(s)"),
            bad_file("another tag", sentences(GOOD[0], (line(1, tag="NN"),)), "line 4", "'NN'", "ADJ, ADP"),
            bad_file("no tag", sentences((line(1, tag="_"),)), "line 1", "'_'"),
            bad_file("no word", sentences((line(1, word=""),)), "line 1", "empty"),
            bad_file("a blank line lacks", sentences((*GOOD[0], *GOOD[1])), "line 3", "'1'", "3 is expected"),
            bad_file("a number that is none", sentences((line("one"),)), "line 1", "'one'"),
            Bad(
                "one tag",
                ("task.source=file", "task.path=ROOT/my.conllu"),
                ("NOUN alone",),
                {"my.conllu": sentences(*[(line(1, f"fish{number}"),) for number in range(20)])},
            ),
            Bad(
                "always the same sentence",
                ("task.source=file", "task.path=ROOT/my.conllu"),
                ("1 examples are too few",),
                {"my.conllu": sentences(*[GOOD[0]] * 20)},
            ),
        ),
    ),
]
