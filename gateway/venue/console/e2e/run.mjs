// From an empty folder to a trade and a halt, as people at two browsers meet it; and a halt that takes two. Waits for what it expects, and for
// nothing else; `npm run e2e`, with RIALTO naming the program.
import assert from "node:assert/strict";
import { browser, folder, link, startVenue, tool } from "./browser.mjs";

const PATIENCE_MS = 60_000;
const places = [];
let venue;
const open = [];
const said = [];

/** A person at a browser: what goes wrong on the page, and what it asks of anybody else, is kept. */
async function person(name) {
  const tab = await browser({ viewport: { width: 1440, height: 900 } });
  tab.page.setDefaultTimeout(PATIENCE_MS);
  tab.wrong = [];
  tab.elsewhere = [];
  // A request that the venue refuses is told on the console by the browser itself; those are looked at where they are made.
  const isRefusal = (text) => /^Failed to load resource: .* status of (400|401|403|409|422) /.test(text);
  tab.page.on("console", (message) => message.type() === "error" && !isRefusal(message.text()) && tab.wrong.push(message.text()));
  await tab.page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  tab.page.on("pageerror", (error) => tab.wrong.push(String(error)));
  const isOwn = (url) => [venue.http, venue.http.replace("http:", "ws:")].some((own) => url.startsWith(`${own}/`));
  tab.page.on("request", (request) => isOwn(request.url()) || tab.elsewhere.push(request.url()));
  tab.page.on("websocket", (socket) => isOwn(socket.url()) || tab.elsewhere.push(socket.url()));
  open.push(tab);
  tab.link = await link(venue, name);
  await tab.page.goto(tab.link);
  return tab;
}

async function step(name, act) {
  await act();
  said.push(name);
  console.log(`ok  ${name}`);
}

const text = (page, selector) => page.locator(selector).innerText();
const waitFor = (page, selector, wanted) =>
  page.locator(selector).filter({ hasText: wanted }).first().waitFor({ state: "visible" });

/** Asks from within the page, as its own script would, or not quite. */
const ask = (page, path, init) =>
  page.evaluate(async ([path, init]) => {
    const response = await fetch(`/console/${path}`, init);
    return { status: response.status, body: await response.json() };
  }, [path, init]);

async function order(page, side, price, quantity) {
  await page.keyboard.press("Escape");
  await page.keyboard.press(side === "buy" ? "b" : "s");
  await page.locator("#price").fill(price);
  await page.locator("#quantity").fill(quantity);
  await page.keyboard.press("Enter");
}

const cell = async (page, asset, index) => (await page.locator(`#balances tr[data-asset="${asset}"] td`).nth(index).getAttribute("title")) ?? "";

/** Starts a venue in a folder of its own. */
async function serve(options = []) {
  const place = await folder("e2e");
  places.push(place);
  venue = await startVenue(place.path, options);
}

/** The pages are left, and the venue is stopped in order. */
async function close() {
  for (const tab of open.splice(0)) await tab.close();
  const code = await venue.stop();
  venue = undefined;
  assert.equal(code, 0, "the venue ends in order");
}

function nothingIsWrong() {
  for (const tab of open) {
    assert.deepEqual(tab.wrong, []);
    assert.deepEqual(tab.elsewhere, []);
  }
}

