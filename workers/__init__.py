"""What runs inside a run process, a step process, a Celery task: thin bodies of the ``api`` verbs.

Admission test: it is the life of one worker process, from its request document to its exit code. Decisions belong to ``engine``,
writes to ``storage``, user code to ``executors``.
"""
