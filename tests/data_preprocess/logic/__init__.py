"""Tests of data_preprocess/logic."""
