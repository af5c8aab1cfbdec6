"""The only code that talks to code servers: where the definitions of other processes are asked for.

Admission test: it asks somebody else about user code, and never imports it. Nothing is here yet.
"""
