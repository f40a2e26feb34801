"""Translation, of dates; of names what their package can do wrong."""

import zipfile
from collections.abc import Callable
from pathlib import Path

from rnnlab.datasets.language_names import DATABASE, TRANSLATIONS
from tests.tasks.examples.catalogue import Bad, Example

NAMES = ("task.source=names",)


def cut_off(raw: Path) -> None:
    (archive,) = raw.glob("*.whl")
    archive.write_bytes(archive.read_bytes()[:100_000])


def replacing(member: str, content: bytes | None) -> Callable[[Path], None]:
    """Put other content in the place of a member, or leave it out."""

    def replace(raw: Path) -> None:
        (archive,) = raw.glob("*.whl")
        with zipfile.ZipFile(archive) as packed:
            kept = {name: packed.read(name) for name in (DATABASE, TRANSLATIONS.format("fr"))}
        with zipfile.ZipFile(archive, "w") as packed:
            for name, found in ({member: content} | kept | {member: content}).items():
                if found is not None:
                    packed.writestr(name, found)

    return replace


EXAMPLES = [
    Example(
        "translate",
        ("task.examples=240", "task.batch_size=8", "task.locales=[de_DE,en_US]"),
        bad=(
            Bad(
                "source",
                ("task.source=subtitles",),
                ("task.source must be one of dates, names, multi30k, got subtitles.",),
            ),
            Bad("unknown locale", ("task.locales=[de_DE,en_UX]",), ("'en_UX'", "en_US")),
            Bad(
                "no list of locales",
                ("task.locales=german",),
                ("task.locales must be a list such as [en_US, de_DE], or latin, or all, got german.",),
            ),
            Bad("no locale", ("task.locales=[]",), ("task.locales must be a list such as [en_US, de_DE]", "got [].")),
            Bad("no examples", ("task.examples=0",), ("task.examples must be an integer >= 1", "got 0.")),
            Bad("too few examples", ("task.examples=3",), ("3 examples are too few",)),
            Bad("no training", ("task.validation=0.5", "task.test=0.5"), ("nothing to train on",)),
            Bad("beam", ("task.beam=0",), ("task.beam must be an integer >= 1, got 0.",)),
            Bad(
                "one language",
                (*NAMES, "task.languages=[en]"),
                ("task.languages must be two, one read and one written", "got ['en']."),
            ),
            Bad(
                "a word for languages",
                (*NAMES, "task.languages=fr"),
                ("task.languages must be two, one read and one written", "got fr."),
            ),
            Bad("a language twice", (*NAMES, "task.languages=[en,fr,fr]"), ("task.languages must be two",)),
            Bad("language without names", (*NAMES, "task.languages=[en,frr]"), ("'frr'", "such as fr")),
            Bad("language with few names", (*NAMES, "task.languages=[nso,ve]"), ("['nso', 've']", "names are in both")),
            Bad(
                "language multi30k lacks",
                ("task.source=multi30k", "task.languages=[de,it]"),
                ("task.languages must be two of cs, de, en, fr, got ['de', 'it'].",),
            ),
            Bad("cut-off archive", NAMES, ("cut off",), break_raw=cut_off),
            Bad(
                "JSON of another shape", NAMES, (DATABASE, "fetch it again"), break_raw=replacing(DATABASE, b'{"a": 1}')
            ),
            Bad("no JSON", NAMES, (DATABASE, "fetch it again"), break_raw=replacing(DATABASE, b"\xff")),
            Bad(
                "no translations",
                NAMES,
                ("no table of translations", "fetch it again"),
                break_raw=replacing(TRANSLATIONS.format("fr"), b"nothing"),
            ),
            Bad(
                "an archive whose members lead out",
                NAMES,
                ("leads out of its folder",),
                break_raw=replacing("../" + DATABASE, b""),
            ),
            Bad("an archive without the names", NAMES, (DATABASE,), break_raw=replacing(DATABASE, None)),
        ),
    ),
]
