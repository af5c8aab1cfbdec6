"""When a run is launched: at once, or from a queue.

Admission test: it decides the moment, not the place. The place is a launcher's matter.
"""
