// Connects a client in Node with the scenario: reads settings from environment variables, and prints lines to standard
// output.

export const settings = { ...process.env, VARIANT: process.argv[2] };

export function say(...words) {
  console.log(words.join(" "));
}

/** Runs a client's `main`, and then ends the process, because Node would wait for open connections. */
export async function run(main) {
  await main();
  process.exit();
}
