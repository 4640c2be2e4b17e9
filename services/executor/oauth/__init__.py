"""OAuth2: access tokens for connections, got from token endpoints, kept, renewed, and shared by all workers.

How the parts fit, from a request inwards:

- `domain.oauth` (rules): `TokenClient` is a connection, or a test session, as its token endpoint knows it; the vault
  makes it (`Target.tokens`). `AccessToken` is a token in use. `says_expired` reads answers of the external system.
- `bearer.Bearer`, one for a request: signs it, and is the `Renewal` by which `attempts.Sender` repeats after a 401.
- `tokens.Tokens`, one for a worker: tokens at hand; else one flight for all who want the same (`obtain`, `renew`).
  `flight.Course` is what a flight does.
- `shared.SharedTokens`: what all workers share in Redis. `take` answers a sealed token, a refusal, or the lock with its
  fence; `leave_token` and `leave_refusal` give the lock back, and do nothing for a holder that is late.
- `grants.TokenGrants`: what the flight does with the lock. client_credentials, or a refresh token from
  `refresh_tokens.StoredRefreshTokens`: read from the connection's entry, its successor stored by the registry's
  `connection.store-token`, compare-and-set on the generation, before anybody uses the new access token. Those of test
  sessions come with the test's credentials (`TokenClient.given`) and live on in Redis (`session_tokens`). Where an
  endpoint gave no refresh token, the access token itself is stored in its place (`grants.LoneToken`), so that losing
  Redis does not lose the authorization.
- `requests.TokenRequests`: the token requests themselves (`client_credentials`, `refresh`, `exchange` of a code):
  Authlib on `transport.GuardedTransport`, which sends by a `Sender` with limits of its own.
- `answers.read_answer`: what the endpoint's answer grants; RefusedError, or UnreadableError where it may pass.
- `exchange.Exchanger`: an authorization code becomes the tokens of a connection or of a test session; the control
  commands `oauth.exchange` and `oauth.exchange-test` are carried out by it.
- `assembly.OAuth` puts one of each together.

A token is known by the generation of the refresh token that was stored when it was made: one that is older than what
the connection's entry has is no longer used. So a new authorization takes the place of an old one everywhere, once its
refresh token is stored, and its access token may be handed to all with `Tokens.hand_out`.
"""
