"""Helpers of the tests: a workspace, a collector, terminals, processes."""
