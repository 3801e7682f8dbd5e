"""``orchestrator doctor``: checks this installation and its archives. Changes nothing, except for ``--store``."""
