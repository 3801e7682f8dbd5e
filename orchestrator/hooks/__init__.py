"""Host plugins: trusted code that runs in the host itself."""

from orchestrator.hooks.host_plugins import HostPlugins
from orchestrator.hooks.loading import load_all

__all__ = ["HostPlugins", "load_all"]
