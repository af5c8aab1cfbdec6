"""The code location server (gRPC) and the web server (UI, GraphQL).

Admission test: it answers requests of other processes for as long as it lives. Nothing is here yet.
"""
