"""What swarm's speed and memory are, measured side by side with what they are held against.

    python -m benchmarks --help

Needs Linux, nginx and the extra ``fast``; docs/performance.md says more.
"""
