#!/bin/sh
# Everything that has to hold, in the environment that is active or in .venv.
set -eu
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] && PATH="$PWD/.venv/bin:$PATH"
ruff check .
ruff format --check .
mypy
lint-imports
# Thousands of processes begin here: none compiles a module, even where Python may keep no bytecode.
python -m compileall -q swarm tests benchmarks
coverage erase
coverage run -m pytest -n "${WORKERS:-6}" --dist worksteal "$@"
coverage combine -q
coverage report
