"""Filters of rows; each says on the card how many it took."""

from data_preprocess.core.filters.base import Filter
from data_preprocess.core.filters.contamination import ContaminationFilter
from data_preprocess.core.filters.content import AnswerTypeFilter, ImageFilter
from data_preprocess.core.filters.duplicates import Duplicates
from data_preprocess.core.filters.reference import ReferenceFilter

__all__ = ["AnswerTypeFilter", "ContaminationFilter", "Duplicates", "Filter", "ImageFilter", "ReferenceFilter"]
