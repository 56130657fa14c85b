// Getting in, and from there to the pages.

import "uplot/dist/uPlot.min.css";
import "./style.css";
import { ApiError, enter, leave, onLoggedOut, used, who, type Who } from "./api";
import { confirm, startTheme, themeButton } from "./chrome";
import { h } from "./dom";
import { operatorPage } from "./operate/page";
import { traderPage } from "./trade/page";

const USED_EVERY_MS = 60_000;

/** The ticket of the link. It leaves the address at once: no history and no screen keeps it. */
function ticket(): string | null {
  const found = /^#ticket=([0-9a-f]{64})$/.exec(location.hash)?.[1] ?? null;
  if (location.hash.startsWith("#ticket")) history.replaceState(null, "", location.pathname);
  return found;
}

async function start(): Promise<void> {
  startTheme();
  const link = ticket();
  try {
    show(link === null ? await who() : await entered(link));
  } catch (error) {
    const refused = error instanceof ApiError && error.reason !== "NotLoggedIn" ? error.message : "";
    out(refused);
  }
}

/** Whoever is in already is asked before another key's session ends theirs: a link can come from anybody. */
async function entered(link: string): Promise<Who> {
  try {
    return await enter(link);
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== "OtherKey") throw error;
  }
  const before = await who();
  const whose = before.account === null ? `key ${before.key}` : `key ${before.key}, account ${before.account}`;
  const consent = await confirm({
    title: "Another key is in",
    says: [`This browser is in with ${whose}. The link is for another key.`, "If you go on, the session that is there ends. Go on only if you asked for the link yourself."],
    confirm: "End it and use the link",
    isDangerous: true,
  });
  return consent === null ? before : enter(link, true);
}

const app = (): HTMLElement => document.getElementById("app") as HTMLElement;

function out(why: string): void {
  document.title = "Rialto console";
  app().replaceChildren(
    h(
      "main",
      { class: "gate" },
      h("h1", {}, "Rialto console"),
      why !== "" && h("p", { class: "why", role: "alert" }, why.charAt(0).toUpperCase() + why.slice(1) + "."),
      h("p", {}, "There is no password. Whoever has a key asks the venue for a link, on the machine where the key is:"),
      h("pre", {}, "rialto console alice\nrialto console administrator"),
      h("p", {}, "The link lets in once, within a minute. The key stays where it is."),
      h("p", {}, h("a", { href: "/" }, "The market is open to everybody")),
    ),
  );
}

function show(visitor: Who): void {
  onLoggedOut(() => location.replace("/console/"));
  keepAlive();
  const pages = [
    visitor.account !== null && { hash: "#trade", name: "Trade", make: () => traderPage(visitor) },
    visitor.reads && { hash: "#operate", name: "Operate", make: () => operatorPage(visitor) },
  ].filter((page) => page !== false);
  const first = pages[0];
  if (first === undefined) return out("this key may neither trade nor look after the venue");
  const page = pages.find((it) => it.hash === location.hash) ?? first;
  const links = pages.map((it) => h("a", { href: it.hash, "aria-current": it === page ? "page" : null }, it.name));
  const { tools, main } = page.make();
  const whose = visitor.account === null ? `key ${visitor.key}` : `account ${visitor.account}`;
  app().replaceChildren(
    h(
      "header",
      { class: "top" },
      h("a", { class: "brand", href: "/", title: "The public market page" }, "Rialto"),
      pages.length > 1 && h("nav", { "aria-label": "Pages" }, ...links),
      h("div", { class: "tools" }, ...tools),
      h(
        "div",
        { class: "self" },
        h("span", { id: "self" }, whose),
        themeButton(),
        h("button", { id: "leave", class: "plain", type: "button", onclick: () => void goodbye() }, "Log out"),
      ),
    ),
    main,
  );
  addEventListener("hashchange", () => location.reload());
}

async function goodbye(): Promise<void> {
  await leave().catch(() => undefined);
  location.replace("/console/");
}

/** Looking does not keep a session, doing something does. */
function keepAlive(): void {
  let told = Date.now();
  const tell = (): void => {
    if (Date.now() - told < USED_EVERY_MS) return;
    told = Date.now();
    void used().catch(() => undefined);
  };
  addEventListener("pointerdown", tell);
  addEventListener("keydown", tell);
}

void start();
