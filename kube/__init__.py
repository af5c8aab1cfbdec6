"""The only code that talks to Kubernetes: one client, one pod template, one answer to "has this Job failed, and why?".

Admission test: it would be deleted if Kubernetes were. No other package imports `kubernetes`.
"""
