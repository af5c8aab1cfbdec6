"""What plug-in authors get: conformance suites, stubs, replay.

Admission test: a stranger's test imports it. Our own backends run the same suites.
"""
