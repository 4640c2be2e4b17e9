"""What every variant does: one GET with two query parameters and one header, and what must come back."""

from __future__ import annotations

from typing import Any, Final

import msgspec

ENTERPRISE: Final = "bench"
CONNECTOR: Final = "weather"
OPERATION: Final = "get_current_weather"
UNCHECKED_OPERATION: Final = "get_current_weather_unchecked"
"""The same operation without a response schema: the difference is what the schema check costs."""
UNLIMITED_OPERATION: Final = "get_current_weather_unlimited"
"""The same operation without rate limit and circuit: the difference is what these cost."""
RATE_LIMIT: Final = 100_000
RATE_WINDOW_MS: Final = 1_000
"""A shorter window than a minute, so that no executor reaches the limit: its log is as long as it would be."""
PATH: Final = "/data/2.5/weather"
PARAMETERS: Final = {"q": "London", "units": "metric"}
API_KEY_HEADER: Final = "X-API-Key"
API_KEY: Final = "benchmark-key-0123456789abcdef"

EXPECTED: Final[dict[str, Any]] = {
    "coord": {"lon": -0.1257, "lat": 51.5085},
    "weather": [{"id": 804, "main": "Clouds", "description": "overcast clouds", "icon": "04d"}],
    "base": "stations",
    "main": {
        "temp": 11.38,
        "feels_like": 10.75,
        "temp_min": 10.43,
        "temp_max": 12.2,
        "pressure": 1014,
        "humidity": 83,
        "sea_level": 1014,
        "grnd_level": 1010,
    },
    "visibility": 10000,
    "wind": {"speed": 5.14, "deg": 240},
    "clouds": {"all": 100},
    "dt": 1726660758,
    "sys": {"type": 2, "id": 2075535, "country": "GB", "sunrise": 1726636384, "sunset": 1726680975},
    "timezone": 3600,
    "id": 2643743,
    "name": "London",
    "cod": 200,
}
BODY: Final = msgspec.json.encode(EXPECTED)


def _response_schema(suffix: str = "") -> dict[str, Any]:
    """What an answer looks like; `suffix` makes one property's name, and so the schema, differ from others."""
    return {
        "type": "object",
        "required": [f"name{suffix}", "main", "weather"],
        "properties": {
            f"name{suffix}": {"type": "string", "description": "City name"},
            "main": {
                "type": "object",
                "required": ["temp", "humidity"],
                "properties": {
                    "temp": {"type": "number", "description": "Temperature"},
                    "humidity": {"type": "integer", "description": "Humidity %"},
                },
            },
            "weather": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "main"],
                    "properties": {"id": {"type": "integer"}, "main": {"type": "string"}},
                },
            },
        },
    }


def _operation(name: str, response_schema: dict[str, Any] | None, path: str = PATH) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operation": name,
        "display_name": "Get Current Weather",
        "description": "Current weather of a city",
        "method": "GET",
        "path": path,
        "parameters": [
            {
                "name": "q",
                "location": "query",
                "type": "string",
                "required": True,
                "description": "City name (e.g., 'London' or 'London,UK')",
            },
            {
                "name": "units",
                "location": "query",
                "type": "string",
                "required": False,
                "default": "metric",
                "description": "Units: standard, metric, or imperial",
            },
        ],
    }
    if response_schema is not None:
        operation["response_schema"] = response_schema
    return operation


def template_document(base_url: str) -> dict[str, Any]:
    """The connector that the executor runs, at `base_url`."""
    return _template(
        base_url,
        CONNECTOR,
        [
            _operation(OPERATION, _response_schema()),
            _operation(UNCHECKED_OPERATION, None),
            _operation(UNLIMITED_OPERATION, _response_schema())
            | {"resilience": {"rate_limit_per_minute": 0, "circuit_breaker_threshold": 0}},
        ],
        rate_limit=RATE_LIMIT,
    )


def catalogue_document(number: int, operations: int) -> dict[str, Any]:
    """One of many templates: all alike in size, none with another's names; no two of its operations are alike."""
    return _template(
        f"https://api-{number}.example.com",
        f"weather-{number}",
        [
            _operation(f"get_{number}_{index}", _response_schema(f"_{index}"), f"/data/{number}/weather-{index}")
            for index in range(operations)
        ],
    )


def _template(base_url: str, slug: str, operations: list[dict[str, Any]], *, rate_limit: int = 0) -> dict[str, Any]:
    return {
        "name": "Weather",
        "slug": slug,
        "type": "General",
        "description": "Weather of a city, as the benchmarks ask for it",
        "base_url": base_url,
        "auth_type": "api_key",
        "credential_schema": {"api_key": {"label": "API Key", "type": "password", "required": True, "sensitive": True}},
        "header_name": API_KEY_HEADER,
        "key_prefix": "",
        "operations": operations,
        "resilience": {"rate_limit_per_minute": rate_limit},
    }
