"""Tests of `swarm.web`."""
