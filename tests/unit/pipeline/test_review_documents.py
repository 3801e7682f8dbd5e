"""The queue of review documents: each one is processed once, and what processing raises reaches the caller."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.archive import Arrival
from orchestrator.domain.series import Instance
from orchestrator.pipeline.review.documents import ReviewDocument, ReviewDocuments

SR = Instance("1.2", "1.2.3", "1.2.3.4", "1.2.840.10008.5.1.4.1.1.88.33", Path("sr"), "digest")


class Work:
    """Processes documents when it may, and fails where a test says so."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.processed: list[tuple[str, str]] = []
        self.fault: Exception | None = None

    def __call__(self, instance: Instance, arrival: Arrival) -> None:
        self.may_end.wait(60.0)
        if self.fault:
            raise self.fault
        self.processed.append((instance.sop_uid, arrival.source))


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def documents(work: Work) -> Iterator[ReviewDocuments]:
    with closing(ReviewDocuments(work)) as opened:
        yield opened
        work.may_end.set()


@pytest.fixture
def document() -> ReviewDocument:
    return ReviewDocument(SR, Arrival(path=SR.path, source="pacs"))


def end(work: Work, document: ReviewDocument) -> None:
    """Wait until the document was processed."""
    work.may_end.set()
    assert document.processing is not None
    document.processing.exception(60.0)


def test_a_document_is_processed_once(documents: ReviewDocuments, document: ReviewDocument, work: Work) -> None:
    assert not documents.is_processed(document)
    documents.put(document)
    documents.put(document)
    assert not documents.is_processed(document)
    end(work, document)
    documents.put(document)
    assert [documents.is_processed(document), documents.is_processed(document)] == [True, True]
    assert work.processed == [("1.2.3.4", "pacs")]


def test_a_document_whose_processing_failed_is_not_lost(
    documents: ReviewDocuments, document: ReviewDocument, work: Work
) -> None:
    work.fault = ValueError("away")
    documents.put(document)
    end(work, document)
    with pytest.raises(ValueError, match="away"):
        documents.is_processed(document)
    assert not documents.is_processed(document)
    work.fault = None
    documents.put(document)
    end(work, document)
    assert documents.is_processed(document)
    assert work.processed == [("1.2.3.4", "pacs")]


def test_documents_are_processed_in_order(documents: ReviewDocuments, work: Work) -> None:
    queue = [ReviewDocument(SR, Arrival(path=SR.path, source=source)) for source in "abc"]
    for document in queue:
        documents.put(document)
    end(work, queue[-1])
    assert [source for _, source in work.processed] == ["a", "b", "c"]
