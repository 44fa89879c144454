// The sign-in screen: the identity provider, if the server has one, and the form for a token.
import { useSignal } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Field, Note, Spinner } from "../parts/basic";
import { Brand } from "../parts/brand";
import { Yard } from "../parts/yard";
import { loadProvider, provider } from "../provider";
import { signOutReason, fromPaste, signIn } from "../session";
import { beginSignIn, checkToken, step } from "../sign_in";

export function SignIn() {
  const remember = useSignal(false);
  useEffect(() => {
    document.title = "Sign in · Runyard";
    void loadProvider();
  }, []);
  return (
    <main class="sign-in" id="main">
      <Yard />
      <div class="sign-in-card">
        <Brand large />
        <h1>Sign in</h1>
        {signOutReason.value && <Note kind="warning">{signOutReason.value}</Note>}
        {step.value !== null ? (
          <Spinner label={step.value} />
        ) : provider.value === undefined ? (
          <Spinner label="Loading" />
        ) : provider.value === null ? (
          <>
            <TokenForm remember={remember} />
            <details class="sign-in-help">
              <summary>Where do I get a token?</summary>
              <TokenHelp />
            </details>
          </>
        ) : (
          <>
            <ProviderForm remember={remember} />
            <details class="sign-in-help">
              <summary>Use a token instead</summary>
              <TokenForm remember={remember} isSecond />
              <TokenHelp />
            </details>
          </>
        )}
      </div>
    </main>
  );
}

/** Opens the sign-in page of the identity provider. */
function ProviderForm({ remember }: { remember: Signal<boolean> }) {
  const problem = useSignal<string | null>(null);
  const leaving = useSignal(false);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => button.current?.focus(), []);
  return (
    <form
      onSubmit={async (event) => {
        event.preventDefault();
        if (leaving.value) return;
        leaving.value = true;
        problem.value = await beginSignIn(remember.value);
        // The browser may bring this page back later, so the button must work again.
        leaving.value = false;
      }}
    >
      {problem.value !== null && <Note kind="error">{problem.value}</Note>}
      <button ref={button} type="submit" class="button button-primary button-wide" disabled={leaving.value}>
        {provider.value?.button ?? "Sign in with your identity provider"}
      </button>
      <Remember checked={remember} />
    </form>
  );
}

/** `isSecond` if the form is an alternative to the identity provider. */
function TokenForm({ remember, isSecond = false }: { remember: Signal<boolean>; isSecond?: boolean }) {
  const text = useSignal("");
  const problem = useSignal<string | null>(null);
  const signingIn = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (!isSecond) field.current?.focus();
  }, []);
  const label = isSecond ? "Sign in with this token" : "Sign in";
  return (
    <form
      onSubmit={async (event) => {
        event.preventDefault();
        if (signingIn.value) return;
        signingIn.value = true;
        signOutReason.value = null;
        const token = fromPaste(text.value);
        problem.value = await check(token);
        signingIn.value = false;
        if (problem.value === null) signIn({ token, grant: null }, remember.value);
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
      {!isSecond && <Remember checked={remember} />}
      <button type="submit" class={`button button-wide${isSecond ? "" : " button-primary"}`} disabled={signingIn.value}>
        {signingIn.value ? "Signing in" : label}
      </button>
    </form>
  );
}

function Remember({ checked }: { checked: Signal<boolean> }) {
  return (
    <label class="check">
      <input type="checkbox" checked={checked.value} onChange={(event) => (checked.value = event.currentTarget.checked)} />
      <span>Keep me signed in on this device</span>
    </label>
  );
}

function TokenHelp() {
  return (
    <>
      <p>If you run this server, run this command in the folder where you started the server:</p>
      <pre tabIndex={0}>runyard token</pre>
      <p>
        The token is for your local account, which <code>runyard run</code> also uses. For another account, use{" "}
        <code>runyard token --sub alice</code>. If someone else runs the server, ask them for a token. <a href="/docs">The API reference</a>{" "}
        needs no token.
      </p>
    </>
  );
}

// Checks the token before signing in, so that only this screen reports an invalid token.
async function check(token: string): Promise<string | null> {
  if (token === "" || /\s/.test(token)) return "This is not a token: it is empty or contains spaces.";
  return checkToken(token, "The server does not accept this token. It may have expired or belong to another server.");
}
