"""Which providers are real and which are simulated."""

from pathlib import Path

import pytest
from fairlead.errors import BadInput
from fairlead.providers import KEY_VARIABLE, choose, file_text, require_simulated, without_keys
from fairlead_models.providers import load_providers

FIVE = ("openai", "anthropic", "google", "mistral", "cohere")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "providers.yaml"
    path.write_text(text)
    return path


def test_a_set_key_means_the_real_provider() -> None:
    found = choose(None, {"GEMINI_API_KEY": "k"}, simulators=True)
    assert found.names == FIVE
    assert found.simulated == ("openai", "anthropic", "mistral", "cohere")


def test_an_empty_key_is_no_key() -> None:
    assert choose(None, {"GEMINI_API_KEY": ""}, simulators=True).simulated == FIVE


def test_without_simulators_only_providers_with_a_key_are_left() -> None:
    found = choose(None, {"COHERE_API_KEY": "k"}, simulators=False)
    assert (found.names, found.simulated) == (("cohere",), ())


def test_no_provider_at_all_is_refused() -> None:
    with pytest.raises(BadInput, match=r"no provider has a key.*set one of OPENAI_API_KEY"):
        choose(None, {}, simulators=False)


def test_a_file_says_which_providers_there_are_and_those_without_a_key_are_simulated(tmp_path: Path) -> None:
    text = "providers: [{name: openai}, {name: mine, wire: openai, base_url: 'http://127.0.0.1:1/v1'}]"
    found = choose(written(tmp_path, text), {}, simulators=True)
    assert (found.names, found.simulated) == (("openai", "mine"), ("openai",))


def test_a_built_in_provider_at_an_address_of_its_own_is_not_simulated(tmp_path: Path) -> None:
    text = "providers: [{name: openai, base_url: 'http://127.0.0.1:1/v1'}]"
    assert choose(written(tmp_path, text), {}, simulators=True).simulated == ()


def test_a_disabled_provider_is_neither_there_nor_simulated(tmp_path: Path) -> None:
    text = "providers: [{name: openai, enabled: false}, {name: cohere}]"
    found = choose(written(tmp_path, text), {}, simulators=True)
    assert (found.names, found.simulated) == (("cohere",), ("cohere",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("providers: [{name: openai, bas: 1}]", "provider 'openai': unknown field 'bas'"),
        ("providers: [", "not valid YAML"),
        ("providers: []", "enables no provider"),
        ("providers: [{name: openai, api_key: '${NOT_SET}'}]", "variable NOT_SET is not set"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadInput) as caught:
        choose(path, {}, simulators=True)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nowhere.yaml: cannot be read \(No such file or directory\)"):
        choose(tmp_path / "nowhere.yaml", {}, simulators=True)


def test_the_written_file_points_to_the_simulators_and_holds_no_key(tmp_path: Path) -> None:
    environ = {"ANTHROPIC_API_KEY": "real-key"}
    found = choose(None, environ, simulators=True)
    text = file_text(found, {name: 4000 + i for i, name in enumerate(found.simulated)})
    assert "real-key" not in text
    specs = {
        spec.name: spec for spec in load_providers(written(tmp_path, text), {**environ, KEY_VARIABLE: "sim"})
    }
    assert specs["openai"].base_url == "http://127.0.0.1:4000/v1"
    assert specs["google"].base_url == "http://127.0.0.1:4001"
    assert specs["openai"].api_key == "sim"
    assert specs["anthropic"].base_url == "https://api.anthropic.com"
    assert specs["anthropic"].api_key == "real-key"


def test_the_demo_never_calls_a_real_provider(tmp_path: Path) -> None:
    environ = without_keys({"OPENAI_API_KEY": "k", "PATH": "/bin"})
    assert environ == {"PATH": "/bin"}
    require_simulated(choose(None, environ, simulators=True))
    real = written(tmp_path, "providers: [{name: mine, wire: openai, base_url: 'http://127.0.0.1:1/v1'}]")
    with pytest.raises(BadInput, match="mine would not be simulated"):
        require_simulated(choose(real, environ, simulators=True))
