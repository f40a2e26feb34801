"""Labelled texts of a user's own: a table, or files in a folder for each class.

Such a folder is <class>/*.txt, or train/<class>/*.txt and test/<class>/*.txt.
"""

import hashlib
import io
import json
from functools import partial
from pathlib import Path

from rnnlab.addresses import shown
from rnnlab.data.class_folders import ClassFile, files_by_class
from rnnlab.data.download import is_address, retrieve, sha256_of
from rnnlab.data.tables.delimited import look_through
from rnnlab.data.tables.labelled import LabelledRows, Wanted, read_labelled
from rnnlab.data.tables.rows import Rows
from rnnlab.data.tables.user_table import OwnTable
from rnnlab.datasets.dataset import File
from rnnlab.errors import UserError
from rnnlab.results.files import write_json
from rnnlab.results.paths import own_file

PACKED = ".texts.jsonl"
"""The ending of the one file that they are written into."""

NO_PART = ""


def check_own(key: str, path: str, folders: bool) -> None:
    """key: task.<key> names it. folders: whether it may be one.

    Raises: `UserError` for a file or folder that is not there or cannot be read.
    """
    if is_address(path):
        raise UserError(f"task.{key}={shown(path)} is an address: download it, and name the file.")
    if folders and own_file(path).is_dir():
        text_files(own_file(path))
    else:
        OwnTable(path, key).check()


def own_file_of(name: str, path: str) -> File:
    """What it becomes where it is fetched to. name: that of a CSV file there."""
    place = own_file(path)
    if place.is_dir():
        return File(Path(name).stem + PACKED, (digest_of_texts(place),), address=str(place))
    return File(OwnTable(path).kept_as(name), (sha256_of(place),), address=str(place))


def fetch_own(files: list[File], folder: Path, dataset: str) -> None:
    """Copy them into `folder`, all texts of a folder as one file, with `source.json`."""
    records = {}
    for file in files:
        own = Path(file.address)
        records[file.name] = retrieve(
            folder / file.name,
            dataset=dataset,
            origin=partial(write_texts, own) if own.is_dir() else own,
            origin_name=str(own),
            sha256=None if own.is_dir() else file.sha256,
            mirror="",  # a file of the user's own is the one that is meant
        )
    write_json(folder / "source.json", {"source": "csv", "files": records})


def read_own(path: Path, called: str, wanted: Wanted) -> LabelledRows:
    """What was fetched. called: the file or folder, in messages."""
    return read_texts(path, called) if path.name.endswith(PACKED) else read_labelled(path, called, wanted)


def text_files(folder: Path) -> list[ClassFile]:
    """Raises: `UserError` where fewer than two folders hold any .txt."""
    return files_by_class(folder, str(folder), (".txt",))


def digest_of_texts(folder: Path) -> str:
    """Of the names and the content of all."""
    digest = hashlib.sha256()
    for file in text_files(folder):
        digest.update(f"{file.path.relative_to(folder).as_posix()}\n".encode())
        digest.update(hashlib.sha256(file.path.read_bytes()).digest())
    return digest.hexdigest()


def write_texts(folder: Path, part_file: Path) -> None:
    """An object in a line for each text: text, label, split, file.

    Raises: `UserError` for a file that is no text.
    """
    with part_file.open("w", encoding="utf-8") as file:
        for each in text_files(folder):
            place = each.path.relative_to(folder).as_posix()
            record = {"text": _text_of(each.path), "label": each.label, "split": each.part or NO_PART, "file": place}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _text_of(path: Path) -> str:
    content = path.read_bytes()
    if not content.strip():
        raise UserError(f"{path} is empty; delete it, or give it a text.")
    return content.decode(look_through(lambda: io.BytesIO(content), str(path), []).encoding)


def read_texts(path: Path, called: str) -> LabelledRows:
    """What `write_texts` wrote. called: the folder, in messages."""
    texts: list[str] = []
    labels: list[str] = []
    parts: list[str] = []
    places: list[str] = []
    for _, cells in Rows.open(path, called):
        for text, label, part, file in cells:
            texts.append(text)
            labels.append(label)
            parts.append(part)
            places.append(f"{called}, {file}")
    return LabelledRows(texts, labels, None if NO_PART in parts else parts, places, ("text", "label"))
