"""Reading must not wait for what only writing needs."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("absent", ["highdicom", "torch", "imagecodecs"])
def test_headers_are_read_without(absent):
    program = f"""
import sys
from orchestrator.dicom import check_intended, gather, is_image, read_instance
assert callable(read_instance)
sys.exit({absent!r} in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_public_name_is_there():
    import orchestrator.dicom

    for name in orchestrator.dicom.__all__:
        assert getattr(orchestrator.dicom, name) is not None


def test_another_name_is_an_attribute_error():
    import orchestrator.dicom

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        orchestrator.dicom.nonsense  # noqa: B018 - the access is what is tested
