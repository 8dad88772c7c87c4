"""How the model in use is kept while others are loaded, and how pictures are made its size; without a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event

import numpy as np
import pytest

from vla_mbpo_ros.errors import ConfigError, ContractError, VlaMbpoError
from vla_mbpo_ros.nodes.world_model_inputs import fitted
from vla_mbpo_ros.nodes.world_model_loading import ModelKeeper
from vla_mbpo_ros.world_model.protocol import WorldModel
from vla_mbpo_ros.world_model.rivals.copy_last import CopyLast

pytestmark = pytest.mark.ros
WAIT_S = 10.0


class Maker:
    """Makes a model named after its path, once `open` is set; "broken" and "bad" are none."""

    def __init__(self) -> None:
        self.open, self.asked = Event(), list[str]()
        self.open.set()

    def __call__(self, path: str) -> WorldModel:
        self.asked.append(path)
        assert self.open.wait(WAIT_S)
        if path == "broken":
            raise ZeroDivisionError("broken")
        if path == "bad":
            raise ConfigError("It is bad.", "Mend it.")
        model = CopyLast(("head",), (8, 8), horizon=2)
        model.version = path or "configured"
        return model


@pytest.fixture
def make() -> Maker:
    return Maker()


@pytest.fixture
def keep(make: Maker) -> Iterator[Callable[..., ModelKeeper]]:
    keepers: list[ModelKeeper] = []

    def keep(make: Callable[[str], WorldModel] = make, news: Callable[[], None] = lambda: None) -> ModelKeeper:
        keepers.append(ModelKeeper(make, "umm", news))
        return keepers[-1]

    yield keep
    make.open.set()
    for keeper in keepers:
        keeper.close()


def test_while_the_first_one_is_loaded_there_is_none_and_news_comes_when_it_is(
    keep: Callable[..., ModelKeeper], make: Maker
) -> None:
    make.open.clear()
    told = Event()
    keeper = keep(news=told.set)
    job = keeper.begin()
    with pytest.raises(VlaMbpoError, match=r"still loading umm, for .* Ask again in a moment"):
        keeper.model()
    assert (keeper.version, keeper.loading.startswith("loading umm")) == ("", True)
    assert not told.is_set()
    make.open.set()
    assert told.wait(WAIT_S)
    assert keeper.model() is job.result()
    assert (keeper.version, keeper.loading) == ("configured", "")


def test_without_the_configured_model_it_is_said_why_and_another_can_be_loaded(
    keep: Callable[..., ModelKeeper], make: Maker
) -> None:
    keeper = keep(make=lambda path: make(path or "bad"))
    with pytest.raises(ConfigError):
        keeper.begin().result(WAIT_S)
    with pytest.raises(VlaMbpoError, match=r"no world model\. It is bad\. .*world_model/load_checkpoint"):
        keeper.model()
    keeper.use(keeper.load("other").result(WAIT_S))
    assert (keeper.model().version, keeper.failure) == ("other", None)


@pytest.mark.parametrize("path", ["broken", "bad", ""])
def test_what_cannot_be_loaded_leaves_the_model_in_use(keep: Callable[..., ModelKeeper], path: str) -> None:
    keeper = keep()
    keeper.begin().result(WAIT_S)
    with pytest.raises((ContractError, ConfigError)):
        keeper.load(path).result(WAIT_S)
    assert (keeper.model().version, keeper.failure) == ("configured", None)


def test_one_at_a_time_and_to_ask_again_is_to_wait(keep: Callable[..., ModelKeeper], make: Maker) -> None:
    keeper = keep()
    keeper.begin().result(WAIT_S)
    make.open.clear()
    job = keeper.load("other")
    assert keeper.load("other") is job
    with pytest.raises(VlaMbpoError, match="other is being loaded"):
        keeper.load("third")
    make.open.set()
    assert job.result(WAIT_S).version == "other"
    assert keeper.model().version == "configured"  # until somebody says so
    assert make.asked == ["", "other"]


def test_a_model_of_squares_takes_any_picture_and_others_only_their_own_size() -> None:
    picture = np.full((48, 64, 3), 200, dtype=np.uint8)
    wide = CopyLast(("head",), (48, 64), horizon=2)
    assert fitted(picture, "head", wide) is picture
    with pytest.raises(ContractError, match=r"'head' is 32 x 48, copy_last-1 sees 64 x 48"):
        fitted(picture[:, :32], "head", wide)
    pytest.importorskip("torch", reason="torch is not installed")
    square = fitted(picture, "head", CopyLast(("head",), (32, 32), horizon=2))
    assert square.shape == (32, 32, 3)
    assert not square[:4].any()  # black around it, nothing stretched
    assert (square[4:28] == 200).all()
