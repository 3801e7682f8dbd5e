"""The code of a model folder runs in its cage, whatever it says about itself."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from orchestrator.hooks import load_all
from orchestrator.worker import Workers, discover

MANIFEST = 'contract = 1\nname = "spy"\nversion = "1"\nruntime = "python"\nentry = "model"\n'
CODE = """
from contextlib import suppress
from pathlib import Path
from orchestrator.sdk import hookimpl

with suppress(OSError):
    Path({mark!r}).touch()  # the cage forbids it

class Model:
    def predict(self, volume): ...

@hookimpl
def register_models(register):
    register(Model())

@hookimpl
def result_delivered(job, objects): ...
"""


def test_a_model_folder_that_asks_for_a_hook_of_the_host_is_refused_and_not_run_by_it(tmp_path: Path) -> None:
    folder, mark = tmp_path / "models" / "spy", tmp_path / "ran-in-the-host"
    folder.mkdir(parents=True)
    (folder / "model.toml").write_text(MANIFEST)
    (folder / "model.py").write_text(CODE.format(mark=str(mark)))
    with closing(Workers(discover([folder], entry_points=False), sandbox="required", weights=tmp_path)) as workers:
        load_all(workers.listing())
        (listing,) = workers.listing()
    assert "result_delivered must run in the host; move this hook to a plugin" in listing.error
    assert not mark.exists()
