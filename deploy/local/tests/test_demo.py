"""The demo's script: what it sends is what the edge, the simulators and the A/B tests take."""

import random

from fairlead.demo import script
from fairlead_common.operations.abtest import TestIn
from fairlead_simulator.faults import Faults

MODELS = [f"{provider}/{model}" for provider in ("a", "b", "c", "d", "e") for model in ("one", "two")]


def test_chats_go_to_all_providers_streamed_and_not() -> None:
    draw = random.Random(1)
    chats = [script.next_chat(MODELS, draw) for _ in range(500)]
    named = [chat for chat in chats if "/" in chat.model]
    assert {chat.model for chat in named} == set(MODELS)
    assert {chat.model for chat in chats} - set(MODELS) <= set(script.GENERAL)
    assert 0.5 < sum(chat.stream for chat in chats) / len(chats) < 0.7


def test_the_load_is_gentle() -> None:
    draw = random.Random(2)
    pauses = [script.pause_s(draw) for _ in range(2000)]
    assert 0.25 < sum(pauses) / len(pauses) < 0.4


def test_every_fault_is_one_the_simulators_know() -> None:
    for kind, options in script.FAULTS.items():
        Faults().switch_on(kind, {**options, "for_s": 20.0}, now=0)


def test_faults_are_short_apart_and_never_twice_in_a_row_on_one_provider() -> None:
    draw = random.Random(3)
    last = None
    for _ in range(100):
        found = script.next_fault(["a", "b"], last, draw)
        assert 20 <= found.for_s <= 40
        if last is not None:
            assert found.provider != last.provider
            assert found.wait_s >= last.for_s + 60
        last = found


def test_a_single_provider_gets_all_faults() -> None:
    draw = random.Random(4)
    first = script.next_fault(["a"], None, draw)
    assert script.next_fault(["a"], first, draw).provider == "a"


def test_tests_are_accepted_and_compare_different_providers() -> None:
    draw = random.Random(5)
    for number in range(50):
        test = TestIn.model_validate(script.next_test(MODELS, f"demo-{number}", draw))
        arms = [arm.partition("/")[0] for arm in test.providers]
        assert len(set(arms)) == len(arms)
