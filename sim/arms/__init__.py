"""Robot arms at a table, in MuJoCo, on the models and controllers of robosuite (Zhu et al. 2020).

Importing this package imports robosuite, without the notes that it logs about optional parts of its own.
"""

import logging

_disabled = logging.root.manager.disable
logging.disable(logging.WARNING)
try:
    import robosuite
finally:
    logging.disable(_disabled)
logging.getLogger("robosuite_logs").setLevel(logging.ERROR)

__all__ = ["robosuite"]
