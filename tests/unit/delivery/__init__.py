"""Tests of `swarm.delivery`."""
