"""``orchestrator doctor``: checks of this installation and of its archives; changes nothing."""