async function run() {
  await serve();
  let alice;
  let bob;
  let administrator;

  await step("without a session there is a page that says how to get in, and nothing else", async () => {
    const stranger = await browser();
    open.push({ ...stranger, wrong: [], elsewhere: [] });
    await stranger.page.goto(`${venue.http}/console/`);
    await waitFor(stranger.page, "main", "rialto console alice");
    const { status, body } = await ask(stranger.page, "trader/fills", {});
    assert.equal(status, 401);
    assert.equal(body.error, "NotLoggedIn");
  });

  await step("a link lets alice in, and leaves the address", async () => {
    alice = await person("alice");
    await waitFor(alice.page, "#link", "live");
    await waitFor(alice.page, "#self", "account 2");
    assert.equal(new URL(alice.page.url()).hash, "");
    const cookies = await alice.context.cookies(`${venue.http}/console/`);
    assert.equal(cookies.length, 1);
    const [{ httpOnly, sameSite, path }] = cookies;
    assert.deepEqual({ httpOnly, sameSite, path }, { httpOnly: true, sameSite: "Strict", path: "/console" });
    assert.equal(await alice.page.evaluate(() => document.cookie), "");
  });

  await step("a link that was used lets nobody in", async () => {
    const other = await browser();
    open.push({ ...other, wrong: [], elsewhere: [] });
    await other.page.goto(alice.link);
    await waitFor(other.page, ".why", "The link was used before");
    assert.equal((await other.context.cookies(`${venue.http}/console/`)).length, 0);
  });

  await step("what changes something is refused without the header, and with another origin", async () => {
    const body = JSON.stringify({ order_id: "1" });
    const without = await ask(alice.page, "trader/cancel", { method: "POST", body });
    assert.equal(without.status, 403);
    assert.equal(without.body.error, "ForeignOrigin");
    const cookie = (await alice.context.cookies(`${venue.http}/console/`)).map(({ name, value }) => `${name}=${value}`).join("; ");
    const headers = { cookie, "rialto-console": "1", origin: "http://evil.example" };
    const foreign = await fetch(`${venue.http}/console/trader/cancel`, { method: "POST", body, headers });
    assert.equal(foreign.status, 403);
  });

  let available;
  await step("alice rests an order: it is open, held for, and in the book", async () => {
    await alice.page.locator('#balances tr[data-asset="USD"]').waitFor();
    available = await cell(alice.page, "USD", 1);
    await order(alice.page, "buy", "64000.00", "0.5");
    await waitFor(alice.page, "#result", "Accepted");
    await waitFor(alice.page, "#orders tbody tr", "64000.00");
    await waitFor(alice.page, ".level.bid", "64000.00");
    await alice.page.locator(".level.bid .mine.on").first().waitFor();
    await alice.page.waitForFunction((before) => document.querySelector('#balances tr[data-asset="USD"] td:nth-child(2)').title !== before, available);
    assert.notEqual(await cell(alice.page, "USD", 2), "0");
  });

  await step("bob takes half of it from the book: both see the fill, and their balances change", async () => {
    bob = await person("bob");
    await waitFor(bob.page, "#link", "live");
    await bob.page.locator(".level.bid:not([disabled])").first().click();
    assert.equal(await bob.page.locator("#price").inputValue(), "64000.00");
    await bob.page.locator("#quantity").fill("0.25");
    await bob.page.keyboard.press("Enter");
    for (const { page } of [alice, bob]) {
      await page.locator('#tab-1').click();
      await waitFor(page, "#fills tbody tr", "0.25");
      await waitFor(page, ".tape tbody tr", "64000.00");
    }
    await waitFor(alice.page, '#balances tr[data-asset="BTC"]', /1\s?000\.25/);
    await waitFor(bob.page, '#balances tr[data-asset="BTC"]', /999\.75/);
    await alice.page.locator("#tab-0").click();
    await alice.page.waitForFunction(() => document.querySelector("#orders tbody td:nth-child(4)")?.textContent === "0.25");
    assert.equal(await cell(bob.page, "USD", 1), "100015984");
  });

  await step("orders of other programs are seen, too", async () => {
    await tool("order", "new", "--data", venue.data, "--account", "alice", "--instrument", "ETH-USD", "--side", "sell", "--price", "4000", "--quantity", "2");
    await waitFor(alice.page, "#orders tbody tr", "ETH-USD");
  });

  await step("a reject is told by name and in words", async () => {
    await order(alice.page, "buy", "64000.001", "0.1");
    await waitFor(alice.page, "#result", "64000.001 is finer than 0.01");
    await order(alice.page, "buy", "64000.00", "100000");
    await waitFor(alice.page, "#result", /Refused: Insufficient/);
  });

  await step("the administrator halts the instrument, with a reason", async () => {
    administrator = await person("administrator");
    await waitFor(administrator.page, "#ready", "ready");
    const { page } = administrator;
    await page.getByRole("button", { name: "Halt BTC-USD" }).click();
    await waitFor(page, "dialog", "Orders may only leave or shrink");
    await page.locator("dialog button[type=submit]").click();
    assert.equal(await page.locator("dialog").count(), 1, "a change without a reason is not sent");
    await page.locator("#dialog-reason").fill("news pending");
    await page.locator("dialog button[type=submit]").click();
    await waitFor(page, '[data-instrument="BTC-USD"]', "Halted");
    await waitFor(page, "#alerts", "BTC-USD is halted");
  });

  await step("alice's order is refused, and she is told why", async () => {
    await waitFor(alice.page, "#phase", "Halted");
    await order(alice.page, "buy", "64001.00", "0.1");
    await waitFor(alice.page, "#result", "Refused:");
    assert.match(await text(alice.page, "#result"), /phase|halt/i);
  });

  await step("the history says who did it, and why", async () => {
    const { page } = administrator;
    await page.getByRole("tab", { name: "Audit" }).click();
    await page.waitForFunction(async () => {
      const row = [...document.querySelectorAll("#audit tbody tr")].find((it) => it.textContent.includes("news pending"));
      if (row === undefined) document.querySelector(".audit form").requestSubmit();
      return row !== undefined;
    }, undefined, { polling: 500 });
    const row = page.locator("#audit tbody tr").filter({ hasText: "news pending" }).first();
    assert.equal(await row.locator("td").nth(2).innerText(), "1");
    assert.equal(await row.locator("td").nth(3).innerText(), "Phase changed");
  });

  await step("it resumes; alice cancels all her orders, after a question", async () => {
    const { page } = administrator;
    await page.getByRole("tab", { name: "Overview" }).click();
    await page.getByRole("button", { name: "Resume BTC-USD" }).click();
    await page.locator("#dialog-reason").fill("news is out");
    await page.locator("dialog button[type=submit]").click();
    await waitFor(page, '[data-instrument="BTC-USD"]', "Continuous");
    await alice.page.keyboard.press("Escape");
    await alice.page.keyboard.press("c");
    await waitFor(alice.page, "dialog", "Every open order of this account");
    await alice.page.locator("dialog button[type=submit]").click();
    await waitFor(alice.page, "#notes", "Cancelled 2 orders");
    await alice.page.waitForFunction(() => document.querySelectorAll("#orders tbody tr").length === 0);
    await alice.page.waitForFunction(() => document.querySelector('#balances tr[data-asset="USD"] td:nth-child(3)').title === "0");
  });

  await step("a trader may not operate, and a key that runs the venue does not trade", async () => {
    const headers = { "rialto-console": "1", "rialto-request": "77" };
    const body = JSON.stringify({ reason: "a try", change: { instrument: "BTC-USD" } });
    const change = await ask(alice.page, "operator/change/instrument/halt", { method: "POST", headers, body });
    assert.equal(change.status, 403);
    const read = await ask(alice.page, "operator/list/accounts", {});
    assert.equal(read.status, 403);
    const trade = await ask(administrator.page, "trader/cancel-all", { method: "POST", headers, body: "{}" });
    assert.equal(trade.status, 403);
  });

  await step("a key that is revoked ends its session at once", async () => {
    await tool("admin", "--data", venue.data, "--reason", "a test", "key", "revoke", "3");
    await waitFor(bob.page, "main", "There is no password");
  });

  await step("who logs out is out", async () => {
    await alice.page.locator("#leave").click();
    await waitFor(alice.page, "main", "There is no password");
    assert.equal((await ask(alice.page, "session", {})).status, 401);
  });

  await step("the page may not load what its policy forbids", async () => {
    // So that what is looked at below would be seen.
    const tried = await browser();
    await tried.page.goto(`${venue.http}/console/`);
    const blocked = await tried.page.evaluate(() => new Promise((resolve) => {
      addEventListener("securitypolicyviolation", (event) => resolve(event.violatedDirective));
      document.body.append(Object.assign(document.createElement("img"), { src: "http://evil.example/pixel.png" }));
    }));
    assert.equal(blocked, "img-src");
    await tried.close();
  });

  await step("no policy was violated, nothing failed, and nothing was asked of anybody else", async () => nothingIsWrong());
  await close();
}

