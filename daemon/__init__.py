"""What ticks: the queue, the monitor of lost runs, run retries, schedules.

Admission test: it does something for runs that are not its own, again and again. It never imports user code. Nothing is
here yet.
"""
