"""Patches that each break a promise; the suite must fail with every one of them."""
