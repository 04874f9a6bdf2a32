"""The endpoints: the service's own routes, which begin with /-/, shares, folders, and objects."""

from collections.abc import Mapping

# For each route its methods, each with the "module:function" that answers. {id} stands for one segment of a path,
# {path} for one or more.
ROUTES: Mapping[str, Mapping[str, str]] = {
    "/-/health": {"GET": "about:health", "HEAD": "about:health"},
    "/-/openapi.json": {"GET": "about:describe", "HEAD": "about:describe"},
    "/-/": {"GET": "sender:page", "HEAD": "sender:page"},
    "/-/me": {"GET": "sender:me", "HEAD": "sender:me"},
    "/-/sign": {"POST": "sign:create"},
    "/-/form": {"POST": "form:create"},
    "/-/uploads": {"POST": "multipart:create"},
    "/-/uploads/{id}/parts": {"POST": "multipart:sign_parts"},
    "/-/lfs/{path}/objects/batch": {"POST": "lfs:batch"},
    "/-/shares": {
        "GET": "list_shares:answer",
        "HEAD": "list_shares:answer",
        "POST": "shares:create",
    },
    "/-/shares/{id}": {
        **dict.fromkeys(("GET", "HEAD"), "list_shares:show"),
        "POST": "shares:extend",
        "DELETE": "shares:revoke",
    },
}
