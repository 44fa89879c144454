// The message that no model is connected, and how to connect one.
import { useState } from "preact/hooks";
import { isDemoNoteClosed, isDemoOnly } from "../stores/demo";
import { Dialog, Note } from "./basic";
import { CopyButton } from "./copy";

export function DemoNote() {
  const [isOpen, setOpen] = useState(false);
  if (!isDemoOnly.value || isDemoNoteClosed.value) return null;
  return (
    <>
      <Note kind="warning" onClose={() => (isDemoNoteClosed.value = true)}>
        <strong>No model is connected</strong>
        <span class="demo-detail">, so the built-in demo answers. It follows fixed rules.</span>{" "}
        <button type="button" class="button button-small" onClick={() => setOpen(true)}>
          How to connect a model
        </button>
      </Note>
      {isOpen && <Guide onClose={() => setOpen(false)} />}
    </>
  );
}

/** Settings of the server, each with the provider that they connect. */
const SETTINGS: [provider: string, lines: string][] = [
  ["OpenAI, or a service with the same API", "RUNYARD_OPENAI_API_KEY=sk-…\nRUNYARD_OPENAI_MODEL=gpt-5-mini"],
  ["Ollama on the machine of the server", "RUNYARD_OPENAI_BASE_URL=http://127.0.0.1:11434/v1/\nRUNYARD_OPENAI_MODEL=qwen3"],
  ["Anthropic, in the configuration file", '[providers.default]\nkind = "anthropic"\napi_key = "sk-ant-…"\nmodel = "claude-haiku-4-5"'],
];

function Guide({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Connect a model" onClose={onClose}>
      <div class="dialog-text">
        <p>If you run this server, set one of these in its environment or in its configuration, and start it again:</p>
        {SETTINGS.map(([provider, lines]) => (
          <section key={provider}>
            <h3 class="model-provider">
              {provider}
              <CopyButton text={lines} what={`the settings for ${provider}`} />
            </h3>
            <pre class="model-settings">{lines}</pre>
          </section>
        ))}
        <p>
          <code>runyard models test NAME</code> checks whether the model answers and calls tools. The page <code>docs/models.md</code> of the documentation has the
          settings for Gemini, Azure, OpenRouter and other providers. If someone else runs the server, ask your administrator.
        </p>
      </div>
    </Dialog>
  );
}
