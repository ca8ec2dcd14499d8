"""The cause of a failure in vLLM's engine process, which it tells its log only."""
import json
import os
import re

ERROR = re.compile(r"^[\w.]*(?:Error|Exception)\b.*", re.MULTILINE)
CONFIG = "VLLM_LOGGING_CONFIG_PATH"


class ErrorLog:
    """Has vLLM log to stderr, as it would, and to a file in memory that ends with this process; make it before vllm is
    imported. A logging config of the user's stays, and then there is nothing to read.
    """

    def __init__(self) -> None:
        self.file = None
        if CONFIG in os.environ:
            return
        self.file = os.memfd_create("vllm-errors")
        level = os.environ.get("VLLM_LOGGING_LEVEL", "INFO")
        handlers = {
            "stderr": {"class": "logging.StreamHandler", "formatter": "plain"},
            "file": {"class": "logging.FileHandler", "formatter": "plain", "filename": _path(self.file),
                     "level": "ERROR"},
        }  # yapf: disable
        config = os.memfd_create("vllm-logging")
        os.write(config, json.dumps({
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"plain": {"format": "%(levelname)s %(asctime)s %(name)s: %(message)s"}},
            "handlers": handlers,
            "loggers": {"vllm": {"handlers": list(handlers), "level": level, "propagate": False}},
        }).encode())  # yapf: disable
        os.environ[CONFIG] = _path(config)

    def last(self) -> str | None:
        """The line of the exception that was logged last."""
        if self.file is None:
            return None
        lines = ERROR.findall(os.pread(self.file, os.fstat(self.file).st_size, 0).decode())
        return lines[-1] if lines else None


def _path(file: int) -> str:
    """As processes that are started from here can open it."""
    return f"/proc/{os.getpid()}/fd/{file}"
