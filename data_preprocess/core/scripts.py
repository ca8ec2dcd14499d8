"""Finds and loads the scripts of this package, and users' own."""

import functools
import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).parents[1]
DOMAINS = ("math", "codegen", "logic", "simulation", "table", "stem", "ood", "general")


def all_scripts() -> dict[str, Path]:
    """`domain/script` -> its file, for every script of the package."""
    files = (file for domain in DOMAINS for file in sorted((PACKAGE / domain).glob("*.py")))
    return {f"{file.parent.name}/{file.stem}": file for file in files if "\nDATASET = " in file.read_text()}


def find_script(name: str) -> Path:
    """The script called `domain/script`, `domain__script`, or `script` where that is unique; or a path to one.

    Raises:
        ValueError: there is none, or several.
    """
    if name.endswith(".py") and Path(name).is_file():
        return Path(name)
    scripts = all_scripts()
    wanted = name.replace("__", "/", 1)
    matching = [file for key, file in scripts.items() if wanted in (key, file.stem)]
    if len(matching) == 1:
        return matching[0]
    found = "several scripts are" if matching else "no script is"
    raise ValueError(f"{found} called {name!r}; `python -m data_preprocess list` shows domain/name of each")


@functools.cache
def load_script(path: Path) -> ModuleType:
    """Imports a script; worker processes do so too.

    Raises:
        ValueError: it lacks `DATASET` or `make_map_fn`.
    """
    path = path.resolve()
    if path.is_relative_to(PACKAGE):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        script = importlib.import_module(".".join((PACKAGE.name, *parts)))
    else:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
    for needed in ("DATASET", "make_map_fn"):
        if not hasattr(script, needed):
            raise ValueError(f"{path} defines no {needed}; data_preprocess/README.md shows what a script needs")
    return script
