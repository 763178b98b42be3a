"""Tasks as a notebook has them: pods cannot import them, so they are pickled by value.

Run them with `options={"interactive_mode": True}`.
"""

from __future__ import annotations

import cloudpickle
import single
from single import blocking

cloudpickle.register_pickle_by_value(single)

__all__ = ["blocking"]
