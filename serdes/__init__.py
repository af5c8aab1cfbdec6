"""Objects <-> documents: what the objects are made with (``record``), kinds, versions, Dagster's `__class__` form, compression, limits.

Admission test: it turns a value into bytes or back, and would make sense without runs. A class does not know its wire form:
codecs are registered here, beside the classes they serve, and old documents are upgraded one step at a time.
"""
