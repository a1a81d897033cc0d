"""Each place in the sources that opens, creates or removes files is listed here, with a reason."""

import ast
from pathlib import Path

import minigpt

WATCHED = {
    *("open", "fdopen", "read_text", "read_bytes", "write_text", "write_bytes", "touch", "opener"),
    *("rename", "unlink", "rmdir", "rmtree", "symlink_to", "hardlink_to", "mkdir", "makedirs"),
    *("copyfile", "copy", "copy2", "copytree", "move", "link", "truncate"),
    *("memmap", "open_memmap", "fromfile", "tofile", "savez", "savez_compressed", "loadtxt"),
    *("NamedTemporaryFile", "TemporaryDirectory", "mkstemp", "mkdtemp"),
    *("ParquetFile", "safe_open", "save_file", "SummaryWriter", "write_image", "write_html"),
}
"""Names of functions that may open, create or remove files."""

HARMLESS = {"copy", "touch"}
"""Names that count only if they belong to os or shutil."""

KNOWN = {
    "files.py *": "the one place that knows how to write",
    "untrusted_files.py *": "the one place that knows how to read and change",
    "* mkdir": "a folder that is there is used, as its user says",
    # Changes of names, which follow no link.
    "prepare_state.py unlink": "names in its folder",
    "lock.py unlink": "the name of the lock",
    "keeper.py rmdir": "a folder that is empty",
    "keeper.py truncate": "the log that open_to_change has opened",
    "prepare_state.py truncate": "the file that open_to_change has opened",
    "tokenizer_json.py unlink": "names of older files",
    # Files that are already open.
    "prepared.py memmap": "what open_to_read has opened",
    "weights.py memmap": "what open_to_read has opened",
    "weights.py safe_open": "checks the header of what open_to_read has opened",
    "trace_file.py open": "a member of an archive that is open",
    "trace_file.py savez": "into the file that is open",
    # Files of the package, and the null device.
    "terminal.py open": "the null device",
    "machines.py open": "the null device",
    "__init__.py read_text": "a file of the package",
    "page.py read_text": "a file of the package",
    "source_lines.py read_text": "a file of the package",
    "lesson_folder.py read_text": "a file of the package, or of a teacher's lesson",
    # A temporary folder of ours, through which values go to another process and back.
    "apart.py *": "that folder",
    "crossing.py *": "that folder",
    "runner.py *": "that folder",
    # Texts that the user names; in folders, only ordinary files.
    "decoding.py opener": "a text",
    "documents.py ParquetFile": "a text",
    # Others.
    "fetch.py open": "an address",
    "browser.py TemporaryDirectory": "a folder of a new name",
    "browser.py open": "a new file in it, or the browser",
    "browser.py fdopen": "the new file",
    "properties.py TemporaryDirectory": "a folder of a new name",
}
"""Where such functions may be called, and on what. Other code uses the first two modules."""


def test_files_are_opened_only_in_known_places():
    source = Path(minigpt.__file__).parent
    strange, used = [], set()
    for path in sorted(source.rglob("*.py")):
        file = path.relative_to(source).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        ours = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module and "files" in node.module
            for alias in node.names
        }
        for node in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            on, _, name = ast.unparse(node.func).rpartition(".")
            is_harmless = name in HARMLESS and on not in ("os", "shutil")
            if name not in WATCHED or is_harmless or on == "temporary" or (not on and name in ours):
                continue
            known = [
                entry
                for entry in KNOWN
                for place, what in [entry.split()]
                if f"/{file}".endswith(f"/{place}") or place == "*"
                if what in (name, "*")
            ]
            used.update(known)
            if not known:
                strange.append(f"{file}, line {node.lineno}: {ast.unparse(node)[:80]}")
    assert strange == []
    assert KNOWN.keys() - used == set()
