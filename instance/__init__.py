"""dagster.yaml -> Instance: the composition root.

Admission test: it wires parts that the configuration names. It is, beside `workers`, the only caller of the one function that
turns a class name into an object.
"""
