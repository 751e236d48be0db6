"""Mutated INIs and CSVs."""