/** Makes an operator with a role; the console lets them in by that name. */
async function operator(name, number, role) {
  const admin = async (...words) => JSON.parse(await tool("admin", "--data", venue.data, "--json", "--reason", "a test", ...words));
  const { public_key: key } = await admin("key", "new", number, "--out", `${venue.data}/keys/${name}.json`);
  await admin("key", "add", number, "--public-key", key);
  await admin("key", "grant", number, "--role", role);
  return person(name);
}

async function twoKeys() {
  await serve(["--four-eyes", "instrument/halt,account/withdraw"]);
  const proposals = (page) => page.getByRole("tab", { name: "Proposals" }).click();
  const phase = async () => {
    const { body } = await ask(first.page, "operator/list/instruments?after=0", {});
    return body[0].phase;
  };
  const decide = (page, decision, proposal) =>
    ask(page, `operator/proposal/${decision}`, {
      method: "POST", headers: { "rialto-console": "1", "rialto-request": "77" }, body: JSON.stringify({ proposal }),
    });
  const confirmed = (page) => page.locator("dialog button[type=submit]").click();
  let first;
  let second;
  let waiting;

  const propose = async (reason) => {
    await first.page.getByRole("tab", { name: "Overview" }).click();
    await first.page.getByRole("button", { name: "Halt BTC-USD" }).click();
    await waitFor(first.page, "dialog", "It needs a second key");
    await first.page.locator("#dialog-reason").fill(reason);
    await confirmed(first.page);
    await waitFor(first.page, "#notes", "It waits for a second key");
    await proposals(first.page);
    await waitFor(first.page, "#proposals > li", reason);
    waiting = Number(await first.page.locator("#proposals > li").filter({ hasText: reason }).getAttribute("data-proposal"));
  };

  await step("a halt that takes two waits, and is shown with whose it is, why and until when", async () => {
    first = await person("administrator");
    await waitFor(first.page, "#ready", "ready");
    await proposals(first.page);
    await waitFor(first.page, "#proposals", "Nothing waits");
    await propose("news pending");
    const said = await text(first.page, `[data-proposal="${waiting}"]`);
    for (const wanted of ["Halt BTC-USD", "instrument/halt, instrument BTC-USD", "by key 1, which is yours", "Lapses"]) assert.ok(said.includes(wanted), said);
    assert.equal(await phase(), "Continuous");
  });

  await step("who proposed it is not offered to approve, and may not", async () => {
    const item = first.page.locator(`[data-proposal="${waiting}"]`);
    assert.equal(await item.getByRole("button", { name: "Approve" }).count(), 0);
    assert.match(await item.innerText(), /Another key than the proposer's has to approve\./);
    const { status, body } = await decide(first.page, "approve", waiting);
    assert.deepEqual([status, body.error], [403, "OwnProposal"]);
    assert.equal(await phase(), "Continuous");
  });

  await step("who has no role for it is not offered anything, and may not", async () => {
    const { page } = await operator("keeper", "8", "key-operator");
    await proposals(page);
    await waitFor(page, `[data-proposal="${waiting}"]`, "Your key has no role for this.");
    assert.equal(await page.locator("#proposals button").count(), 0);
    const { status, body } = await decide(page, "approve", waiting);
    assert.deepEqual([status, body.error], [403, "NotEntitled"]);
  });

  await step("another operator rejects it, by keyboard alone: nothing comes of it", async () => {
    second = await operator("deputy", "9", "market-operator");
    const { page } = second;
    await waitFor(page, "#alerts", "A change waits for a second key");
    await page.getByRole("tab", { name: "Proposals 1" }).press("Enter");
    await page.getByRole("button", { name: `Reject proposal ${waiting}` }).press("Enter");
    await waitFor(page, "dialog", "Reject: Halt BTC-USD?");
    await page.locator("dialog button[type=submit]").press("Enter");
    await waitFor(page, "#notes", "Rejected: Halt BTC-USD");
    await waitFor(page, "#proposals", "Nothing waits");
    assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "What waits");
    assert.equal(await phase(), "Continuous");
    const { status, body } = await decide(page, "approve", waiting);
    assert.deepEqual([status, body.error, body.text], [409, "ProposalDecided", "it was rejected"]);
  });

  await step("proposed again, another operator approves it: the instrument is halted, in their name", async () => {
    await propose("news is near");
    const { page } = second;
    await page.getByRole("button", { name: `Approve proposal ${waiting}` }).click();
    await waitFor(page, "dialog", "Proposed by key 1: “news is near”.");
    await waitFor(page, "dialog", "open there at the moment");
    await confirmed(page);
    await waitFor(page, "#notes", "Approved: Halt BTC-USD");
    await waitFor(page, "#proposals", "Nothing waits");
    assert.equal(await phase(), "Halted");
    await page.getByRole("tab", { name: "Overview" }).click();
    await waitFor(page, '[data-instrument="BTC-USD"]', "Halted");
    await page.getByRole("tab", { name: "Audit" }).click();
    await page.waitForFunction(() => {
      const row = [...document.querySelectorAll("#audit tbody tr")].find((it) => it.textContent.includes("news is near"));
      if (row === undefined) document.querySelector(".audit form").requestSubmit();
      return row?.querySelector("td:nth-child(3)").textContent === "9";
    }, undefined, { polling: 500 });
  });

  await step("an amount is approved by a request that is signed by itself, and may be rejected here", async () => {
    const { id } = JSON.parse(await tool("admin", "--data", venue.data, "--json", "--reason", "wire 8817", "account", "withdraw", "2", "--asset", "USD", "--amount", "5000"));
    const { page } = await operator("cashier", "10", "account-operator");
    await proposals(page);
    await waitFor(page, `[data-proposal="${id}"]`, `rialto admin proposal approve ${id}.`);
    assert.equal(await page.getByRole("button", { name: `Approve proposal ${id}` }).count(), 0);
    const { status, body } = await decide(page, "approve", id);
    assert.deepEqual([status, body.error], [403, "NeedsSignature"]);
    await page.getByRole("button", { name: `Reject proposal ${id}` }).click();
    await confirmed(page);
    await waitFor(page, "#proposals", "Nothing waits");
  });

  await step("who proposed it takes it back", async () => {
    await first.page.getByRole("tab", { name: "Overview" }).click();
    await first.page.getByRole("button", { name: "Resume BTC-USD" }).click();
    await first.page.locator("#dialog-reason").fill("news is out");
    await confirmed(first.page);
    await waitFor(first.page, '[data-instrument="BTC-USD"]', "Continuous");
    await propose("once more");
    await first.page.getByRole("button", { name: `Take back proposal ${waiting}` }).click();
    await confirmed(first.page);
    await waitFor(first.page, "#notes", "Taken back: Halt BTC-USD");
    await waitFor(first.page, "#proposals", "Nothing waits");
  });

  await step("here, too, nothing failed, and nothing was asked of anybody else", async () => nothingIsWrong());
  await close();
}

let failure = null;
try {
  await run();
  await twoKeys();
} catch (error) {
  failure = error;
  console.error(`FAILED behind "${said.at(-1) ?? "the start"}":`, error);
  for (const tab of open) console.error(tab.page.url(), tab.wrong);
  if (process.env.PICTURE !== undefined) {
    for (const [index, tab] of open.entries()) await tab.page.screenshot({ path: `${process.env.PICTURE}-${index}.png` }).catch(() => undefined);
  }
  console.error(venue?.said());
}
for (const tab of open) await tab.close().catch(() => undefined);
await venue?.stop();
for (const place of places) await place.remove();
console.log(failure === null ? `${said.length} steps, all as expected` : "not as expected");
process.exit(failure === null ? 0 : 1);
