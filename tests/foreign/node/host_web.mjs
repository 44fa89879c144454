// Runs a client in a browser: reads settings from the page and posts lines to tests/foreign/browser.py.

export const settings = window.RUNYARD;

let posted = Promise.resolve();

const post = (path, body) => {
  posted = posted.then(() => fetch(path, { method: "POST", body }));
  return posted;
};

export function say(...words) {
  void post("/say", words.join(" "));
}

export async function run(main) {
  try {
    await main();
  } catch (error) {
    say("failed", String(error?.stack ?? error).replaceAll("\n", " "));
  }
  await post("/end", "");
}
