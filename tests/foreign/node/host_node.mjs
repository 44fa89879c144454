// The surroundings of a client in Node: its settings come from the environment, and its lines go to the standard output.

export const settings = { ...process.env, VARIANT: process.argv[2] };

export function say(...words) {
  console.log(words.join(" "));
}

/** Runs a client's `main`. Node then waits for open connections, so this ends the process. */
export async function run(main) {
  await main();
  process.exit();
}
