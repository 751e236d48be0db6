"""Locks and forks: what a child finds, in real processes."""

import subprocess
import sys

import pytest

_PROGRAM = """
import os, signal, sys, threading, time
import swarm.agent.forks
swarm.agent.forks._LONGEST_WAIT = float(sys.argv[1])
making = swarm.agent.forks.ForkLock()
held, done = threading.Event(), threading.Event()
is_whole = True

def make():
    global is_whole
    with making.lock:
        is_whole = False
        held.set()
        done.wait(float(sys.argv[2]))
        is_whole = True

def fork():
    child = os.fork()
    if not child:
        signal.alarm(10)
        with making.lock:
            print("child", is_whole, flush=True)
        child = os.fork()
        if not child:
            with making.lock:
                print("grandchild", is_whole, flush=True)
            os._exit(0)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print("ended", os.waitpid(child, 0)[1], flush=True)

thread = threading.Thread(target=make)
thread.start()
held.wait()
fork()
done.set()
thread.join()
with making.lock:
    fork()
"""


@pytest.mark.parametrize(
    ("longest_wait", "held_for", "found"), [("20", "0.3", True), ("0.2", "20", False)]
)
def test_a_fork_waits_for_a_while(longest_wait: str, held_for: str, found: bool) -> None:
    """The child finds what was made whole, if that takes no longer; the lock is free in any case.

    So it is where the thread that forks holds it, and in a child's child.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, longest_wait, held_for],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    first = [f"child {found}", f"grandchild {found}", "ended 0"]
    assert [*first, "child True", "grandchild True", "ended 0"] == done.stdout.splitlines(), (
        done.stderr
    )
