// A request as a cURL command, with names of variables where its secrets were.

const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
const MASKED = /(\[redacted\]|\*{3,}|•{2,})/gi;
const withVariable = (text) => {
  const parts = String(text).split(MASKED);
  return parts.map((part) => (part.match(MASKED) ? '"$TOKEN"' : part ? quoted(part) : "")).join("") || "''";
};

export function curlOf(request) {
  const lines = [`curl -X ${request.method} ${withVariable(request.url)}`];
  for (const [name, value] of request.headers) lines.push(`-H ${withVariable(`${name}: ${value}`)}`);
  if (request.body?.text && request.body.encoding !== "base64") lines.push(`--data-raw ${withVariable(request.body.text)}`);
  return lines.join(" \\\n  ");
}
