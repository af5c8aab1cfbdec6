"""Speaks to a Postgres server through libpq, Postgres' own client library, which the driver psycopg brings along.

Admission test: it knows connections, statements and answers of libpq. It knows no table of ours, no rule, no schema and no dialect.

Why not through psycopg: importing it takes a process several times as long as opening a connection does, and each step in a pod and
each run is a process of its own (docs/decisions/0019-libpq-itself.md).
"""
