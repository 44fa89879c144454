// Builds update masks. The keys of an object are the fields to change, and the value null clears a field.

import type { DescMessage } from "@bufbuild/protobuf";

export type Changes<T> = { [K in keyof T]?: T[K] | null };

/** Returns the field mask of a change. Keys with the value undefined count as absent. */
export function maskOf(schema: DescMessage, changes: object): { paths: string[] } {
  const paths = Object.entries(changes)
    .filter(([, value]) => value !== undefined)
    .map(([key]) => schema.field[key]?.name ?? key);
  return { paths };
}
