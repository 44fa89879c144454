// The client of the server for who is signed in. Everything that the console asks goes through it.
import { computed } from "@preact/signals";
import { Runyard } from "@runyard/client";
import { token } from "./session";

const made = computed(() => {
  const value = token.value;
  return value === null ? null : new Runyard({ baseUrl: location.origin, token: value });
});

/** The client; only screens that want somebody signed in may ask for it. */
export function runyard(): Runyard {
  const client = made.value;
  if (!client) throw new Error("nobody is signed in");
  return client;
}
