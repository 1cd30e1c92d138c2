"""Say in one sentence what this machine lacks to run Tapescan.

Plain old Python without anything beyond the standard library: an interpreter that is too old must
be able to run it to say so.
"""
# ruff: noqa: UP031, UP045, PTH109, PTH110, PTH112, PLC0415

import os
import shutil
import struct
import sys
from typing import Optional

NEED_DISK_MB = 2500
NEED_SHM_MB = 64


def complaint() -> Optional[str]:
    """Return the first thing missing as one sentence, or None."""
    if sys.version_info < (3, 11) or sys.version_info >= (3, 15):
        return "tapescan needs CPython 3.11 to 3.14, but %s is %s; set PYTHON=python3.x." % (
            sys.executable,
            sys.version.split()[0],
        )
    if sys.platform != "linux" or struct.calcsize("P") != 8:
        return "tapescan needs 64-bit Linux, but this is %s." % sys.platform
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return (
            "tapescan needs the venv module of %s; install your system's python3-venv package."
            % sys.executable
        )
    for program in ("git", "make"):
        if shutil.which(program) is None:
            return "tapescan needs '%s' on PATH." % program
    if not os.path.isdir("/dev/shm"):
        return "tapescan needs /dev/shm, which this machine does not have."
    for place, need_mb in ((os.getcwd(), NEED_DISK_MB), ("/dev/shm", NEED_SHM_MB)):
        installed = place != "/dev/shm" and os.path.exists(".venv/.dev")
        free_mb = shutil.disk_usage(place).free // 1_000_000
        if free_mb < (200 if installed else need_mb):
            return "tapescan needs %d MB free in %s, which has %d MB." % (need_mb, place, free_mb)
    return None


if __name__ == "__main__":
    sentence = complaint()
    if sentence:
        sys.stderr.write(sentence + "\n")
        sys.exit(1)
