"""What every test takes for granted."""

import signal

# A shell starts background jobs with SIGINT ignored, and children inherit that: tests of Ctrl-C would test nothing.
signal.signal(signal.SIGINT, signal.default_int_handler)
