"""How gunicorn serves the function in a custom runtime.

`python -m gunicorn -c python:handler.gunicorn_conf --threads N handler.wsgi:app`, where N is the function's
instanceConcurrency and `wsgi.SPARE_THREADS`. Source: the Function Compute page on the principles of custom runtimes;
gunicorn's page on its settings.
"""

from __future__ import annotations

import os
from typing import Any

from .request import MAX_BYTES

bind = f"0.0.0.0:{os.environ.get('FC_CUSTOM_LISTEN_PORT') or 9000}"
worker_class = "gthread"
# One process, so that log lines are never mixed. More instances use more vCPUs better than more processes do.
workers = 1
# Instances are frozen between requests, so a timeout would kill the worker when it resumes.
timeout = 0
# Only the platform connects, and it reuses connections: closing one may lose a request that is on its way.
keepalive = 24 * 3600  # seconds

# Above the platform's own limits (path and query 4 KB, headers 8 KB) plus the token that it adds.
limit_request_line = 8190  # bytes
limit_request_field_size = 8190  # bytes

# Trust no proxy, and drop headers with an underscore in their name, such as x_fc_control_path.
header_map = "drop"
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}

# The audit line is the log. gunicorn's own would contain headers and queries, which may be secret.
accesslog = None
loglevel = "error"
control_socket_disable = True


def post_worker_init(worker: Any) -> None:
    from . import wsgi

    wsgi.limit_bodies(worker.cfg.threads)


def pre_request(worker: Any, request: Any) -> None:
    """Announces that the connection is closed after a request whose body is too large to be read, or may be.

    Only their end says how long chunks are, and whether they are valid.
    """
    headers = dict(request.headers)
    # The platform's own calls carry events of up to 32 MB, and closing its connection may lose the next call.
    may_stay_unread = int(headers.get("CONTENT-LENGTH", 0)) > MAX_BYTES or "TRANSFER-ENCODING" in headers
    if not may_stay_unread:
        return
    from .wsgi import CONTROL

    if headers.get("X-FC-CONTROL-PATH") not in CONTROL:
        request.force_close()
