"""Tests of `swarm.csv`."""
