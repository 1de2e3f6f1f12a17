"""The execution cache drops what cannot be read, and no more."""

import nbformat
import pytest
from conftest import ROOT
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn


@pytest.fixture
def mend(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    from sound_cache import mend

    return mend


@pytest.fixture
def folder(tmp_path):
    """A cache of two chapters."""
    cache = get_cache(str(tmp_path / "cache"))
    for name in ("one", "two"):
        cell = nbformat.v4.new_code_cell(f"print('{name}')", execution_count=1)
        bundle = CacheBundleIn(nbformat.v4.new_notebook(cells=[cell]), f"{name}.md")
        cache.cache_notebook_bundle(bundle)
    return tmp_path / "cache"


def kept(cache):
    return {record.uri for record in cache.list_cache_records()}


def test_a_sound_cache_stays(mend, folder):
    assert kept(mend(folder)) == {"one.md", "two.md"}
    assert len(list(folder.glob("executed/*"))) == 2


def test_half_a_notebook_is_dropped(mend, folder):
    path = folder / "executed"
    (two,) = (found for found in path.glob("*/*") if "two" in found.read_text())
    two.write_text(two.read_text()[:100])
    assert kept(mend(folder)) == {"one.md"}
    assert len(list(path.glob("*"))) == 1


def test_a_record_without_its_notebook_is_dropped(mend, folder):
    (two,) = (found for found in folder.glob("executed/*/*") if "two" in found.read_text())
    two.unlink()
    assert kept(mend(folder)) == {"one.md"}


@pytest.mark.parametrize("content", [b"", b"no database", None])
def test_a_broken_database_is_begun_anew(mend, folder, content):
    database = folder / "global.db"
    if content is None:
        content = database.read_bytes()[:5000]
    database.write_bytes(content)
    cache = mend(folder)
    assert kept(cache) == set()
    assert list(folder.glob("executed/*")) == []
    assert kept(mend(folder)) == set()
