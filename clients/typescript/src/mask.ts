// Which fields a change names: the keys that are there, as over HTTP. Null clears.

import type { DescMessage } from "@bufbuild/protobuf";

/** The fields of a change; null clears one. */
export type Changes<T> = { [K in keyof T]?: T[K] | null };

/** The field mask of a change. Keys whose value is undefined are not there. */
export function maskOf(schema: DescMessage, changes: object): { paths: string[] } {
  const paths = Object.entries(changes)
    .filter(([, value]) => value !== undefined)
    .map(([key]) => schema.field[key]?.name ?? key);
  return { paths };
}
