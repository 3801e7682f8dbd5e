"""The pages on which a radiologist sees, accepts and rejects results."""

from orchestrator.web.assembly import create_app
from orchestrator.web.ohif import Ohif
from orchestrator.web.pictures import Pictures
from orchestrator.web.security.permissions import Permission
from orchestrator.web.server import Server, serve
from orchestrator.web.site import ModelCardText, Take

__all__ = [
    "ModelCardText",
    "Ohif",
    "Permission",
    "Pictures",
    "Server",
    "Take",
    "create_app",
    "serve",
]
