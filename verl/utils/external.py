"""The user's own modules, which register losses and estimators where they are imported."""
import importlib
import os

VARIABLE = "VERL_USE_EXTERNAL_MODULES"


def import_external_modules() -> list[str]:
    """Imports the modules named in VERL_USE_EXTERNAL_MODULES (comma-separated); -> their names.

    Every process that looks up registered names calls this once. ValueError for a module that is not there; what a
    module raises by itself is not caught.
    """
    names = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise ValueError(f"{VARIABLE}={os.environ[VARIABLE]}: {name} cannot be imported ({error}); put its folder "
                             "on PYTHONPATH, or correct the name") from error
    return names
