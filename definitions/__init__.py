"""What users write: op, graph, job, resource, config, IO manager contract, retry policy, executor definition.

Admission test: a user names it in their own file. It describes and never runs: it opens no database and starts no process.
"""
