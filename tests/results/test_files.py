"""Files and folders that are whole or not there."""

from pathlib import Path

import pytest

from rnnlab.results.files import atomic_folder


def write_half(folder: Path) -> None:
    (folder / "half").touch()
    raise OSError("the disk is full")


def test_a_folder_is_exchanged_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    for content in ("old", "new"):
        with atomic_folder(folder) as part:
            (part / content).touch()
    assert [path.name for path in folder.iterdir()] == ["new"]
    with pytest.raises(OSError, match="full"), atomic_folder(folder) as part:
        write_half(part)
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [folder]


def test_stopped_within_the_exchange_the_old_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "results"
    with atomic_folder(folder) as part:
        (part / "old").touch()
    rename = Path.rename

    def stopped(path: Path, target: Path) -> Path:
        if path.suffix == ".part":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stopped)
    with pytest.raises(KeyboardInterrupt), atomic_folder(folder):
        pass
    assert [path.name for path in folder.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [folder]
