// Builds update masks: the keys of an object are the fields to change.

import type { DescMessage } from "@bufbuild/protobuf";

export type Changes<T> = { [K in keyof T]?: T[K] | null };

/** Returns the field mask of a change. Keys with the value undefined are skipped. */
export function maskOf(schema: DescMessage, changes: object): { paths: string[] } {
  const paths = Object.entries(changes)
    .filter(([, value]) => value !== undefined)
    .map(([key]) => schema.field[key]?.name ?? key);
  return { paths };
}
