"""Tasks as in a notebook: pods cannot import them, so they are pickled by value.

Run them with `options={"interactive_mode": True}`.
"""

from __future__ import annotations

import cloudpickle
import families
import single
import stopping
import sweeping
from families import falling
from single import blocking
from stopping import computing, waiting
from sweeping import exiting

cloudpickle.register_pickle_by_value(families)
cloudpickle.register_pickle_by_value(single)
cloudpickle.register_pickle_by_value(stopping)
cloudpickle.register_pickle_by_value(sweeping)

__all__ = ["blocking", "computing", "exiting", "falling", "waiting"]
