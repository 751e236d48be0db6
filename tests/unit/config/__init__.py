"""Tests of `swarm.config`."""
