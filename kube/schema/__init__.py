"""What Kubernetes calls the fields of a Job and of all that is in it, and of which type each is.

Admission test: it is a fact of Kubernetes' API. ``models.json`` is made from the official client by ``generate.py``; the client's own models
are never imported at run time, since that takes a second and 100 MB.
"""

from .reader import Model, model, to_camel

__all__ = ["Model", "model", "to_camel"]
