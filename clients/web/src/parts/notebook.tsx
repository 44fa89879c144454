// A Jupyter notebook: its cells with their outputs.
import { type CodeCell, type Notebook, type Output } from "../view/notebook";
import { ColouredText } from "./coloured";
import { CopyButton } from "./copy";
import { JsonTree } from "./json_tree";
import { Markdown } from "./markdown";

/** Maximum number of characters of an output. */
const MAX_OUTPUT = 20_000;

export function NotebookView({ notebook }: { notebook: Notebook }) {
  return (
    <div class="notebook" tabIndex={0} role="group" aria-label="Notebook">
      {notebook.cells.map((cell, at) =>
        cell.kind === "code" ? (
          <Code key={at} cell={cell} language={notebook.language} />
        ) : cell.kind === "raw" ? (
          <pre key={at} class="notebook-raw">
            {cell.text}
          </pre>
        ) : (
          <Markdown
            key={at}
            text={cell.text}
            picture={(address) => {
              const picture = cell.pictures.get(address.replace(/^attachment:/, ""));
              return picture ? <img class="picture" src={picture} alt="" /> : null;
            }}
          />
        ),
      )}
      {notebook.cells.length === 0 && <p class="dim">This notebook has no cells.</p>}
    </div>
  );
}

function Code({ cell, language }: { cell: CodeCell; language: string }) {
  return (
    <section class="notebook-code" aria-label={cell.count === null ? "Cell that has not run" : `Cell ${cell.count}`}>
      <header class="small dim">
        <span>In [{cell.count ?? " "}]</span>
        <CopyButton text={cell.text} what="the cell" />
      </header>
      <pre class="notebook-source" tabIndex={0}>
        <ColouredText text={cell.text} language={language} />
      </pre>
      {cell.outputs.map((output, at) => (
        <Result key={at} output={output} />
      ))}
    </section>
  );
}

function Result({ output }: { output: Output }) {
  switch (output.kind) {
    case "text": {
      const isCut = output.text.length > MAX_OUTPUT;
      return (
        <pre class={output.isError ? "notebook-output notebook-error" : "notebook-output"} tabIndex={0}>
          {isCut ? `${output.text.slice(0, MAX_OUTPUT)}\n… (${output.text.length - MAX_OUTPUT} more characters)` : output.text}
        </pre>
      );
    }
    case "markdown":
      return <Markdown text={output.text} />;
    case "picture":
      return <img class="picture" src={output.address} alt={output.text || "Output of the cell"} />;
    case "json":
      return <JsonTree value={output.value} />;
    case "hidden":
      return <p class="small dim">An output of type {output.type} is not shown. Download the notebook to see it.</p>;
  }
}
