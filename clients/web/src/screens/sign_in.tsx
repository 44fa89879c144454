// Signing in with a token.
import { useSignal } from "@preact/signals";
import { Runyard, isRunyardError } from "@runyard/client";
import { useEffect, useRef } from "preact/hooks";
import { Field, Note } from "../parts/basic";
import { Brand } from "../parts/brand";
import { Yard } from "../parts/yard";
import { farewell, fromPaste, signIn } from "../session";
import { trouble } from "../trouble";

/** Signing in with a token. */
export function SignIn() {
  const text = useSignal("");
  const remember = useSignal(false);
  const wrong = useSignal<string | null>(null);
  const asking = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = "Sign in · Runyard";
    field.current?.focus();
  }, []);
  return (
    <main class="sign-in" id="main">
      <Yard />
      <div class="sign-in-card">
        <Brand large />
        <h1>Sign in</h1>
        {farewell.value && <Note kind="warning">{farewell.value}</Note>}
        <form
          onSubmit={async (event) => {
            event.preventDefault();
            if (asking.value) return;
            asking.value = true;
            farewell.value = null;
            const token = fromPaste(text.value);
            wrong.value = await reasonAgainst(token);
            asking.value = false;
            if (wrong.value === null) signIn(token, remember.value);
            else field.current?.focus();
          }}
        >
          <Field label="Token" hint="A JSON Web Token or an API key. A sign-in link can be pasted, too.">
            <input
              ref={field}
              type="password"
              name="token"
              autocomplete="off"
              spellcheck={false}
              required
              aria-invalid={wrong.value !== null}
              value={text.value}
              onInput={(event) => {
                text.value = event.currentTarget.value;
                wrong.value = null;
              }}
            />
          </Field>
          {wrong.value !== null && <Note kind="error">{wrong.value}</Note>}
          <label class="check">
            <input type="checkbox" checked={remember.value} onChange={(event) => (remember.value = event.currentTarget.checked)} />
            <span>Keep me signed in on this device</span>
          </label>
          <button type="submit" class="button button-primary button-wide" disabled={asking.value}>
            {asking.value ? "Signing in" : "Sign in"}
          </button>
        </form>
        <details class="sign-in-help">
          <summary>Where do I get a token?</summary>
          <p>Whoever runs this server makes one:</p>
          <pre tabIndex={0}>runyard token --sub my-name</pre>
          <p>
            <code>make demo</code> prints a link that signs in by itself. The API is described at <a href="/docs">/docs</a>.
          </p>
        </details>
      </div>
    </main>
  );
}

// The server is asked before anybody is signed in: a wrong token is told here, and not by each part of the console.
async function reasonAgainst(token: string): Promise<string | null> {
  if (token === "" || /\s/.test(token)) return "This does not look like a token: it has spaces in it, or nothing.";
  try {
    await new Runyard({ baseUrl: location.origin, token }).account.state();
    return null;
  } catch (error) {
    if (isRunyardError(error) && error.kind === "unauthenticated") return "The token is not valid here. It may have expired.";
    return trouble(error)?.text ?? "That did not work. Try again.";
  }
}
