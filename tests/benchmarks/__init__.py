"""Tests of the benchmarks: their tools, and a short run of each suite."""
