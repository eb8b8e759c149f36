"""`make airflow`: Airflow with scheduler and pages until Ctrl-C, and no process of it after that.

`airflow standalone` by itself does not end (Airflow 3.3.2): Ctrl-C in a terminal goes to all of its processes at once,
and when the scheduler hears a second signal, from its parent, it no longer tells its workers to end but waits for them.
So it has a session of its own here. A job that still runs is interrupted, too, as it may be at any time: it stops the
stores that it started, and is done again.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil

ORDERLY_S, INTERRUPTED_S = 30, 15  # how long what was told to end may take
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    for ending in ENDINGS:
        signal.signal(ending, signal.default_int_handler)
    standalone = subprocess.Popen(["airflow", "standalone"], start_new_session=True)
    try:
        return standalone.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        for ending in ENDINGS:
            signal.signal(ending, signal.SIG_IGN)
        end(standalone)


def end(standalone: "subprocess.Popen[bytes]") -> None:
    """Its parent ends its parts in order; who is still there is interrupted, too, and at last killed."""
    standalone.send_signal(signal.SIGINT)
    if not gone(standalone, ORDERLY_S):
        tell(standalone, signal.SIGINT)
    if not gone(standalone, INTERRUPTED_S):
        tell(standalone, signal.SIGKILL)
        standalone.wait()


def tell(standalone: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    for process in session(standalone):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def gone(standalone: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Whether no process of the session is left, waited for so long."""
    end_of_patience = time.monotonic() + seconds
    while time.monotonic() < end_of_patience:
        if standalone.poll() is not None and not session(standalone):
            return True
        time.sleep(0.2)
    return False


def session(standalone: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """The processes of its session; a task has a process group of its own, but no session."""
    found = []
    for process in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError):
            if os.getsid(process.pid) == standalone.pid and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


if __name__ == "__main__":
    sys.exit(main())
