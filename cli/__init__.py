"""Verbs for people, and `api execute_run | execute_step | resume_run` for containers.

Admission test: it reads arguments, calls one thing below, and says what came of it. Imports of heavy parts stand inside the
verbs, so that `--help` is quick.
"""
