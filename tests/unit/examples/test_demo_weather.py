"""The demo weather API's weather is steady, in every unit."""

from __future__ import annotations

from itertools import pairwise

import pytest

from examples.demo_weather.weather import CITIES, UNITS, current, forecast

LONDON = CITIES["london"]


@pytest.mark.parametrize(("units", "temperature"), [("standard", 284.55), ("metric", 11.4), ("imperial", 52.52)])
def test_units_change_the_numbers_alone(units: str, temperature: float) -> None:
    weather = current(LONDON, units)

    assert weather["main"]["temp"] == temperature
    assert weather["name"] == "London"
    assert weather["weather"][0]["description"] == "broken clouds"


def test_the_weather_is_the_same_at_every_call() -> None:
    assert all(current(city, unit) == current(city, unit) for city in CITIES.values() for unit in UNITS)


def test_a_forecast_goes_on_by_three_hours() -> None:
    entries = forecast(LONDON, "metric", 3)["list"]

    assert [later["dt"] - earlier["dt"] for earlier, later in pairwise(entries)] == [10_800] * 2
