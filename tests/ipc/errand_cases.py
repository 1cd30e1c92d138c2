"""What errands promise, each case run by test_plumbing in an interpreter of its own.

python -m tests.ipc.errand_cases NAME
"""

import os
import signal
import sys
import threading
import time

import pytest

from ipc import errand
from ipc.errors import ThreadsError


def an_errand_brings_its_answer_and_leaves_no_process() -> None:
    assert errand.run("calendar", lambda: {"pid": os.getpid()}, 20)["pid"] != os.getpid()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def a_large_answer_of_an_errand_is_whole() -> None:
    assert errand.run("calendar", lambda: "x" * 3_000_000, 20) == "x" * 3_000_000


def several_errands_run_side_by_side_and_each_is_told() -> None:
    done: list[str] = []
    errand.run_all([(name, lambda: None) for name in "abcde"], 2, 20, done.append)
    assert sorted(done) == list("abcde")


def one_errand_of_several_that_fails_ends_the_others() -> None:
    def fail() -> None:
        raise ValueError("no compiler here")

    jobs = [("slow", lambda: time.sleep(60)), ("kernels", fail), ("never", lambda: None)]
    done: list[str] = []
    with pytest.raises(errand.ErrandError, match=r"^kernels failed: no compiler here\.$"):
        errand.run_all(jobs, 2, 20, done.append)
    assert done == []
    with pytest.raises(errand.ErrandError, match=r"took longer than 0\.05 s"):
        errand.run_all([("slow", lambda: time.sleep(60))], 2, 0.05, done.append)


def an_errand_that_fails_says_why() -> None:
    def work() -> None:
        raise ValueError("no such calendar.")

    with pytest.raises(errand.ErrandError, match=r"^calendar failed: no such calendar\.$"):
        errand.run("calendar", work, 20)


def an_errand_that_dies_or_dawdles_is_reaped() -> None:
    with pytest.raises(errand.ErrandError, match="ended without an answer, code -9"):
        errand.run("calendar", lambda: os.kill(os.getpid(), signal.SIGKILL), 20)
    with pytest.raises(errand.ErrandError, match=r"took longer than 0\.05 s"):
        errand.run("calendar", lambda: time.sleep(60), 0.05)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def an_errand_beside_a_thread_is_refused() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        with pytest.raises(ThreadsError, match="has 2 threads"):
            errand.run("calendar", lambda: None, 20)
    finally:
        stop.set()
        thread.join()


CASES = {
    case.__name__: case
    for case in (
        an_errand_brings_its_answer_and_leaves_no_process,
        a_large_answer_of_an_errand_is_whole,
        several_errands_run_side_by_side_and_each_is_told,
        one_errand_of_several_that_fails_ends_the_others,
        an_errand_that_fails_says_why,
        an_errand_that_dies_or_dawdles_is_reaped,
        an_errand_beside_a_thread_is_refused,
    )
}


if __name__ == "__main__":
    CASES[sys.argv[1]]()
    print(f"{sys.argv[1]} holds")
