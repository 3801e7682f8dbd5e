"""The loop of a model process: one request in, one answer out, until the host closes the channel."""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.domain.errors import (
    EnvironmentMissing,
    InvalidResult,
    ManifestError,
    NotApplicable,
    StorageFull,
    UnsupportedInput,
)
from orchestrator.sdk import Model
from orchestrator.worker.child import plugin as plugins
from orchestrator.worker.child.place import ran_out_of_memory, where_it_runs
from orchestrator.worker.protocol.channel import Channel, ChannelClosed
from orchestrator.worker.protocol.exchange import read_volume, write_result

LONGEST_MESSAGE = 300


def serve(channel: int, layers: Collection[str]) -> None:
    """Greet the host, be told the plugin, and answer requests; never returns."""
    end = Channel(socket.socket(fileno=channel))
    end.send({"hello": {"cage": sorted(layers), "python": sys.version.split()[0]}})
    told, _ = end.receive()
    session = Session(told["plugin"], end)
    while True:
        try:
            request, files = end.receive()
            end.send(session.answer(request, files))
        except ChannelClosed:
            os._exit(0)


class Session:
    """One plugin and, once loaded, the one model of it that this process runs."""

    def __init__(self, plugin: Mapping[str, Any], host: Channel) -> None:
        self._spec = plugin
        self._host = host
        self._plugin: plugins.Plugin | None = None
        self._model: Model | None = None
        self._process = os.getpid()

    def answer(self, request: Mapping[str, Any], files: Sequence[int]) -> dict[str, Any]:
        """Return the answer to one request; whatever the model does becomes an answer too."""
        try:
            return self._answer(request, files)
        except NotApplicable as refusal:
            return {"error": "not-applicable", "message": _brief(str(refusal))}
        except UnsupportedInput as refusal:
            return {"error": "unsupported", "fault": refusal.fault, "message": _brief(refusal.reason)}
        except InvalidResult as fault:
            return {"error": "invalid", "message": _brief(str(fault))}
        except StorageFull as fault:
            return {"error": "storage", "message": _brief(str(fault))}
        except (EnvironmentMissing, ManifestError) as fault:  # our own runtimes' words, whole without a class name
            return {"error": "raised", "message": _brief(str(fault))}
        except MemoryError:
            return {"error": "memory", "message": ""}
        except BaseException as raised:  # noqa: BLE001 - the model's own code: sys.exit is an outcome as well
            traceback.print_exc()
            kind = "memory" if ran_out_of_memory(raised) else "raised"
            return {"error": kind, "message": _brief(f"{type(raised).__name__}: {raised}")}
        finally:
            self._end_a_fork()

    def _answer(self, request: Mapping[str, Any], files: Sequence[int]) -> dict[str, Any]:
        ask = request["ask"]
        if ask == "describe":
            return self._loaded().report()
        if ask == "load":
            return self._load(request["model"], request["weights"], request["device"], request.get("served"))
        if ask == "predict":
            return self._predict(files)
        if ask == "convert":
            return self._convert(request["function"], Path(request["source"]), Path(request["target"]))
        raise LookupError(f"unknown request {ask!r}")

    def _loaded(self) -> plugins.Plugin:
        if self._plugin is None:
            self._plugin = plugins.load(self._spec)
        return self._plugin

    def _load(self, key: str, weights: str | None, device: str, served: Mapping[str, Any] | None) -> dict[str, Any]:
        self._model = self._loaded().models[key]
        if served is not None and hasattr(self._model, "connect"):
            self._model.connect(served, self._host)
        elif hasattr(self._model, "load"):
            self._model.load(Path(weights) if weights else None, device)
        return where_it_runs(self._model, device)

    def _predict(self, files: Sequence[int]) -> dict[str, Any]:
        assert self._model is not None, "predict before load"
        voxels_file, volume_file, masks_file, maps_file, result_file = files
        with (
            os.fdopen(voxels_file, "rb") as voxels,
            os.fdopen(volume_file, "rb") as document,
            os.fdopen(masks_file, "r+b") as masks,
            os.fdopen(maps_file, "r+b") as maps,
            os.fdopen(result_file, "r+b") as result,
        ):
            volume = read_volume(voxels, document)
            start = time.perf_counter()
            returned = self._model.predict(volume)
            seconds = time.perf_counter() - start
            self._end_a_fork()
            try:
                write_result(returned, volume.shape, result, masks, maps)
            except InvalidResult:
                raise
            except OSError as fault:
                raise StorageFull(f"the result cannot be written: {fault.strerror}") from fault
            except (TypeError, ValueError, AttributeError) as fault:
                raise InvalidResult(f"the result cannot be written: {fault}") from fault
        return {"seconds": seconds}

    def _end_a_fork(self) -> None:
        """End a fork that the model let run out of its predict: the request is its parent's to answer."""
        if os.getpid() != self._process:
            os._exit(0)

    def _convert(self, function: str, source: Path, target: Path) -> dict[str, Any]:
        module, _, name = function.partition(":")
        imported = plugins.import_file(Path(module)) if module.endswith(".py") else __import__(module, fromlist=[name])
        getattr(imported, name)(source, target)
        return {}


def _brief(text: str) -> str:
    """Return the first line, bounded: the rest of what a model says stays in its own stderr."""
    return (text.splitlines() or [""])[0][:LONGEST_MESSAGE]
