"""How gunicorn serves the function in a custom runtime.

`python -m gunicorn -c python:handler.gunicorn_conf --threads N handler.wsgi:app`, where N is the function's
instanceConcurrency. Source: the Function Compute page on the principles of custom runtimes; gunicorn's page on its
settings.
"""

from __future__ import annotations

import os

bind = f"0.0.0.0:{os.environ.get('FC_CUSTOM_LISTEN_PORT') or 9000}"
worker_class = "gthread"
# One process, so that the lines of its log are whole. More vCPUs than one are better used by more instances.
workers = 1
# Instances are frozen between requests: whoever counts seconds would find the worker dead when it wakes.
timeout = 0
# Only the platform connects, and it reuses its connections: who closes one may lose the request on its way.
keepalive = 24 * 3600  # seconds

# Room for the platform's own limits (path and query 4 KB, headers 8 KB) and for the token it adds.
limit_request_line = 8190  # bytes
limit_request_field_size = 8190  # bytes

# Nobody is a proxy whose word counts: a header whose name has an underscore, such as x_fc_control_path, is dropped.
header_map = "drop"
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}

# The audit line is the log. What gunicorn would tell of requests holds headers and paths with their query.
accesslog = None
loglevel = "error"
control_socket_disable = True
