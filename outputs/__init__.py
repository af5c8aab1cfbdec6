"""IO managers: where the outputs of steps are kept, and how inputs are loaded.

Admission test: it moves a value between user code and a place that keeps it. It knows no database of runs.
"""
