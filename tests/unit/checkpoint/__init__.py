"""Tests of `swarm.checkpoint`."""
