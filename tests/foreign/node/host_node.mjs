// Runs a client in Node: reads settings from environment variables and prints lines to standard output.

export const settings = { ...process.env, VARIANT: process.argv[2] };

export function say(...words) {
  console.log(words.join(" "));
}

/** Runs a client's `main`, then exits. Without an explicit exit, Node would wait until all connections are closed. */
export async function run(main) {
  await main();
  process.exit();
}
