"""HTTP requests to servers on loopback.

httpx loads the certificate authorities for each client and each request without one, which takes up to 60 ms of CPU
time. The servers of the tests have no TLS, or a private certificate.
"""

from __future__ import annotations

from functools import partial

import httpx

Client = partial(httpx.Client, verify=False)
AsyncClient = partial(httpx.AsyncClient, verify=False)
request = partial(httpx.request, verify=False)
get = partial(httpx.get, verify=False)
post = partial(httpx.post, verify=False)
put = partial(httpx.put, verify=False)
