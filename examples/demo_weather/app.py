"""The API: `/data/2.5/weather` and `/data/2.5/forecast`, guarded by the header `X-API-Key`."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from examples.demo_weather.weather import CITIES, UNITS, City, current, forecast

_KEY: Final = web.AppKey("key", str)
_MAX_STEPS: Final = 40
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiError(Exception):
    """A refusal, in the shape of OpenWeatherMap's: `{"cod": ..., "message": ...}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def make_app(key: str) -> web.Application:
    """The application; `key` is the one API key that it accepts."""
    app = web.Application(middlewares=[_errors, _guard])
    app[_KEY] = key
    app.router.add_get("/", _index)
    app.router.add_get("/data/2.5/weather", _weather)
    app.router.add_get("/data/2.5/forecast", _forecast)
    return app


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return web.json_response({"cod": error.status, "message": error.message}, status=error.status)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return web.json_response({"cod": error.status, "message": error.reason}, status=error.status)


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.path.startswith("/data/"):
        given = request.headers.get("X-API-Key", "")
        if not hmac.compare_digest(given.encode(), request.app[_KEY].encode()):
            raise ApiError(401, "Invalid API key. Send it in the header X-API-Key.")
    return await handler(request)


async def _index(_: web.Request) -> web.Response:
    return web.json_response({"name": "demo weather", "cities": sorted(city.name for city in CITIES.values())})


async def _weather(request: web.Request) -> web.Response:
    city, units = _city(request), _units(request)
    return web.json_response(current(city, units))


async def _forecast(request: web.Request) -> web.Response:
    city, units = _city(request), _units(request)
    steps = _integer(request, "cnt", default=8, least=1, most=_MAX_STEPS)
    return web.json_response(forecast(city, units, steps))


def _city(request: web.Request) -> City:
    query = request.query.get("q", "").strip()
    if not query:
        raise ApiError(400, "Nothing to geocode: give the city's name as q.")
    name, _, country = query.partition(",")
    city = CITIES.get(name.strip().casefold())
    if city is None or (country and country.strip().upper() not in city.countries):
        raise ApiError(404, "city not found")
    return city


def _units(request: web.Request) -> str:
    units = request.query.get("units", "standard")
    if units not in UNITS:
        raise ApiError(400, f"units must be one of {', '.join(UNITS)}.")
    return units


def _integer(request: web.Request, name: str, *, default: int, least: int, most: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    number: Any = int(text) if text.isascii() and text.isdigit() else None
    if number is None or not least <= number <= most:
        raise ApiError(400, f"{name} must be a whole number from {least} to {most}.")
    return int(number)
