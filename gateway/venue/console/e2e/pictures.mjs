// Takes pictures of both pages, large and small, light and dark: `node e2e/pictures.mjs FOLDER`. With VENUE and DATA set, of
// a venue that runs already.
import { mkdir } from "node:fs/promises";
import { browser, folder, link, startVenue, tool } from "./browser.mjs";

const place = process.argv[2] ?? "pictures";
const MINUTE_MS = 60_000;
await mkdir(place, { recursive: true });
const own = process.env.VENUE === undefined ? await folder("pictures") : null;
const venue = own === null ? { http: process.env.VENUE, data: process.env.DATA } : await startVenue(own.path, ["--demo"]);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
if (own !== null) await wait(MINUTE_MS);

const order = (side, price, quantity) => tool("order", "new", "--data", venue.data, "--account", "alice", "--instrument", "BTC-USD", "--side", side, "--price", price, "--quantity", quantity);
const [product] = JSON.parse(await tool("order", "list", "--data", venue.data, "--account", "alice", "--json").then((text) => `[${text}]`));
if (product.count === 0) {
  await order("buy", "60000", "0.25");
  await order("buy", "61500", "1.5");
  await order("sell", "70000", "0.75");
  await tool("order", "new", "--data", venue.data, "--account", "alice", "--instrument", "BTC-USD", "--side", "buy", "--type", "market", "--quantity", "0.05");
}

/** A question, and a refusal. */
async function asked(tab, page, size, colorScheme) {
  if (page === "operate") await tab.click('button[aria-label="Halt ETH-USD"]');
  else {
    if (size === "phone") await tab.click('.views button:text-is("Trade")');
    await tab.fill("#price", "64000.00");
    await tab.fill("#quantity", "1000000");
    await tab.click("#submit");
    await tab.waitForSelector(".result.bad");
  }
  await tab.screenshot({ path: `${place}/${page}-asked-${size}-${colorScheme}.png` });
  if (page === "operate") await tab.click('dialog button:text-is("Back")');
}

const sizes = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
const people = [["alice", "trade", ["Trade", "Chart", "Account"]], ["administrator", "operate", ["Overview", "Accounts", "Sessions", "Audit"]]];
for (const [name, page, views] of people) {
  const { context, page: tab, close } = await browser({ viewport: sizes.desktop, colorScheme: "light", deviceScaleFactor: 1 });
  await tab.goto(await link(venue, name));
  await tab.waitForSelector(page === "trade" ? ".level.bid:not([disabled])" : "#ready.good");
  await wait(Number(process.env.SETTLE_MS ?? 20_000));
  for (const [size, viewport] of Object.entries(sizes)) {
    for (const colorScheme of ["light", "dark"]) {
      await tab.setViewportSize(viewport);
      await tab.emulateMedia({ colorScheme });
      const isAll = size === "phone" || page === "operate";
      for (const view of isAll ? views : views.slice(0, 1)) {
        if (page === "operate") await tab.click(`.operate > .tabs button:text-is("${view}")`);
        else if (size === "phone") await tab.click(`.views button:text-is("${view}")`);
        await wait(700);
        await tab.screenshot({ path: `${place}/${page}-${view.toLowerCase()}-${size}-${colorScheme}.png` });
      }
      if (page === "operate") await tab.click('.operate > .tabs button:text-is("Overview")');
      await asked(tab, page, size, colorScheme);
    }
  }
  await close();
  void context;
}
if (own !== null) {
  await venue.stop();
  await own.remove();
}
