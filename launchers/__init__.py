"""Where a run's process lives: a process, a Job, a task.

Admission test: it starts the process of a run, tells whether it lives, and ends it. It does not know how steps are run.
"""
