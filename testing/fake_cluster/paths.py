"""URLs of the API as what they ask for.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from .store import Refusal

_PATH = re.compile(
    r"^/(?:api|apis/(?P<group>[^/]+))/(?P<version>v[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<resource>[a-z]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>[a-z]+))?)?$"
)
KINDS = {
    "configmaps": "ConfigMap",
    "events": "Event",
    "jobs": "Job",
    "localsubjectaccessreviews": "LocalSubjectAccessReview",
    "namespaces": "Namespace",
    "nodes": "Node",
    "pods": "Pod",
    "resourcequotas": "ResourceQuota",
    "secrets": "Secret",
    "selfsubjectaccessreviews": "SelfSubjectAccessReview",
    "serviceaccounts": "ServiceAccount",
}
_REVIEWS = "authorization.k8s.io/v1"
OF_GROUP = {"jobs": "batch/v1", "selfsubjectaccessreviews": _REVIEWS, "localsubjectaccessreviews": _REVIEWS}
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class Address:
    """What a request is about.

    Attributes:
        verb: as roles name it.
        resource: plural name; with its subresource for one (``pods/log``).
        namespace: None: all of them.
        name: None: the collection.
    """

    verb: str
    resource: str
    namespace: str | None
    name: str | None
    query: Mapping[str, str]


def address_of(method: str, target: str) -> Address:
    """Read a request's line.

    Raises:
        Refusal: 404, no such thing here.
    """
    parts = urlsplit(target)
    match = _PATH.match(parts.path)
    if match is None or match["resource"] not in KINDS:
        raise Refusal(404, "NotFound", "the server could not find the requested resource")
    group_version = f"{match['group']}/{match['version']}" if match["group"] else match["version"]
    if group_version != OF_GROUP.get(match["resource"], "v1"):
        raise Refusal(404, "NotFound", "the server could not find the requested resource")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    name = unquote(match["name"]) if match["name"] else None
    resource = match["resource"] + (f"/{match['sub']}" if match["sub"] else "")
    if method == "GET":
        watched = query.get("watch") in ("1", "true", "True")
        verb = "watch" if watched else "get" if name else "list"
    elif method == "DELETE" and name is None:
        verb = "deletecollection"
    elif method in _VERBS:
        verb = _VERBS[method]
    else:
        raise Refusal(405, "MethodNotAllowed", f"{method} is not allowed")
    return Address(verb, resource, match["namespace"], name, query)
