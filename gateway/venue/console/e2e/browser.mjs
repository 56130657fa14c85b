// A browser, and a venue to look at, for tests and for pictures.
import { spawn, execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const run = promisify(execFile);

export const RIALTO = process.env.RIALTO ?? "../../../target/debug/rialto";
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** A folder of the test's own, removed at the end. */
export async function folder(name) {
  const path = await mkdtemp(join(tmpdir(), `rialto-${name}-`));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Starts a venue on ports of its own, and waits until it says that it is ready. */
export async function startVenue(data, options = []) {
  const doors = ["--order-entry", "--market-data", "--http"].flatMap((door) => [door, "127.0.0.1:0"]);
  const child = spawn(RIALTO, ["serve", "--data", data, "--head", data, ...doors, ...options], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (text) => (said += text));
  const addresses = await new Promise((resolve, reject) => {
    child.stdout.on("data", (text) => {
      said += text;
      const ready = /^READY (.*)$/m.exec(said);
      if (ready !== null) resolve(JSON.parse(ready[1]));
    });
    child.on("exit", (code) => reject(new Error(`the venue ended with ${code}:\n${said}`)));
    child.on("error", reject);
  });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  return {
    http: `http://${addresses.http}`,
    data,
    said: () => said,
    stop: async () => {
      child.kill("SIGTERM");
      return ended;
    },
  };
}

/** Runs a tool of the program; what it prints. */
export async function tool(...args) {
  return (await run(RIALTO, args)).stdout.trim();
}

/** The link that lets a key's holder in. */
export const link = (venue, name) => tool("console", name, "--data", venue.data);

/** A browser without any past: each person has one. */
export async function browser(options = {}) {
  const place = await folder("browser");
  const context = await chromium.launchPersistentContext(place.path, {
    executablePath: CHROMIUM, headless: true, args: FLAGS, ...options,
  });
  return {
    context,
    page: context.pages()[0] ?? (await context.newPage()),
    close: async () => {
      await context.close();
      await place.remove();
    },
  };
}
