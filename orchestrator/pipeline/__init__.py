"""The one flow: arrival, completion, routing, inference, delivery."""

from orchestrator.pipeline.completion import Completion, Due, Step
from orchestrator.pipeline.delivery import Delivery
from orchestrator.pipeline.flow import Inference
from orchestrator.pipeline.intake import Intake, Received
from orchestrator.pipeline.parts import DELIVERY_QUEUE, MODEL_QUEUE, Destination, Folders, Observers, Parts
from orchestrator.pipeline.routing import Routing, queue_job

__all__ = [
    "DELIVERY_QUEUE",
    "MODEL_QUEUE",
    "Completion",
    "Delivery",
    "Destination",
    "Due",
    "Folders",
    "Inference",
    "Intake",
    "Observers",
    "Parts",
    "Received",
    "Routing",
    "Step",
    "queue_job",
]
