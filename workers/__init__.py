"""What runs inside a run process, a step process, a Celery task: thin bodies of the `api` verbs.

Admission test: it is the first thing of ours that runs in a new process, and it ends with an exit code.
"""
