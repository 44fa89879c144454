// The sign-in screen.
import { useSignal } from "@preact/signals";
import { Runyard, isRunyardError } from "@runyard/client";
import { useEffect, useRef } from "preact/hooks";
import { Field, Note } from "../parts/basic";
import { Brand } from "../parts/brand";
import { Yard } from "../parts/yard";
import { signOutReason, fromPaste, signIn } from "../session";
import { explainError } from "../errors";

export function SignIn() {
  const text = useSignal("");
  const remember = useSignal(false);
  const problem = useSignal<string | null>(null);
  const signingIn = useSignal(false);
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
        {signOutReason.value && <Note kind="warning">{signOutReason.value}</Note>}
        <form
          onSubmit={async (event) => {
            event.preventDefault();
            if (signingIn.value) return;
            signingIn.value = true;
            signOutReason.value = null;
            const token = fromPaste(text.value);
            problem.value = await checkToken(token);
            signingIn.value = false;
            if (problem.value === null) signIn(token, remember.value);
            else field.current?.focus();
          }}
        >
          <Field label="Token" hint="A JSON Web Token or an API key. You can also paste a sign-in link.">
            <input
              ref={field}
              type="password"
              name="token"
              autocomplete="off"
              spellcheck={false}
              required
              aria-invalid={problem.value !== null}
              value={text.value}
              onInput={(event) => {
                text.value = event.currentTarget.value;
                problem.value = null;
              }}
            />
          </Field>
          {problem.value !== null && <Note kind="error">{problem.value}</Note>}
          <label class="check">
            <input type="checkbox" checked={remember.value} onChange={(event) => (remember.value = event.currentTarget.checked)} />
            <span>Keep me signed in on this device</span>
          </label>
          <button type="submit" class="button button-primary button-wide" disabled={signingIn.value}>
            {signingIn.value ? "Signing in" : "Sign in"}
          </button>
        </form>
        <details class="sign-in-help">
          <summary>Where do I get a token?</summary>
          <p>If you run this server, run this command in the folder where you started the server:</p>
          <pre tabIndex={0}>runyard token</pre>
          <p>
            The token is for your local account, which <code>runyard run</code> also uses. For another account, use{" "}
            <code>runyard token --sub alice</code>. If someone else runs the server, ask them for a token. <a href="/docs">The API reference</a>{" "}
            needs no token.
          </p>
        </details>
      </div>
    </main>
  );
}

// Checks the token before signing in, so that only this screen reports an invalid token.
async function checkToken(token: string): Promise<string | null> {
  if (token === "" || /\s/.test(token)) return "This is not a token: it is empty or contains spaces.";
  try {
    await new Runyard({ baseUrl: location.origin, token }).account.state();
    return null;
  } catch (error) {
    if (isRunyardError(error) && error.kind === "unauthenticated") return "The server does not accept this token. It may have expired or belong to another server.";
    return explainError(error)?.text ?? "Signing in failed. Try again.";
  }
}
