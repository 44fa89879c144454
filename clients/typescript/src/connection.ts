// Plain messages for failures of the connection: refused, broken, a proxy, a timeout.

import type { ConnectError } from "@connectrpc/connect";

// Error codes of Node, and the message. Browsers hide the cause of a failure from programs.
const CAUSES: readonly (readonly [RegExp, (url: string) => string])[] = [
  [/^ECONNREFUSED$/, (url) => `no server answers at ${url}; check the address (baseUrl)`],
  [/^(ENOTFOUND|EAI_AGAIN)$/, (url) => `the host of ${url} is unknown`],
  [/^(ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/, (url) => `${url} does not answer; check the address (baseUrl) and the network`],
  [/^(ENETUNREACH|EHOSTUNREACH)$/, (url) => `${url} cannot be reached from this network`],
  [
    /CERT|SSL|TLS|SELF_SIGNED|UNABLE_TO_VERIFY|^EPROTO$/,
    (url) => `no secure connection to ${url}: the certificate is not trusted, or the address needs http://`,
  ],
];
const LONGEST_CHAIN = 8;

/** Returns the HTTP status with which a proxy or another server answered; undefined if it was none. */
export function strangeStatus(error: ConnectError): number | undefined {
  const found = /^HTTP (\d{3})\b/.exec(error.rawMessage);
  return found ? Number(found[1]) : undefined;
}

/** Returns the message for an HTTP status that does not come from a Runyard server. */
export function statusMessage(status: number, url: string): string {
  return status === 407
    ? "the proxy requires a user name and a password"
    : `${url} answered with HTTP status ${status}; it is no Runyard server, or a proxy before it failed`;
}

/** Returns the message for a connection that broke or could not be opened. */
export function lostMessage(error: ConnectError, url: string): string {
  const codes = codesOf(error);
  for (const [pattern, message] of CAUSES) {
    if (codes.some((code) => pattern.test(code))) {
      return message(url);
    }
  }
  return `the connection to ${url} was lost or could not be established`;
}

// Returns the codes of an error and of its causes. An AggregateError has one error per address of the host.
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  const pending: unknown[] = [error];
  for (let seen = 0; pending.length > 0 && seen < LONGEST_CHAIN; seen += 1) {
    const { code, cause, errors } = (pending.shift() ?? {}) as { code?: unknown; cause?: unknown; errors?: unknown };
    if (typeof code === "string") {
      codes.push(code);
    }
    pending.push(...(cause ? [cause] : []), ...(Array.isArray(errors) ? errors : []));
  }
  return codes;
}
