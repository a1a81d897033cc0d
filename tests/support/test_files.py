"""Files in folders from strangers: links, pipes and hard links in place of files."""

import sys

import pytest
from traps import TRAPS, set_trap

from minigpt.support import files, untrusted_files

posix = pytest.mark.skipif(sys.platform == "win32", reason="no pipes and devices among files")


@pytest.fixture
def victim(tmp_path):
    """A file of the user, outside the folder."""
    (tmp_path / "folder").mkdir()
    path = tmp_path / "victim"
    path.write_text("mine", encoding="utf-8")
    yield path
    assert path.read_text(encoding="utf-8") == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "victim"]


@posix
@pytest.mark.parametrize("make", [True, False])
@pytest.mark.parametrize("kind", TRAPS)
def test_only_ordinary_files_are_opened_to_be_changed(victim, kind, make):
    path = victim.parent / "folder" / "metrics.jsonl"
    set_trap(kind, path, victim)
    with pytest.raises(ValueError, match=r"metrics\.jsonl"):
        untrusted_files.open_to_change(path, make)
    with pytest.raises(ValueError, match=r"metrics\.jsonl"):
        untrusted_files.append_text(path, "theirs")


@posix
@pytest.mark.parametrize("kind", [kind for kind in TRAPS if kind != "link to nothing"])
def test_links_are_noticed_where_the_system_follows_them(victim, monkeypatch, kind):
    """Windows, for example, has no O_NOFOLLOW."""
    monkeypatch.setattr(untrusted_files, "NO_LINK", 0)
    path = victim.parent / "folder" / "metrics.jsonl"
    set_trap(kind, path, victim)
    with pytest.raises(ValueError, match=r"metrics\.jsonl"):
        untrusted_files.append_text(path, "theirs")


def test_opening_a_file_to_change_keeps_its_content(tmp_path):
    path = tmp_path / "a"
    with pytest.raises(FileNotFoundError):
        untrusted_files.open_to_change(path)
    with untrusted_files.open_to_change(path, make=True) as file:
        file.write(b"123456")
    with untrusted_files.open_to_change(path) as file:
        assert file.read(3) == b"123"
        file.truncate(4)
    assert path.read_bytes() == b"1234"
    assert untrusted_files.append_text(path, "é") == 6
    assert path.read_bytes() == "1234é".encode()


@posix
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_reading_never_waits(victim, kind):
    path = victim.parent / "folder" / "samples.txt"
    set_trap(kind, path, victim)
    with pytest.raises(ValueError, match=r"samples\.txt is not an ordinary file"):
        untrusted_files.open_to_read(path)
    with pytest.raises(ValueError, match=r"samples\.txt is not an ordinary file"):
        untrusted_files.read_bytes(path, 100)


@posix
@pytest.mark.parametrize("kind", ["link", "hard link"])
def test_reading_follows_links_to_files(victim, kind):
    path = victim.parent / "folder" / "samples.txt"
    set_trap(kind, path, victim)
    with untrusted_files.open_to_read(path) as file:
        assert file.read() == b"mine"


@posix
@pytest.mark.parametrize("kind", TRAPS)
def test_atomic_write_replaces_a_link(victim, kind):
    """A link is replaced, its target is unchanged; a device or a folder stays."""
    path = victim.parent / "folder" / "page.html"
    set_trap(kind, path, victim)
    if kind in ("pipe", "device", "folder"):
        with pytest.raises(ValueError, match=r"page\.html is not an ordinary file"):
            files.write_text(path, "new")
        assert [p.name for p in path.parent.iterdir()] == ["page.html"]
    else:
        files.write_text(path, "new")
        assert not path.is_symlink()
        assert path.read_text(encoding="utf-8") == "new"


@posix
@pytest.mark.parametrize("kind", TRAPS)
def test_temporary_names_replace_traps(victim, kind):
    folder = victim.parent / "folder"
    for name in (".checkpoint-1.tmp", ".checkpoint-1.old.tmp"):
        set_trap(kind, folder / name, victim)
    (folder / "checkpoint-1").mkdir()
    with files.replacing_folder(folder / "checkpoint-1") as temporary:
        (temporary / "a").write_text("new", encoding="utf-8")
    assert [str(p.relative_to(folder)) for p in sorted(folder.rglob("*"))] == [
        "checkpoint-1",
        "checkpoint-1/a",
    ]
    set_trap(kind, folder / ".x.tmp", victim)
    files.remove_leftovers(folder)
    assert [p.name for p in folder.iterdir()] == ["checkpoint-1"]


@posix
def test_replacing_folder_replaces_a_link_without_emptying_its_target(victim):
    folder, mine = victim.parent / "folder", victim.parent / "mine"
    mine.mkdir()
    (mine / "a").write_text("mine", encoding="utf-8")
    (folder / "checkpoint-1").symlink_to(mine)
    with files.replacing_folder(folder / "checkpoint-1") as temporary:
        (temporary / "a").write_text("new", encoding="utf-8")
    assert (mine / "a").read_text(encoding="utf-8") == "mine"
    assert not (folder / "checkpoint-1").is_symlink()
    (mine / "a").unlink()
    mine.rmdir()


@posix
@pytest.mark.parametrize("kind", [kind for kind in TRAPS if kind != "hard link"])
def test_only_ordinary_files_get_a_hard_link(victim, kind):
    source, target = (victim.parent / "folder" / name for name in ("source", "target"))
    set_trap(kind, source, victim)
    with pytest.raises(ValueError, match="source is not an ordinary file"):
        files.link_or_copy(source, target)
    assert not target.exists()


@posix
def test_link_to_the_source_becomes_a_hard_link(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("mine", encoding="utf-8")
    target.symlink_to(source)
    files.link_or_copy(source, target)
    assert not target.is_symlink()
    assert target.samefile(source)


def test_unwritable_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        files.write_text(tmp_path / "no-folder" / "page.html", "new")
    assert caught.value.filename == str(tmp_path / "no-folder" / "page.html")
