"""Patches that break a promise each; the suite has to fail with every one of them."""
