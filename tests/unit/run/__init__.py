"""Tests of `swarm.run`."""
