// Signing in with a token.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Field, Note } from "../parts/basic";
import { Brand } from "../parts/brand";
import { farewell, fromPaste, signIn } from "../session";

/** Signing in with a token. */
export function SignIn() {
  const text = useSignal("");
  const remember = useSignal(false);
  const wrong = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = "Sign in · Runyard";
    field.current?.focus();
  }, []);
  return (
    <main class="sign-in" id="main">
      <div class="sign-in-card">
        <Brand large />
        <h1>Sign in</h1>
        {farewell.value && <Note kind="warning">{farewell.value}</Note>}
        <form
          onSubmit={(event) => {
            event.preventDefault();
            const token = fromPaste(text.value);
            if (token === "" || /\s/.test(token)) {
              wrong.value = true;
              field.current?.focus();
              return;
            }
            signIn(token, remember.value);
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
              aria-invalid={wrong.value}
              value={text.value}
              onInput={(event) => {
                text.value = event.currentTarget.value;
                wrong.value = false;
              }}
            />
          </Field>
          {wrong.value && <Note kind="error">This does not look like a token: it has spaces in it, or nothing.</Note>}
          <label class="check">
            <input type="checkbox" checked={remember.value} onChange={(event) => (remember.value = event.currentTarget.checked)} />
            <span>Keep me signed in on this device</span>
          </label>
          <button type="submit" class="button button-primary button-wide">
            Sign in
          </button>
        </form>
        <details class="sign-in-help">
          <summary>Where do I get a token?</summary>
          <p>Whoever runs this server makes one:</p>
          <pre tabIndex={0}>runyard token --sub "$(uuidgen)"</pre>
          <p>
            <code>make demo</code> prints a link that signs in by itself. The API is described at <a href="/docs">/docs</a>.
          </p>
        </details>
      </div>
    </main>
  );
}
