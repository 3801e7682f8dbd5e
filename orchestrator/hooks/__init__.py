"""Host plugins: trusted code that runs in the process of the host."""

from orchestrator.hooks.host_plugins import HostPlugins
from orchestrator.hooks.loading import load_all

__all__ = ["HostPlugins", "load_all"]
