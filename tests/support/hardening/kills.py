"""``kill -9`` at random moments over the commands that write; then each is run to its end."""

import os
import random
import shutil
import signal
import time
from collections import Counter

from hardening.commands import OLDER, OUT, child, ended, warm
from hardening.whole import faults, files_below, parts_below


class Kills:
    """Kills of one command; an older output lies there in every second round."""

    def __init__(self, command, folder, rng):
        self.command, self.place, self.rng = command, warm(command, folder), rng
        self.error = folder.with_name(f"{folder.name}.error")
        self.outcomes, self.faults = Counter(), []
        began = time.monotonic()
        self._to_the_end("undisturbed")
        self.seconds = time.monotonic() - began

    def one(self, number):
        """Kill once, look, run to the end, look again."""
        out = self.place / OUT
        shutil.rmtree(out, ignore_errors=True)
        if number % 2:
            shutil.copytree(self.place / OLDER, out)
        before = files_below(out)
        process = child(self.command.words, self.place, self.error)
        time.sleep(self.rng.uniform(0, self.seconds))
        os.kill(process, signal.SIGKILL)
        self.outcomes["killed" if ended(process) == -signal.SIGKILL else "ended before"] += 1
        self.outcomes["left a part"] += bool(parts_below(out))
        self.outcomes["left files"] += files_below(out) != before
        self._note(f"{number}, killed", faults(out, before))
        killed = files_below(out)
        self._to_the_end(f"{number}, run again")
        self._note(f"{number}, run again", faults(out, killed))

    def _to_the_end(self, when):
        if ended(child(self.command.words, self.place, self.error)):
            self._note(when, [self.error.read_text()])
        whole, now = (self._names(name) for name in (OLDER, OUT))
        self._note(when, [f"{name} is missing" for name in sorted(whole - now)])

    def _names(self, output):
        return {str(path.relative_to(self.place / output)) for path in files_below(self.place / output)}

    def _note(self, when, found):
        self.faults += [f"{self.command.name} {when}: {fault}" for fault in found]


def kill_all(commands, folder, kills, seed, tell=lambda *told: None):
    """Kill the commands in turn, so often in all; return what was found, by command."""
    rng, found = random.Random(seed), {}
    for index, command in enumerate(commands):
        # Before the next one is warmed up: its libraries may start threads, which a fork does not take along.
        found[command.name] = Kills(command, folder / command.name, rng)
        for number in range(index, kills, len(commands)):
            found[command.name].one(number // len(commands))
        tell(command.name, found[command.name])
    return found
