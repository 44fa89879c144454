// The result of a tool or a run: a JSON result with a switch between its views, any other one as text.
import { useMemo } from "preact/hooks";
import { readResult } from "../view/json";
import { Output } from "./arguments";
import { Suspense, lazy } from "./lazy";

const JsonResult = lazy(() => import("./json_result").then((module) => module.JsonResult));

export function ResultText({ label, text }: { label: string; text: string }) {
  const value = useMemo(() => readResult(text), [text]);
  const plain = <Output label={label} text={text} placeholder="No output" />;
  return value === null ? plain : <Suspense of={JsonResult} fallback={plain} properties={{ label, text, value }} />;
}
