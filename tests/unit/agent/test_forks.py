"""Locks and forks, in real processes."""

import subprocess
import sys

import pytest

_PROGRAM = """
import os, signal, sys, threading, time
import swarm.agent.forks
swarm.agent.forks._LONGEST_WAIT = float(sys.argv[1])
creation = swarm.agent.forks.ForkLock()
held, done = threading.Event(), threading.Event()
is_complete = True

def create():
    global is_complete
    with creation.lock:
        is_complete = False
        held.set()
        done.wait(float(sys.argv[2]))
        is_complete = True

def fork():
    child = os.fork()
    if not child:
        signal.alarm(10)
        with creation.lock:
            print("child", is_complete, flush=True)
        child = os.fork()
        if not child:
            with creation.lock:
                print("grandchild", is_complete, flush=True)
            os._exit(0)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print("ended", os.waitpid(child, 0)[1], flush=True)

thread = threading.Thread(target=create)
thread.start()
held.wait()
fork()
done.set()
thread.join()
with creation.lock:
    fork()
"""


@pytest.mark.parametrize(
    ("longest_wait", "held_for", "is_complete"), [("20", "0.3", True), ("0.2", "20", False)]
)
def test_a_fork_waits_for_a_while(longest_wait: str, held_for: str, is_complete: bool) -> None:
    """The child finds the work complete if the thread finishes in time; its lock is always free.

    That also holds if the forking thread itself has the lock, and for a child of the child.
    """
    finished = subprocess.run(
        [sys.executable, "-c", _PROGRAM, longest_wait, held_for],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    first = [f"child {is_complete}", f"grandchild {is_complete}", "ended 0"]
    assert [*first, "child True", "grandchild True", "ended 0"] == finished.stdout.splitlines(), (
        finished.stderr
    )
