"""The front door: a reverse proxy on the only port that hospitals reach. It forwards only the fleet interface.

A stock SuperLink serves its control and runtime interfaces on the same port without a key (docs/decisions.md), so it
listens on 127.0.0.1 behind this proxy. TLS ends at the proxy and is used again behind it, because Flower's node
authentication needs TLS at the SuperLink itself.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence

from ceus_models.pki.enrolment import ADDRESS_HEADER
from server.federation.addresses import FormerAddress
from server.federation.federation_file import Federation
from server.run_folder.paths import Home

CALLS = (
    "activate-node",
    "confirm-message-received",
    "deactivate-node",
    "get-fab",
    "get-run",
    "pull-messages",
    "pull-object",
    "push-messages",
    "push-object",
    "send-node-heartbeat",
)
"""What a registered node calls below /v1/fleet/. register-node and unregister-node are the coordinator's alone."""

_PATHS = f"^/v1/fleet/({'|'.join(CALLS)})$"
_SLOWEST_S = 300  # a site behind a slow line sends a piece of 5 MB in this time at 17 kB/s

_NGINX = """# Written by `ceus-coordinator init`; changes are overwritten. Start: nginx -c {conf}
# After `ceus-coordinator renew`: nginx -c {conf} -s reload, which closes no connection.
worker_processes auto;
error_log stderr warn;
pid {run}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  server_tokens off;
  default_type application/octet-stream;
  client_body_temp_path {run}/body;
  proxy_temp_path {run}/proxy;
  fastcgi_temp_path {run}/fastcgi;
  uwsgi_temp_path {run}/uwsgi;
  scgi_temp_path {run}/scgi;

  upstream superlink {{ server 127.0.0.1:{superlink_port}; keepalive 64; }}

  server {{
    {listen}
    add_header {header} "{told}" always;
    ssl_certificate {front};
    ssl_certificate_key {front_key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:front:4m;

    client_max_body_size {piece}m;
    client_header_timeout 30s;
    client_body_timeout {slowest}s;
    send_timeout {slowest}s;
    keepalive_timeout 75s;
    if ($request_method != POST) {{ return 404; }}
    # the path as it was sent, too: nginx decodes and tidies it for `location`, and hands on the original
    if ($request_uri !~ "{paths}") {{ return 404; }}

    location ~ "{paths}" {{
      proxy_pass https://superlink;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host localhost;
      proxy_request_buffering off;
      # a slow site's piece waits in memory and at the SuperLink, never in a file: workers of a root's nginx are another
      # user, who may not enter this folder, and weights would lie on the disk
      proxy_max_temp_file_size 0;
      proxy_connect_timeout 10s;
      proxy_send_timeout {slowest}s;
      proxy_read_timeout {slowest}s;
      proxy_next_upstream off;
      proxy_ssl_trusted_certificate {ca};
      proxy_ssl_verify on;
      proxy_ssl_name localhost;
      proxy_ssl_server_name on;
    }}
    location / {{ return 404; }}
  }}
}}
"""


def _list_listeners(federation: Federation, former: Sequence[FormerAddress]) -> Iterator[str]:
    for port in dict.fromkeys((federation.port, *(one.port for one in former))):
        yield f"listen {port} ssl;"
        if has_ipv6():
            yield f"listen [::]:{port} ssl ipv6only=on;"


def _tell_address(federation: Federation, former: Sequence[FormerAddress]) -> str:
    until = min((one.until for one in former), default=None)
    return f"{federation.address} {until:%Y-%m-%d}" if until else federation.address


def has_ipv6() -> bool:
    """Whether this machine's kernel has IPv6; without it nginx could not open the port."""
    try:
        socket.socket(socket.AF_INET6).close()
    except OSError:
        return False
    return True


def render_nginx(home: Home, federation: Federation, former: Sequence[FormerAddress] = ()) -> str:
    """Render the complete configuration of a separate nginx, which needs no root for a port above 1023.

    former: addresses that sites still dial. Every answer says the present one, so that they learn of it before.
    """
    return _NGINX.format(
        conf=home.nginx,
        run=home.front_run,
        listen="\n    ".join(_list_listeners(federation, former)),
        header=ADDRESS_HEADER,
        told=_tell_address(federation, former),
        superlink_port=federation.superlink_port,
        front=home.front,
        front_key=home.front_key,
        ca=home.ca,
        piece=federation.largest_piece_mb,
        paths=_PATHS,
        slowest=_SLOWEST_S,
    )
