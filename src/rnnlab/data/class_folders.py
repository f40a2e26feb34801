"""Files in a folder for each class, with parts of the user's own above them or without.

walk/001.wav  run/001.wav
train/walk/001.wav  test/run/001.wav
"""

from dataclasses import dataclass
from pathlib import Path

from rnnlab.data.splits import PART_NAMES
from rnnlab.errors import UserError


@dataclass(frozen=True)
class ClassFile:
    """shown: its path from the folder on, behind the folder's own name. part: "train", "validation" or "test"; None
    where the folders say none."""

    path: Path
    shown: str
    label: str
    part: str | None


def files_by_class(folder: Path, shown: str, endings: tuple[str, ...]) -> list[ClassFile]:
    """All files of these endings, sorted; of a class also those in folders within its own. Hidden files and folders,
    whose names begin with a point, are left out.

    Raises: `UserError` where fewer than two classes have any.
    """
    found = []
    for part, above in parts_of(folder):
        for of_class in inner_folders(above):
            for path in files_below(of_class, endings):
                place = path.relative_to(folder).as_posix()
                found.append(ClassFile(path, f"{shown}/{place}", of_class.name, part))
    classes = list(dict.fromkeys(file.label for file in found))
    if len(classes) < 2:
        of = "/".join(endings[:3])
        what = f"one folder with {of} in it, {classes[0]}" if classes else f"no folder with {of} in it"
        raise UserError(f"{shown} holds {what}: a folder of such files for each class is needed, two or more.")
    return found


def parts_of(folder: Path) -> list[tuple[str | None, Path]]:
    """The folders train, test and their like with the part that each is; the folder itself where it has others."""
    inner = inner_folders(folder)
    if inner and all(each.name.casefold() in PART_NAMES for each in inner):
        return [(PART_NAMES[each.name.casefold()], each) for each in inner]
    return [(None, folder)]


def inner_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def files_below(folder: Path, endings: tuple[str, ...] | None) -> list[Path]:
    """Those of these endings, in any case, in the folder and below, sorted; None: all."""
    return sorted(
        path
        for path in folder.rglob("*")
        if (endings is None or path.suffix.lower() in endings)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
