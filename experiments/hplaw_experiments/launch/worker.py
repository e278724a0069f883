"""A worker process: jobs come in as lines of JSON, and a line goes out when one is stored."""

from __future__ import annotations

import os
import signal
import sys

import msgspec

from hplaw.errors import HplawError
from hplaw_experiments.launch.job import Job, Place, Reply, run_job


def main() -> None:
    """Serve jobs until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
    # whatever a library prints must not stand between the replies
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    place: Place | None = None
    for line in sys.stdin.buffer:
        job = msgspec.json.decode(line, type=Job)
        try:
            place = Place.here(metered=job.metered) if place is None else place
            reply = Reply(keys=run_job(job, place))
        except HplawError as error:
            reply = Reply(error=error.text)
        except Exception as error:  # the parent says it, and ends the sweep
            reply = Reply(error=f"{type(error).__name__}: {error}")
        replies.write(msgspec.json.encode(reply) + b"\n")
        replies.flush()


if __name__ == "__main__":
    main()
