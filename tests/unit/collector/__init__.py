"""Tests of `swarm.collector`."""
