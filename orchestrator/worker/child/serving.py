"""The main loop of a model process: answers requests one by one until the host closes the channel."""

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
from orchestrator.worker.child.device import is_out_of_memory, report_device
from orchestrator.worker.protocol.channel import Channel, ChannelClosed
from orchestrator.worker.protocol.exchange import read_volume, write_result

LONGEST_MESSAGE = 300


def serve(channel: int, layers: Collection[str]) -> None:
    """Report to the host, receive the plugin, and answer requests; never returns."""
    end = Channel(socket.socket(fileno=channel))
    end.send({"hello": {"cage": sorted(layers), "python": sys.version.split()[0]}})
    start, _ = end.receive()
    session = ModelSession(start["plugin"], end)
    while True:
        try:
            request, files = end.receive()
            end.send(session.answer(request, files))
        except ChannelClosed:
            os._exit(0)


class ModelSession:
    """One plugin and, once loaded, the model of it that this process runs."""

    def __init__(self, plugin: Mapping[str, Any], host: Channel) -> None:
        self._spec = plugin
        self._host = host
        self._plugin: plugins.Plugin | None = None
        self._model: Model | None = None
        self._process = os.getpid()

    def answer(self, request: Mapping[str, Any], files: Sequence[int]) -> dict[str, Any]:
        """Return the answer to one request; every error of the model becomes an answer too."""
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
        except (EnvironmentMissing, ManifestError) as fault:  # messages of the host's own runtimes need no class name
            return {"error": "raised", "message": _brief(str(fault))}
        except MemoryError:
            return {"error": "memory", "message": ""}
        except BaseException as raised:  # noqa: BLE001 - code of the model may raise anything, even SystemExit
            traceback.print_exc()
            kind = "memory" if is_out_of_memory(raised) else "raised"
            return {"error": kind, "message": _brief(f"{type(raised).__name__}: {raised}")}
        finally:
            self._end_a_fork()

    def _answer(self, request: Mapping[str, Any], files: Sequence[int]) -> dict[str, Any]:
        ask = request["ask"]
        if ask == "describe":
            return self._load_plugin().report()
        if ask == "load":
            return self._load(request["model"], request["weights"], request["device"], request.get("served"))
        if ask == "predict":
            return self._predict(files)
        if ask == "convert":
            return self._convert(request["function"], Path(request["source"]), Path(request["target"]))
        raise LookupError(f"unknown request {ask!r}")

    def _load_plugin(self) -> plugins.Plugin:
        if self._plugin is None:
            self._plugin = plugins.load(self._spec)
        return self._plugin

    def _load(self, key: str, weights: str | None, device: str, server: Mapping[str, Any] | None) -> dict[str, Any]:
        self._model = self._load_plugin().models[key]
        if server is not None and hasattr(self._model, "connect"):
            self._model.connect(server, self._host)
        elif hasattr(self._model, "load"):
            self._model.load(Path(weights) if weights else None, device)
        return report_device(self._model, device)

    def _predict(self, files: Sequence[int]) -> dict[str, Any]:
        assert self._model is not None, "predict before load"
        voxels_file, volume_file, masks_file, maps_file, result_file = files
        with (
            os.fdopen(voxels_file, "rb") as voxels,
            os.fdopen(volume_file, "rb") as document,
            os.fdopen(masks_file, "r+b") as masks,
            os.fdopen(maps_file, "r+b") as maps,
            os.fdopen(result_file, "r+b") as result_stream,
        ):
            volume = read_volume(voxels, document)
            start = time.perf_counter()
            result = self._model.predict(volume)
            seconds = time.perf_counter() - start
            self._end_a_fork()
            try:
                write_result(result, volume.shape, result_stream, masks, maps)
            except InvalidResult:
                raise
            except OSError as fault:
                raise StorageFull(f"the result cannot be written: {fault.strerror}") from fault
            except (TypeError, ValueError, AttributeError) as fault:
                raise InvalidResult(f"the result cannot be written: {fault}") from fault
        return {"seconds": seconds}

    def _end_a_fork(self) -> None:
        """End a fork of the process that the model left running; only the parent answers the request."""
        if os.getpid() != self._process:
            os._exit(0)

    def _convert(self, function: str, source: Path, target: Path) -> dict[str, Any]:
        module, _, name = function.partition(":")
        code = plugins.import_file(Path(module)) if module.endswith(".py") else __import__(module, fromlist=[name])
        getattr(code, name)(source, target)
        return {}


def _brief(text: str) -> str:
    """Return the first line, shortened; the full text is in the output of the process."""
    return (text.splitlines() or [""])[0][:LONGEST_MESSAGE]
