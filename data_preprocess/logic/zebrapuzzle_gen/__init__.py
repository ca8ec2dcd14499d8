"""Zebra puzzles: who lives where, from 20 levels of clues."""
