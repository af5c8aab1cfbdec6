"""What ticks: the queue, launches, the monitor of runs, run retries.

Admission test: it does something for runs that are not its own, again and again. It never imports user code. Each thing is a
``DaemonLoop``; ``service.py`` runs the loops of one process, and any number of equal processes may run.
"""
