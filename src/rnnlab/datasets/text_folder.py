"""Texts in files, in a folder for each class: train/<class>/*.txt and test/<class>/*.txt, or <class>/*.txt."""

import hashlib
import io
import json
from pathlib import Path

from rnnlab.data.tables.delimited import look_through
from rnnlab.data.tables.labelled import PARTS, LabelledRows
from rnnlab.data.tables.rows import Rows
from rnnlab.errors import UserError

PACKED = ".texts.jsonl"
"""The ending of the one file that they are written into."""

NO_PART = ""


def text_files(folder: Path) -> list[tuple[str, str, Path]]:
    """The part (a value of `PARTS`, or `NO_PART`), the class and the path of each text, sorted.

    Raises: `UserError` where fewer than two folders hold any.
    """
    found = []
    upper = _folders(folder)
    has_parts = bool(upper) and all(each.name.casefold() in PARTS for each in upper)
    for above in upper if has_parts else [folder]:
        part = PARTS[above.name.casefold()] if has_parts else NO_PART
        for of_class in _folders(above):
            found += [(part, of_class.name, path) for path in sorted(of_class.rglob("*.txt")) if path.is_file()]
    classes = {name for _, name, _ in found}
    if len(classes) < 2:
        what = f"one folder of .txt alone, {classes.pop()}" if classes else "no folder with .txt in it"
        raise UserError(f"{folder} holds {what}: a folder of .txt for each class is needed, two or more.")
    return found


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def digest_of_texts(folder: Path) -> str:
    """Of the names and the content of all."""
    digest = hashlib.sha256()
    for _, _, path in text_files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def write_texts(folder: Path, part_file: Path) -> None:
    """An object in a line for each text: text, label, split, file.

    Raises: `UserError` for a file that is no text.
    """
    with part_file.open("w", encoding="utf-8") as file:
        for part, label, path in text_files(folder):
            record = {"text": _text_of(path), "label": label, "split": part, "file": str(path.relative_to(folder))}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _text_of(path: Path) -> str:
    content = path.read_bytes()
    if not content.strip():
        raise UserError(f"{path} is empty; delete it, or give it a text.")
    return content.decode(look_through(lambda: io.BytesIO(content), str(path), []).encoding)


def read_texts(path: Path, shown: str) -> LabelledRows:
    """What `write_texts` wrote. shown: the folder, in messages."""
    texts: list[str] = []
    labels: list[str] = []
    parts: list[str] = []
    places: list[str] = []
    for _, cells in Rows.open(path, shown):
        for text, label, part, file in cells:
            texts.append(text)
            labels.append(label)
            parts.append(part)
            places.append(f"{shown}, {file}")
    return LabelledRows(texts, labels, None if NO_PART in parts else parts, places, ("text", "label"))
