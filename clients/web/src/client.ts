// The API client of the signed-in account.
import { computed } from "@preact/signals";
import { Runyard } from "@runyard/client";
import { token } from "./session";

const current = computed(() => {
  const value = token.value;
  return value === null ? null : new Runyard({ baseUrl: location.origin, token: value });
});

/** Throws if the user is signed out, so only screens behind the sign-in form may call this function. */
export function runyard(): Runyard {
  const client = current.value;
  if (!client) throw new Error("not signed in");
  return client;
}
