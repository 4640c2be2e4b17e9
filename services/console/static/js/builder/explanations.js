// Why a test failed, where to mend it, and what executors do in such a case.

const fieldAt = (pointer) => () => pointer;
const pathField = (builder) => builder.at("path");

const BY_ERROR = {
  "connection-required": ["No credentials were given for this test.", "Give test credentials, then run the test again.", fieldAt("/auth_type")],
  "credentials-rejected": ["The token endpoint refused the client.", "Check the client's id and secret, the token URL and the scopes.", fieldAt("/token_url")],
  "upstream-unreachable": ["The system cannot be reached: its name, its port or its certificate.", "Check the base URL. Executors try again as Resilience says.", fieldAt("/base_url")],
  "upstream-timeout": ["The system did not answer in time.", "Raise the timeout, or ask for less. Executors repeat only what may be repeated.", fieldAt("/resilience/timeout_seconds")],
  "circuit-open": ["The circuit is open after many failures, so nothing was sent.", "Wait for the next test request, or mend the system first.", fieldAt("/resilience/circuit_breaker_threshold")],
  "rate-limited": ["The queue for a permit was longer than the time there was.", "Run the test later, or raise the rate if the system allows it.", fieldAt("/resilience/rate_limit_per_minute")],
  "egress-denied": ["Executors may not send to this address.", "Private addresses need an operator's allowance. Check the base URL.", fieldAt("/base_url")],
  "invalid-parameters": ["The values do not fit the parameters.", "Correct the values of the test, or the parameters' types.", pathField],
  "invalid-template": ["The draft has problems.", "Mend them; F8 goes from one to the next.", fieldAt("/name")],
  "response-too-large": ["The response is over what executors take.", "Ask for less, for example with a page size.", pathField],
};

function byStatus(status) {
  if (status === 401) return ["The system does not accept the credentials.", "Check them, and how they are sent.", fieldAt("/auth_type")];
  if (status === 403) return ["The credentials are good, but may not do this.", "Use credentials with more rights, or ask for more scopes.", fieldAt("/auth_type")];
  if (status === 404) return ["The system has nothing at this address.", "Check the path and the values in it.", pathField];
  if (status === 405) return ["The system does not take this method here.", "Check the method and the path.", (builder) => builder.at("method")];
  if (status === 415) return ["The system does not take this kind of body.", "Check how the body is sent.", pathField];
  if (status === 400 || status === 422) return ["The system does not accept the values.", "Compare the request with the system's documentation.", pathField];
  if (status === 429) return ["The system limits how often it is called.", "Lower the rate; executors wait as long as it asks for.", fieldAt("/resilience/rate_limit_per_minute")];
  if (status >= 500) return ["The system failed by itself.", "Try again; executors repeat as Resilience says.", fieldAt("/resilience/max_retries")];
  if (status >= 300 && status < 400) return ["The system sent a redirect, which is not followed with credentials.", "Use the address that it names.", fieldAt("/base_url")];
  return null;
}

/** `{cause, mend, pointer}` for a failed step; null where there is nothing to say. */
export function explained(step) {
  if (!step) return null;
  const code = (step.error?.type ?? "").replace("urn:dibop:error:", "");
  const found = BY_ERROR[code] ?? byStatus(step.status_code)
    ?? (step.schema_valid === false ? ["The response is not as the schema says.", "Correct the schema, or make it from this response.", (builder) => builder.at("response_schema")] : null);
  return found ? { cause: found[0], mend: found[1], pointer: found[2] } : null;
}
