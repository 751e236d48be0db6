"""Tests of `swarm.agent`."""
