"""A queue of documents that may hold a verdict; a background thread processes them one after the other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from orchestrator.archive import Arrival
from orchestrator.domain.series import Instance

Take = Callable[[Instance, Arrival], None]


@dataclass(slots=True, eq=False)
class ReviewDocument:
    """An SR, SEG or key object selection and how it came. processing: None before it is queued."""

    instance: Instance
    arrival: Arrival
    processing: Future[None] | None = None


class ReviewDocuments:
    """Queues review documents, since to compare two large segmentations takes seconds. For use by one thread.

    The queue is not durable, and need not be: a series is released only when its documents were processed. After a
    kill the series is received again, and its documents are queued again.
    """

    def __init__(self, take: Take) -> None:
        """take: records the verdict that a document holds; called in the background thread."""
        self._take = take
        self._thread = ThreadPoolExecutor(1, "review documents")

    def put(self, document: ReviewDocument) -> None:
        """Queue the document, unless it is queued or processed already."""
        if document.processing is None:
            document.processing = self._thread.submit(self._take, document.instance, document.arrival)

    def is_processed(self, document: ReviewDocument) -> bool:
        """Return whether a queued document was processed.

        Raises what processing raised; the document may be queued again then.
        """
        processing = document.processing
        if processing is None or not processing.done():
            return False
        if processing.exception() is not None:
            document.processing = None
        processing.result()
        return True

    def close(self) -> None:
        """Begin with no further document."""
        self._thread.shutdown(wait=False, cancel_futures=True)
