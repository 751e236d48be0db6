"""Tests of `swarm.init`."""
