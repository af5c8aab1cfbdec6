"""Where a run's steps live: THE loop (`driver`), and small step runners under it.

Admission test: it starts steps, watches them and stops them. What comes next is decided by `engine`; what is remembered is
kept by `storage`.
"""
