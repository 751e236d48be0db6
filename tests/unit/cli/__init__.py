"""Tests of `swarm.cli`."""
