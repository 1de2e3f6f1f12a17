"""Files are whole or not there, and damage is found."""

import json
import os

import numpy as np
import pytest
import xarray as xr
from oracles import damage

import pve
from pve import atomic
from pve.runs import store


@pytest.fixture
def dataset():
    random = np.random.default_rng(0)
    return xr.Dataset(
        {
            "reward": (("run", "state"), random.normal(size=(3, 50)).astype(np.float32)),
            "loss": ("run", random.normal(size=3)),
        },
        coords={"run": [0, 2, 5]},
        attrs={"seed": 7},
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Writing ----------------------------------------------------------------------------


def test_write_returns_the_checksum(tmp_path):
    checksum = store.write_bytes(tmp_path / "file", b"abc")
    assert checksum == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert contents(tmp_path) == {"file": b"abc"}


@pytest.mark.parametrize(
    ("place", "call"), [(os, "replace"), (os, "fsync"), (atomic, "open")]
)
@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_failing_write_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, place, call, error
):
    path = tmp_path / "file"
    store.write_bytes(path, b"old")

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(place, call, fail, raising=place is os)
    with pytest.raises(type(error)):
        store.write_bytes(path, b"new")
    assert contents(tmp_path) == {"file": b"old"}


def test_files_may_be_read_by_whom_the_umask_lets_read(tmp_path):
    before = os.umask(0o027)
    try:
        store.write_bytes(tmp_path / "file", b"abc")
        pve.MDP([[0.0]], [[[1.0]]], 0.5).save(tmp_path / "world.npz")
    finally:
        os.umask(before)
    for name in ("file", "world.npz"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o640


def test_content_is_on_the_disk_before_its_name(tmp_path, monkeypatch):
    # The order of the calls is what makes a file whole after a power cut.
    calls = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)

        def noted(*arguments, name=name, original=original):
            calls.append(name)
            return original(*arguments)

        monkeypatch.setattr(os, name, noted)
    store.write_bytes(tmp_path / "file", b"abc")
    assert calls == ["fsync", "replace", "fsync"]  # the file, its name, the folder


# Datasets ---------------------------------------------------------------------------


def test_dataset_comes_back_as_it_was(tmp_path, dataset):
    path = tmp_path / "data.nc"
    checksum = store.write_dataset(path, dataset)
    again = store.read_dataset(path, checksum)
    xr.testing.assert_identical(again, dataset)
    assert again.reward.dtype == np.float32
    assert store.encode_dataset(dataset) == path.read_bytes()


@pytest.mark.parametrize("kind", ["truncated", "flipped", "emptied", "deleted"])
def test_damage_is_found_by_the_checksum(tmp_path, dataset, kind):
    path = tmp_path / "data.nc"
    checksum = store.write_dataset(path, dataset)
    damage(path, kind)
    with pytest.raises(store.CorruptFile, match=r"data\.nc"):
        store.read_dataset(path, checksum)


def test_every_flipped_bit_is_found(tmp_path, dataset):
    path = tmp_path / "data.nc"
    checksum = store.write_dataset(path, dataset)
    whole = path.read_bytes()
    for place in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(store.CorruptFile, match="checksum"):
            store.read_dataset(path, checksum)


def test_truncation_is_found_even_without_a_checksum(tmp_path, dataset):
    path = tmp_path / "data.nc"
    store.write_dataset(path, dataset)
    damage(path, "truncated")
    with pytest.raises(store.CorruptFile):
        store.read_dataset(path)


# Records ----------------------------------------------------------------------------


def test_record_comes_back_with_its_digest(tmp_path):
    record = {"seed": 7, "orders": [1, 30], "name": "γ"}
    store.write_record(tmp_path / "record.json", record)
    again = store.read_record(tmp_path / "record.json")
    digest = again.pop(store.DIGEST)
    assert again == record
    assert digest == store.digest(dict(reversed(record.items())))


def test_edited_record_is_found(tmp_path):
    path = tmp_path / "record.json"
    store.write_record(path, {"seed": 7})
    edited = json.loads(path.read_text())
    edited["seed"] = 8
    path.write_text(json.dumps(edited))
    with pytest.raises(store.CorruptFile, match=r"record\.json: edited or damaged"):
        store.read_record(path)


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b"null", b"\xff\xfe"])
def test_what_is_no_record_is_found(tmp_path, content):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(store.CorruptFile, match=r"record\.json"):
        store.read_record(path)


# Folders and locks ------------------------------------------------------------------


def test_folder_that_cannot_be_made_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file/data' cannot be written: .*; expected"):
        store.make_folder(tmp_path / "file" / "data")


def test_lock_is_exclusive_and_released(tmp_path):
    path = tmp_path / ".lock"
    with store.locked(path) as first, store.locked(path) as second:
        assert (first, second) == (True, False)
    with store.locked(path) as again:
        assert again
