"""The world model in use, and how one is loaded beside it without anybody waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from vla_mbpo_ros.errors import ConfigError, ContractError, VlaMbpoError
from vla_mbpo_ros.world_model.protocol import WorldModel

CONFIGURED = ""  # the path of the model that the settings name


class ModelKeeper:
    """`make(path)` loads and tries a model; it runs on a thread of its own, one at a time.

    `news` is called on that thread when it has ended. The configured model is used as soon as it is there; every
    other one when its asker says so.
    """

    def __init__(self, make: Callable[[str], WorldModel], what: str, news: Callable[[], None]) -> None:
        self._make, self._what, self._news = make, what, news
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="load")
        self._job: Future[WorldModel] | None = None
        self._path, self._began_s = CONFIGURED, 0.0
        self._current: WorldModel | None = None
        self.failure: VlaMbpoError | None = None  # why there is no configured model

    def begin(self, path: str = CONFIGURED) -> Future[WorldModel]:
        """Its result, or an error of our tree. To ask for the same again is to wait for it."""
        if self.loading:
            if self._job is not None and path and path == self._path:
                return self._job
            raise VlaMbpoError(f"{self._name} is being loaded.", "Ask again when that is done.")
        self._path, self._began_s = path, time.monotonic()
        self._job = self._thread.submit(self._load, path)
        self._job.add_done_callback(lambda _: self._news())
        return self._job

    def load(self, path: str) -> Future[WorldModel]:
        """As `begin`, for people."""
        if not path:
            raise ConfigError("No path came.", "Give the folder of a world model on the machine of this node.")
        return self.begin(path)

    def forget(self, job: Future[WorldModel]) -> None:
        """What has been answered; else a model that nobody wants stays in memory until the next one comes."""
        if self._job is job and job.done():
            self._job = None

    def use(self, model: WorldModel) -> None:
        """From the next request on."""
        self._current, self.failure = model, None

    def model(self) -> WorldModel:
        """The one in use; an error says why there is none."""
        current = self._current
        if current is not None:
            return current
        if self.failure is None:
            raise VlaMbpoError(f"The world model is still {self.loading or 'loading'}.", "Ask again in a moment.")
        raise VlaMbpoError(
            f"There is no world model. {self.failure}", "Then load one by the service world_model/load_checkpoint."
        )

    @property
    def version(self) -> str:
        """Of the one in use; empty if there is none."""
        return self._current.version if self._current is not None else ""

    @property
    def loading(self) -> str:
        """What is being loaded, for people; empty if nothing is."""
        if self._job is None or self._job.done():
            return ""
        return f"loading {self._name}, for {time.monotonic() - self._began_s:.1f} s so far"

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    @property
    def _name(self) -> str:
        return self._path or self._what

    def _load(self, path: str) -> WorldModel:
        try:
            model = self._made(path)
        except VlaMbpoError as error:
            if path == CONFIGURED:
                self.failure = error
            raise
        if path == CONFIGURED:
            self.use(model)
        return model

    def _made(self, path: str) -> WorldModel:
        try:
            return self._make(path)
        except VlaMbpoError:
            raise
        except Exception as error:  # whatever is in that folder, the model in use must go on
            raise ContractError(f"{path or self._what} cannot be loaded: {error!r}.", "Load another model.") from error
