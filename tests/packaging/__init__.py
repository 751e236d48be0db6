"""Tests of the packages: what they contain, and that they can be installed and used."""
