"""Host plugins: trusted code that runs in the host itself."""

from orchestrator.hooks.host_plugins import HostPlugins

__all__ = ["HostPlugins"]
