"""The user's own reward function, named by `custom_reward_function.{path,name,reward_kwargs}`.

It is called by keyword: `compute_score(data_source=, solution_str=, ground_truth=, extra_info=, **reward_kwargs)`,
may be `async`, and returns what `reward_score.result.normalize_result` accepts.
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType


def load_custom_function(path: str, name: str = "compute_score") -> Callable[..., object]:
    """Loads the function `name` (sync or async) from the Python file `path`.

    Raises:
        ValueError: no such file, an error while it is imported, or no such function; the message names the key and
            the fix.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ValueError(f"custom_reward_function.path={path!r}: no such file (seen from {Path.cwd()})")
    module = _import_file(file)
    function = getattr(module, name, None)
    if not callable(function):
        own = sorted(key for key, value in vars(module).items()
                     if inspect.isfunction(value) and value.__module__ == module.__name__)
        raise ValueError(
            f"custom_reward_function.name={name!r} is not a function of {path}; it has {', '.join(own) or 'none'}")
    return function


def _import_file(file: Path) -> ModuleType:
    module_name = f"custom_reward_{file.stem}_{abs(hash(str(file.resolve()))):x}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None:
        raise ValueError(f"custom_reward_function.path={str(file)!r} is not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses and pickle look their module up here
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 -- the user's file may raise anything; it becomes one named error
        del sys.modules[module_name]
        raise ValueError(f"custom_reward_function.path={str(file)!r} cannot be imported: "
                         f"{type(error).__name__}: {error}") from error
    return module
