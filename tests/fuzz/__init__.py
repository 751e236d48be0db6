"""Tests with mutated INIs and CSVs."""
