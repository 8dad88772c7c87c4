"""A real Chromium without a window, driven by selenium."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
NEEDED = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium or chromedriver is not installed (Debian: chromium, chromium-driver)"
)
LIMIT_S = 20.0  # a wait in vain fails after this; generous, because the machine may be busy
END, HOME, RIGHT = "\ue010", "\ue011", "\ue014"  # keys, as WebDriver names them
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # continuous integration runs as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,1000",
)


class Browser:
    """One tab. Elements are named by CSS."""

    def __init__(self, folder: Path) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for argument in (*ARGUMENTS, f"--user-data-dir={folder}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
        self.driver.set_script_timeout(LIMIT_S)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def text(self, css: str) -> str:
        """Empty while it is not there."""
        return str(self.run("return document.querySelector(arguments[0])?.textContent ?? ''", css))

    def is_enabled(self, css: str) -> bool:
        return bool(self.run("return !document.querySelector(arguments[0]).disabled", css))

    def click(self, css: str) -> None:
        self.driver.find_element("css selector", css).click()

    def keys(self, css: str, keys: str) -> None:
        self.driver.find_element("css selector", css).send_keys(keys)

    def wait(self, condition: Callable[[], Any]) -> Any:
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, LIMIT_S, 0.05).until(lambda _: condition())

    def wait_for(self, css: str, *words: str) -> None:
        self.wait(lambda: all(word in self.text(css) for word in words))

    def pictures(self, css: str) -> list[int]:
        """How wide each one's pixels are; 0 for one that is not there."""
        script = (
            "return [...document.querySelectorAll(arguments[0])].map(each => each.complete ? each.naturalWidth : 0)"
        )
        return [int(width) for width in self.run(script, css)]

    def complaints(self) -> list[str]:
        """What the console says since the last time, but for refusals, which the page tells itself."""
        return [each["message"] for each in self.driver.get_log("browser") if each["source"] != "network"]
