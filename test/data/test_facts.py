import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_mbpo_ros.config import OUTCOMES
from vla_mbpo_ros.data.facts import EpisodeFacts
from vla_mbpo_ros.errors import BagError, UnknownName

FACTS = st.builds(
    EpisodeFacts,
    instruction=st.text(),
    outcome=st.sampled_from(OUTCOMES),
    success_time_s=st.none() | st.floats(0, 1e4),
    seed=st.none() | st.integers(0, 2**63),
    simulated=st.booleans(),
    camera_hz=st.dictionaries(st.text(), st.floats(0.1, 240)),
    lost=st.dictionaries(st.text(), st.integers(0, 2**63)),
)


@given(FACTS)
def test_facts_survive_the_way_through_a_bag(facts: EpisodeFacts) -> None:
    assert EpisodeFacts.from_custom_data(facts.to_custom_data()) == facts


def test_what_others_wrote_is_left_alone_and_what_is_missing_has_its_default() -> None:
    facts = EpisodeFacts.from_custom_data({"operator": "Ada", "seed": "3"})
    assert facts == EpisodeFacts(seed=3)


def test_a_value_that_is_not_json_is_named() -> None:
    with pytest.raises(BagError, match="'seed' of the bag is 'seven'"):
        EpisodeFacts.from_custom_data({"seed": "seven"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("interventions", "[1]"),
        ("interventions", '[["human", "a", "b"]]'),
        ("camera_hz", '{"head": "fast"}'),
        ("lost", '{"/joint_states": 1.5}'),
        ("names", '{"joint_states": 3}'),
        ("without", "[3]"),
        ("seed", "true"),
        ("simulated", "1"),
        ("success_time_s", "NaN"),
        ("success_time_s", "1e30"),
        ("control_hz", "Infinity"),
    ],
)
def test_a_value_of_another_kind_is_named_and_gets_no_further(name: str, text: str) -> None:
    with pytest.raises(BagError, match=f"'{name}' of the bag is .* of another kind.*metadata.yaml"):
        EpisodeFacts.from_custom_data({name: text})


def test_every_fact_can_be_read_back() -> None:
    whole = EpisodeFacts(interventions=[("human", 0.5, 1.0)], without=["estop"], received={"/a": 3})
    again = EpisodeFacts.from_custom_data(whole.to_custom_data())
    assert again.to_custom_data() == whole.to_custom_data()


def test_an_unknown_outcome_is_refused() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'success'"):
        EpisodeFacts(outcome="sucess")


def test_the_contract_of_a_recording_follows_from_its_facts() -> None:
    rates = {"head": 30.0, "left_wrist": 15.0, "right_wrist": 15.0}
    facts = EpisodeFacts(robot="arx_x5", control_hz=15.0, camera_hz=rates, simulated=True)
    topics = {topic.name: topic for topic in facts.expected_topics()}
    assert topics["head/color/image_raw"].hz == 30.0
    assert "sim/state" in topics
    real = EpisodeFacts(robot="arx_x5", control_hz=15.0, camera_hz=rates)
    assert "sim/state" not in {topic.name for topic in real.expected_topics()}
