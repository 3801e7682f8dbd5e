"""The facts of a series that rules are asked about: the same for routing and for explanations."""

from __future__ import annotations

from collections.abc import Callable, Collection

from orchestrator.dicom import may_be_image
from orchestrator.domain.series import Headers, Series


def facts_of_series(
    series: Series,
    *,
    plugin_facts: Callable[[Series], Headers],
    own_objects: Callable[[Collection[str]], Collection[str]],
) -> Headers:
    """Return headers, host facts and plugin facts; MachineWritten where this host wrote it or it holds no images.

    plugin_facts: asks the plugins; raises PluginError.
    own_objects: returns those of some SOP Instance UIDs that this host wrote.
    """
    facts = {**series.facts, **plugin_facts(series)}
    uids = [instance.sop_uid for instance in series.images]
    if not any(map(may_be_image, series.instances)) or own_objects(uids):
        facts = {**facts, "MachineWritten": ("yes",)}
    return facts
