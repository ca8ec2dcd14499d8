"""Tests of data_preprocess."""
