"""Assets: what steps make and keep, named by keys, with their dependencies and checks.

Admission test: a user names it in their own file, and it speaks of assets; or it turns what they wrote into a job of ops. Nothing
here runs a step, and nothing of it is imported by a job without assets.
"""
