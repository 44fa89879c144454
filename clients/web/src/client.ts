// The API client of the signed-in account.
import { computed } from "@preact/signals";
import { Runyard } from "@runyard/client";
import { freshToken } from "./renewal";
import { identity, isRenewable, token } from "./session";

const current = computed(() => {
  if (identity.value === null) return null;
  // A renewed token does not change the client, so that open streams continue.
  return new Runyard({ baseUrl: location.origin, token: isRenewable.value ? freshToken : (token.peek() ?? "") });
});

/** Throws if the user is signed out, so only screens behind the sign-in form may call this function. */
export function runyard(): Runyard {
  const client = current.value;
  if (!client) throw new Error("not signed in");
  return client;
}
