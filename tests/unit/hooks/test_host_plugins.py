"""Host plugins: loaded one by one, asked one by one, refused by name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.domain.errors import PluginError
from orchestrator.domain.plugin import PluginListing
from orchestrator.hooks import HostPlugins
from orchestrator.sdk import hookimpl

Plugins = Callable[..., HostPlugins]
SERIES: Any = SimpleNamespace(facts={"Modality": ("CT",)})
JOB: Any = SimpleNamespace(key="k")


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    def load(**sources: str) -> HostPlugins:
        return HostPlugins.load([written(tmp_path, name, source) for name, source in sources.items()])

    return load


def written(folder: Path, name: str, source: str) -> PluginListing:
    path = folder / f"{name}.py"
    path.write_text("from orchestrator.sdk import hookimpl\n" + source)
    return PluginListing(name, "1", str(path), hooks=("result_delivered",), path=str(path))


FACTS = """
@hookimpl
def declare_facts():
    return {"Ward": "text"}

@hookimpl
def series_facts(series, headers):
    return {"Ward": headers["Modality"][0] + "-ward"}
"""


def test_a_fact_reaches_the_rules(plugins: Plugins) -> None:
    assert plugins(one=FACTS).series_facts(SERIES) == {"Ward": ("CT-ward",)}


def test_declared_facts_are_known_to_the_rules(plugins: Plugins) -> None:
    assert plugins(one=FACTS).facts == {"Ward": "text"}


def test_two_plugins_with_one_fact_are_both_named(plugins: Plugins) -> None:
    with pytest.raises(PluginError, match="plugins one and two both declare the fact 'Ward'"):
        plugins(one=FACTS, two=FACTS)


def test_an_undeclared_fact_is_refused_by_name(plugins: Plugins) -> None:
    host = plugins(one="@hookimpl\ndef series_facts(series): return {'Ward': 1}")
    with pytest.raises(PluginError, match="one returned the fact 'Ward', which it does not declare"):
        host.series_facts(SERIES)


def test_a_fact_that_is_no_plain_value_is_refused(plugins: Plugins) -> None:
    host = plugins(one=FACTS.replace('headers["Modality"][0] + "-ward"', "{}"))
    with pytest.raises(PluginError, match="expected text or numbers"):
        host.series_facts(SERIES)


def test_a_raising_fact_names_its_plugin_and_not_its_message(plugins: Plugins) -> None:
    host = plugins(one="@hookimpl\ndef series_facts(series): raise KeyError('Doe^John')")
    with pytest.raises(PluginError) as raised:
        host.series_facts(SERIES)
    assert str(raised.value) == "plugin one raised KeyError in series_facts"


def test_a_raising_observer_leaves_the_others_their_turn(
    plugins: Plugins, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = tmp_path / "told"
    host = plugins(
        first="@hookimpl\ndef result_delivered(job): raise ValueError('Doe^John')",
        second=f"import pathlib\n@hookimpl\ndef result_delivered(job): pathlib.Path({str(told)!r}).write_text(job.key)",
    )
    with caplog.at_level(logging.ERROR):
        host.result_delivered(JOB, [])
    assert told.read_text() == "k"
    assert "first raised ValueError at" in caplog.text
    assert "Doe" not in caplog.text


def test_the_first_plugin_that_knows_the_scheme_connects(plugins: Plugins) -> None:
    host = plugins(
        one="@hookimpl\ndef connect_archive(url): return None",
        two="@hookimpl\ndef connect_archive(url, settings): return url + settings['name']",
    )
    assert host.connect_archive("x://", {"name": "pacs"}) == "x://pacs"


def test_extra_objects_of_all_plugins_are_sent(plugins: Plugins) -> None:
    give = "@hookimpl\ndef extra_objects(job): return [{!r}]"
    host = plugins(one=give.format("a"), two=give.format("b"), three="@hookimpl\ndef extra_objects(): return None")
    assert sorted(host.extra_objects(JOB, None, [])) == ["a", "b"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("def result_delivered(job): pass", "the plugin has no hook; decorate its functions with @hookimpl"),
        ("@hookimpl\ndef result_delivred(job): pass", "unknown hooks result_delivred"),
        ("@hookimpl\ndef result_delivered(jobb): pass", "jobb"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemError('x')", "SystemError: x"),
    ],
)
def test_a_broken_plugin_is_listed_with_its_error_and_stops_no_other(plugins: Plugins, source: str, error: str) -> None:
    host = plugins(broken=source, sound="@hookimpl\ndef connect_archive(url): return url")
    assert error in next(plugin.error for plugin in host.listing if plugin.name == "broken")
    assert host.connect_archive("x://", {}) == "x://"


def test_a_plugin_of_models_alone_is_not_imported(tmp_path: Path) -> None:
    listing = written(tmp_path, "models", "raise RuntimeError")
    only_models = PluginListing("models", "1", "x", hooks=("register_models",), path=listing.path)
    assert HostPlugins.load([only_models]).listing == ()


def test_an_installed_plugin_is_loaded_by_its_name() -> None:
    listing = PluginListing("bone-volume", "1", "entry point", hooks=("register_models", "result_delivered"))
    assert HostPlugins.load([listing]).listing == (listing,)


OURS = SimpleNamespace(connect_archive=hookimpl(lambda url, settings: f"ours for {url}" if url[0] == "d" else None))
THEIRS = "@hookimpl\ndef connect_archive(url, settings): return 'theirs' if url == '{url}' else None"


@pytest.mark.parametrize(
    ("url", "archive"), [("dimse:1", "theirs"), ("dimse:2", "ours for dimse:2"), ("telepathy:", None)]
)
def test_a_scheme_of_an_outsider_goes_before_the_hosts_own(tmp_path: Path, url: str, archive: str | None) -> None:
    listing = [written(tmp_path, "theirs", THEIRS.format(url="dimse:1"))]
    assert HostPlugins.load(listing, {"archives": OURS}).connect_archive(url, {}) == archive


def test_the_hosts_own_plugins_are_listed_like_others() -> None:
    (listed,) = HostPlugins.load([], {"archives": OURS}).listing
    assert (listed.name, listed.origin, listed.hooks) == ("archives", "part of the host", ("connect_archive",))
