"""Decides: stored events in, commands out, on plan data.

Admission test: it is a pure function of the plan and the events. It opens nothing, waits for nothing, reads no clock, draws no
random number, and knows no user code. What takes time belongs to the shell that calls it (``executors/driver``).
"""
