"""A run as one page of HTML: graph, timeline, failures, events, logs, metadata.

Admission test: it turns what is known of a run into text for a browser. It reads no database and no file but its own style and script.
"""
