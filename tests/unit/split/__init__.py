"""Tests of `swarm.split`."""
