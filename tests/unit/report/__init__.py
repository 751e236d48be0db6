"""Tests of `swarm.report`."""
