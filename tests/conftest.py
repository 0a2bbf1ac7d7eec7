"""What every test process begins with.

A run that a script starts in the background has Ctrl-C ignored, and so would have everything that it starts: a command
that is to end by it never would. And an example that takes long, to try or to think of, says something about the
machine, not about the law that it is an example of.

Which examples are tried is the same in each run, so that what a change is told is about the change. Others are tried by
`pytest --hypothesis-profile=others`.
"""

import signal

import hypothesis

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

PATIENT = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("others", PATIENT)
hypothesis.settings.register_profile("here", PATIENT, derandomize=True)
hypothesis.settings.load_profile("here")
