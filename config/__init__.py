"""What is allowed in a file, and where each value came from: schema with paths, class pointers, environment sources.

Admission test: it is about a document that a person wrote. It knows the shape of the values and nothing of what they are for.
"""
