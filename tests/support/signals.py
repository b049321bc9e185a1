"""Signals as a terminal gives them."""

import signal


def heed_interrupts():
    """For ``preexec_fn``: Ctrl-C reaches a child even if the tests themselves run in the background.

    A shell without a terminal lets its background jobs ignore it, and their children inherit that.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
