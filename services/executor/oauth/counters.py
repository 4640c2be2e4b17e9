"""What a worker counts about access tokens, for its status and the metrics made of it."""

from __future__ import annotations

import msgspec


class OAuthCounters(msgspec.Struct):
    """Since the worker started.

    `requested` are token requests with client credentials, `refreshed` those with a refresh token, `exchanged` those
    with a code; `forced` are the renewals that an answer of an external system asked for, `early` those before the
    token's end. `adopted` tokens came from another worker. `waited` are requests that had to wait for a token, `alone`
    the tokens that were asked for without Redis. `refused` are refusals of token endpoints, `failed` token requests
    that ended without a word.
    """

    requested: int = 0
    refreshed: int = 0
    exchanged: int = 0
    forced: int = 0
    early: int = 0
    adopted: int = 0
    waited: int = 0
    alone: int = 0
    refused: int = 0
    failed: int = 0
    late: int = 0
