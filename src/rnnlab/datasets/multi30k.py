"""Descriptions of photographs in English, translated into German, French and Czech (Elliott et al. 2016)."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rnnlab.arguments import refusal
from rnnlab.data.download import NotThereError, retrieve
from rnnlab.datasets.dataset import File, read_member
from rnnlab.datasets.paired_texts import PairedTexts, Pairs
from rnnlab.errors import UserError
from rnnlab.results.files import write_json

ADDRESS = "https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw/"

SPLITS = ("train", "val", "test_2016_flickr")

SHA256 = {
    "train.de.gz": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "train.en.gz": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "train.fr.gz": "622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c",
    "train.cs.gz": "a65adb8b32e3bc664f21ecba7a6e7f6950fd1f405e135f7c312faabdb6255077",
    "val.de.gz": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "val.en.gz": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "val.fr.gz": "ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9",
    "val.cs.gz": "b63226e05c4bd5dd6a42897d74b86a1b9d2c31498252c572b1ea7f7996927fcc",
    "test_2016_flickr.de.gz": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    "test_2016_flickr.en.gz": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    "test_2016_flickr.fr.gz": "6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90",
    "test_2016_flickr.cs.gz": "200a4a74cc9560f051924abb9803be008d1908d77f747e9141aeb86dfd2797f1",
}

ARCHIVE = File("multi30k_task1_raw.tar.gz", ("c44d0b7eb55f5d4daa064ee11ba8b8b2a0848454842f3c1dab70555076813d83",))
"""The same files in one, as a mirror may hold them."""

MEMBERS = "multi30k/task1/raw/"


@dataclass(frozen=True)
class Multi30k(PairedTexts):
    """Pairs of sentences in the official splits, the test split being that of 2016.

    languages: (read, written), of de, en, fr, cs.
    """

    name: str = "multi30k"
    source: Literal["multi30k"] = "multi30k"
    languages: tuple[str, ...] = ("de", "en")

    def files(self) -> list[File]:
        names = [f"{split}.{language}.gz" for split in SPLITS for language in self.languages]
        return [File(name, (SHA256[name],), address=ADDRESS + name) for name in names]

    def check(self) -> None:
        super().check()
        known = {name.split(".")[1] for name in SHA256}
        if not set(self.languages) <= known:
            raise UserError(refusal("task.languages", f"two of {', '.join(sorted(known))}", list(self.languages)))

    def fetch(self, folder: Path, mirror: str | None = None) -> None:
        """As one archive from a mirror that has it, else file by file."""
        self.check()
        try:
            record = retrieve(
                folder / ARCHIVE.name,
                dataset=self.name,
                origin=_nowhere,
                sha256=ARCHIVE.sha256,
                mirror=mirror,
            )
        except NotThereError:
            super().fetch(folder, mirror)
            return
        write_json(folder / "source.json", {"source": self.source, "files": {ARCHIVE.name: record}})

    def read(self, folder: Path) -> Pairs:
        """Raises: `UserError` for a file that is cut off, is not UTF-8, has an empty line, or too few or many lines."""
        packed = ARCHIVE.name in self.fetched(folder)["files"]
        texts: list[list[str]] = [[], []]
        splits = []
        for number, split in enumerate(SPLITS):
            sides = []
            for language in self.languages:
                name = f"{split}.{language}.gz"
                content = read_member(folder / ARCHIVE.name, MEMBERS + name) if packed else (folder / name).read_bytes()
                sides.append(_lines(folder / name, content))
            if len(sides[0]) != len(sides[1]):
                raise UserError(
                    f"{split} has {len(sides[0])} lines in {self.languages[0]} and {len(sides[1])} in "
                    f"{self.languages[1]}: fetch {folder} again."
                )
            texts[0] += sides[0]
            texts[1] += sides[1]
            splits += [number] * len(sides[0])
        return Pairs(texts[0], texts[1], groups=texts[0], splits=np.array(splits, np.int8))


def _nowhere(_: Path) -> None:
    raise NotThereError(f"{ARCHIVE.name} is only to be had from a mirror.")


def _lines(path: Path, content: bytes) -> list[str]:
    try:
        text = gzip.decompress(content).decode()
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(f"{path} is cut off or not packed by gzip ({error}): delete it and fetch again.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 at byte {error.start}: fetch it again.") from None
    lines = [line.strip() for line in text.splitlines()]
    if "" in lines:
        raise UserError(f"{path}, line {lines.index('') + 1} is empty: fetch it again.")
    return lines
