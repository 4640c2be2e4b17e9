"""`python -m examples.demo_weather --port 8080 --api-key-file key.txt`."""

from __future__ import annotations

import argparse
from pathlib import Path

from aiohttp import web

from examples.demo_weather.app import make_app


def main() -> None:
    parser = argparse.ArgumentParser(description="A demo weather API, in the shape of OpenWeatherMap's.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--api-key-file", type=Path, required=True, help="file with the one key that is accepted")
    arguments = parser.parse_args()
    key = arguments.api_key_file.read_text().strip()
    print(f"demo weather API on http://{arguments.host}:{arguments.port}", flush=True)
    web.run_app(make_app(key), host=arguments.host, port=arguments.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
