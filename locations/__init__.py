"""The only code that talks to code locations: where the definitions of other processes are asked for.

Admission test: it asks another process about user code, or it is that process. Nobody who asks ever imports user code.
"""
