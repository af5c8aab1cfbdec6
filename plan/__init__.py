"""Definitions -> plan snapshot: steps, selections, re-execution.

Admission test: it is a pure function from what users wrote to the plan as data. The engine below reads only that data.
"""
