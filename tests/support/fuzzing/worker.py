"""One process with limits: reads inputs by number, and says of each what became of it."""

import hashlib
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from fuzzing.readers import READERS
from refmg import RefmgError

SECONDS = 10  # of the processor, so that a busy machine makes no hang


class HangError(BaseException):
    """An input took too long; no ``except Exception`` catches it."""


def content_of(reader, number):
    """Return input `number` of a reader: the same one every time."""
    rng = random.Random(f"{reader.name} {number}")
    found = reader.seeds()
    # The first inputs are the seeds themselves: they have to be accepted.
    return found[number] if number < len(found) else reader.mutate(rng, found)


def outcome(reader, folder, content):
    """Read one input; return what became of it and, of a failure, where."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        reader.read(folder, content)
        return "accepted", ""
    except RefmgError as error:
        return refusal(error)
    except HangError:
        return "hung", "".join(traceback.format_exc(limit=-4))
    except BaseException:
        return "failed", traceback.format_exc()[-1500:]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def refusal(error):
    """Judge a refusal: in one line, and not because memory ran out."""
    causes = [error]
    while (last := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(last)
    if any(isinstance(cause, MemoryError) for cause in causes):
        return "failed", "memory ran out: " + "".join(traceback.format_exception(causes[-1]))[-1200:]
    return ("refused", "") if "\n" not in str(error).strip() else ("failed", f"several lines: {error}"[:500])


def limit_memory(more):
    """Let the process take so many bytes beyond what it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def hang(*signal_and_frame):
    """Break off."""
    raise HangError


def main(name, begin, end, keep):
    """Read the inputs `begin` to `end` of a reader; write a line before and after each."""
    reader = READERS[name]
    signal.signal(signal.SIGPROF, hang)
    warnings.simplefilter("error")
    with os.fdopen(os.dup(1), "w", buffering=1) as told, TemporaryDirectory() as place:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a reader prints is not ours
        folder = Path(place, "folder")
        folder.mkdir()
        reader.prepare(folder)
        for content in reader.seeds()[:1]:
            outcome(reader, folder, content)  # what is imported on first use is no input's memory
        limit_memory(reader.memory)
        for number in range(begin, end):
            content = content_of(reader, number)
            told.write(json.dumps({"begin": number}) + "\n")
            started = time.process_time()
            what, where = outcome(reader, folder, content)
            seconds = time.process_time() - started
            if what in ("failed", "hung"):
                path = Path(keep, f"{name}-{hashlib.sha256(content).hexdigest()[:10]}.bin")
                path.write_bytes(content)
                where += f"\nkept as {path}"
            told.write(
                json.dumps({"number": number, "what": what, "where": where, "seconds": seconds}) + "\n"
            )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
