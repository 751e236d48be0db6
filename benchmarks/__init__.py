"""Benchmarks of swarm's speed and memory, each measured beside a baseline.

    python -m benchmarks --help

They need Linux, nginx and the extra ``fast``; see docs/performance.md.
"""
