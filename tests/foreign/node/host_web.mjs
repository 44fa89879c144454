// The surroundings of a client in a page of tests/foreign/browser.py: its lines are posted to that program.

export const settings = window.RUNYARD;

let posted = Promise.resolve();

const post = (path, body) => {
  posted = posted.then(() => fetch(path, { method: "POST", body }));
  return posted;
};

export function say(...words) {
  void post("/say", words.join(" "));
}

/** Runs a client's `main` and reports its end. */
export async function run(main) {
  try {
    await main();
  } catch (error) {
    say("failed", String(error?.stack ?? error).replaceAll("\n", " "));
  }
  await post("/end", "");
}
