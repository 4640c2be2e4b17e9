"""The weather itself: the same for a city at every call."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

UNITS: Final = ("standard", "metric", "imperial")
_START: Final = 1_767_225_600
"""2026-01-01T00:00:00Z, when it is always now here."""
_STEP_SECONDS: Final = 3 * 3600


@dataclass(frozen=True, slots=True)
class City:
    """A place, its weather in Celsius, metres per second, hPa and per cent."""

    id: int
    name: str
    country: str
    latitude: float
    longitude: float
    utc_offset: int
    celsius: float
    humidity: int
    pressure: int
    wind: float
    clouds: int
    sky: tuple[int, str, str]

    @property
    def countries(self) -> tuple[str, ...]:
        return (self.country, "UK") if self.country == "GB" else (self.country,)


_CLEAR: Final = (800, "Clear", "clear sky")
_CLOUDS: Final = (803, "Clouds", "broken clouds")
_RAIN: Final = (500, "Rain", "light rain")
_SNOW: Final = (600, "Snow", "light snow")

_LIST: Final = (
    City(2643743, "London", "GB", 51.5085, -0.1257, 0, 11.4, 76, 1012, 4.1, 75, _CLOUDS),
    City(2988507, "Paris", "FR", 48.8534, 2.3488, 3600, 12.9, 68, 1016, 3.2, 40, _CLEAR),
    City(2950159, "Berlin", "DE", 52.5244, 13.4105, 3600, 7.8, 81, 1009, 5.7, 90, _RAIN),
    City(3128760, "Barcelona", "ES", 41.3888, 2.159, 3600, 17.6, 59, 1019, 2.6, 10, _CLEAR),
    City(658225, "Helsinki", "FI", 60.1695, 24.9354, 7200, -3.2, 88, 1003, 6.4, 100, _SNOW),
    City(5128581, "New York", "US", 40.7143, -74.006, -18000, 9.1, 63, 1021, 5.0, 20, _CLEAR),
    City(1850147, "Tokyo", "JP", 35.6895, 139.6917, 32400, 14.3, 55, 1014, 3.9, 30, _CLEAR),
    City(3448439, "São Paulo", "BR", -23.5475, -46.6361, -10800, 24.8, 72, 1011, 2.1, 60, _RAIN),
)
CITIES: Final = {city.name.casefold(): city for city in _LIST}


def current(city: City, units: str) -> dict[str, Any]:
    """The answer of `/data/2.5/weather`."""
    return {
        "coord": {"lon": city.longitude, "lat": city.latitude},
        **_conditions(city, units, city.celsius),
        "base": "stations",
        "visibility": 10_000,
        "dt": _START,
        "sys": {"country": city.country},
        "timezone": city.utc_offset,
        "id": city.id,
        "name": city.name,
        "cod": 200,
    }


def forecast(city: City, units: str, steps: int) -> dict[str, Any]:
    """The answer of `/data/2.5/forecast`: one entry for each three hours."""
    entries = [
        {
            "dt": _START + step * _STEP_SECONDS,
            **_conditions(city, units, city.celsius + 3 * math.sin(math.pi * step / 4)),
        }
        for step in range(1, steps + 1)
    ]
    return {
        "cod": "200",
        "message": 0,
        "cnt": steps,
        "list": entries,
        "city": {"id": city.id, "name": city.name, "country": city.country, "timezone": city.utc_offset},
    }


def _conditions(city: City, units: str, celsius: float) -> dict[str, Any]:
    number, group, description = city.sky
    return {
        "weather": [{"id": number, "main": group, "description": description}],
        "main": {
            "temp": _temperature(celsius, units),
            "feels_like": _temperature(celsius - city.wind / 4, units),
            "pressure": city.pressure,
            "humidity": city.humidity,
        },
        "wind": {"speed": round(city.wind * 2.237, 2) if units == "imperial" else city.wind},
        "clouds": {"all": city.clouds},
    }


def _temperature(celsius: float, units: str) -> float:
    match units:
        case "metric":
            return round(celsius, 2)
        case "imperial":
            return round(celsius * 9 / 5 + 32, 2)
        case _:
            return round(celsius + 273.15, 2)
