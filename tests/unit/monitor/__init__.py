"""Tests of `swarm.monitor`."""
