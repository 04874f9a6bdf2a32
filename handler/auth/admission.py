"""Whether a program may do what it asks for: the mount's rules first, then the caller's."""

from __future__ import annotations

from typing import NamedTuple

from .. import links
from ..config import Mount
from ..endpoints.objects import unauthorized
from ..errors import Problem, not_found
from ..paths import check_path
from ..request import Invocation


class Admitted(NamedTuple):
    """What may be linked: the object of a mount, and the bounds that the caller brings."""

    mount: Mount
    path: str
    key: str
    bounds: tuple[links.Bound, ...]


def admit(invocation: Invocation, path: str, method: str, *, prefix: bool = False) -> Admitted:
    """The object at a decoded path, where `method` is allowed to whoever asks.

    With `prefix`, a path that ends in "/" may be the mount's own. Raises the 404 `Problem` for what does not exist
    for this caller, 401 where a key is needed, 400 for what the mount does not offer.
    """
    path = check_path(path)
    policy, caller = invocation.policy, invocation.caller
    mount = policy.mount(path)
    if mount is not None and prefix and path == mount.path:
        key = mount.target.key
    else:
        mount, key = links.find(policy, path)
    if mount.access != "anonymous":
        if caller is None:
            raise unauthorized()
        if not caller.reaches(path, method):
            raise not_found()
    if method not in mount.methods:
        raise Problem(400, "not_offered", f"This mount offers {', '.join(mount.methods)}, and not {method}.")
    return Admitted(mount, path, key, caller.bounds(invocation.now) if caller is not None else ())
