"""What every dataset script shares: reading, mapping, filters, sampling, checks, writing, the command line."""

from data_preprocess.core.cli import main
from data_preprocess.core.row import RowError, make_row
from data_preprocess.core.source import load
from data_preprocess.core.spec import Dataset, Drop, Generated, Source

__all__ = ["Dataset", "Drop", "Generated", "RowError", "Source", "load", "main", "make_row"]
