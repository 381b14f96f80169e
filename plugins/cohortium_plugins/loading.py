"""Finds a pack by its id, its import name, a folder or a pack file, and puts what goes wrong there into words.

Not here: packs that a server has installed (`installed`).
"""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from cohortium_plugins.errors import PackError, nearest
from cohortium_plugins.installed import PACKS_GROUP
from cohortium_plugins.pack import Pack
from cohortium_plugins.packfile import read
from cohortium_plugins.places import Place

__all__ = ["find_pack"]

OWN = Path(__file__).parent
PREFIX = "cohortium_pack_"


def find_pack(name: str) -> Pack:
    """Give the pack that is installed under an id, imported under a name, or lies in a folder or a pack file.

    Raises:
        PackError: there is none, or it cannot be loaded; with the pack's file and line where that is known.
    """
    installed = {entry.name: entry.value for entry in entry_points(group=PACKS_GROUP)}
    if name in installed:
        return _pack_of(_imported(installed[name]), name)
    path = Path(name)
    if path.is_file() and path.suffix != ".py":
        return read(path).pack
    if path.exists():
        return _pack_of(_imported_from(_package_in(path)), name)
    if name.isidentifier() and name.startswith(PREFIX):
        return _pack_of(_imported(name), name)
    raise PackError(f"There is no pack called {name}, and no such folder.", nearest(name, installed))


def _package_in(path: Path) -> Path:
    """Give the import package in a folder: the folder itself, or the one in it."""
    path = path.resolve()
    if path.suffix == ".py" or (path / "__init__.py").exists():
        return path.parent if path.name == "__init__.py" else path
    found = sorted(item.parent for item in path.glob("*/__init__.py"))
    if len(found) != 1:
        raise PackError(f"{path.name} holds {len(found)} import packages.", "Name the folder with its __init__.py.")
    return found[0]


def _imported_from(package: Path) -> ModuleType:
    """Import a package from where it lies, even when one of its name was imported from elsewhere."""
    loaded = sys.modules.get(package.stem)
    if loaded is not None and Path(loaded.__file__ or "").parent not in (package, package.parent):
        for name in [name for name in sys.modules if name.partition(".")[0] == package.stem]:
            del sys.modules[name]
    sys.path.insert(0, str(package.parent))
    importlib.invalidate_caches()
    return _imported(package.stem)


def _imported(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except PackError:
        raise
    except SyntaxError as error:
        line = Place(error.filename or module, error.lineno or 0)
        raise PackError(f"{error.msg}.", "Mend the line, or the one before it.", line) from error
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_authors(frame.filename)]
        place = Place(frames[-1].filename, frames[-1].lineno or 0) if frames else None
        raise PackError(f"{type(error).__name__}: {error}.", _advice(error), place) from error


def _is_authors(file: str) -> bool:
    path = Path(file)
    return path.exists() and OWN not in path.parents and Path(importlib.__file__).parent not in path.parents


def _advice(error: Exception) -> str:
    """Give the nearest word for one that Python did not know."""
    if isinstance(error, ImportError) and error.name in sys.modules:
        wanted = re.search(r"cannot import name '(\w+)'", str(error))
        if wanted is not None:
            return nearest(wanted[1], [word for word in dir(sys.modules[error.name]) if not word.startswith("_")])
    if isinstance(error, NameError) and error.name is not None:
        frames = traceback.walk_tb(error.__traceback__)
        *_, (frame, _line) = frames
        return nearest(error.name, [word for word in (*frame.f_globals, *frame.f_locals) if not word.startswith("_")])
    return ""


def _pack_of(module: ModuleType, name: str) -> Pack:
    hook = getattr(module, "indicator_packs", None)
    packs = [pack for pack in hook() if isinstance(pack, Pack)] if callable(hook) else []
    wanted = [pack for pack in packs if pack.id == name] or packs
    if not wanted:
        raise PackError(f"{module.__name__} gives no pack.", "Define the hook indicator_packs() in it.")
    return wanted[0]
