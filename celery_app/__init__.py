"""The only code that talks to Celery: the app made from configuration, queues, routes, task names.

Admission test: it would be deleted if Celery were. No other package imports `celery`. Nothing is here yet.
"""
