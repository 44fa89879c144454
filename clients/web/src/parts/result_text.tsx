// The result of a tool or a run: a JSON result with a switch between its views, any other one as text.
import { useMemo } from "preact/hooks";
import { readResult } from "../view/json";
import { Output } from "./arguments";
import { lazy } from "./lazy";

const jsonResult = lazy(() => import("./json_result").then((module) => module.JsonResult));

/** The result is text until the code of the other views is loaded, and stays text if that fails. */
export function ResultText({ label, text }: { label: string; text: string }) {
  const value = useMemo(() => readResult(text), [text]);
  const JsonResult = jsonResult.state.value;
  if (value !== null && JsonResult === null) jsonResult.load();
  if (value === null || typeof JsonResult !== "function") return <Output label={label} text={text} placeholder="No output" />;
  return <JsonResult label={label} text={text} value={value} />;
}
