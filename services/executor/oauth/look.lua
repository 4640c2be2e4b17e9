-- The refresh token of a test session.
-- KEYS: session token.
return {'token', redis.call('GET', KEYS[1]) or '', 0}
