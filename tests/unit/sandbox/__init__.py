"""Tests of `swarm.sandbox`."""
