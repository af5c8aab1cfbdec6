"""The only code that talks to Celery and its brokers: the app made from configuration, queues, priorities, messages.

Admission test: it would be deleted if Celery were. No other package imports `celery` or `kombu`; ``settings`` and ``hint`` import
neither, so that a configuration is checked where Celery is not installed.
"""
