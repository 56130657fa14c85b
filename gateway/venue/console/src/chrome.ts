// What both pages share: the theme, notes that come and go, and dialogs.

import { h } from "./dom";

// ---- theme ----

const THEMES = ["system", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];

function kept(): Theme {
  const found = localStorage.getItem("rialto-theme");
  return THEMES.find((theme) => theme === found) ?? "system";
}

/** Told whenever colours may be others: what is on a canvas is drawn again. */
const redraws = new Set<() => void>();

export function onTheme(redraw: () => void): void {
  redraws.add(redraw);
}

function apply(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  redraws.forEach((redraw) => redraw());
}

export function themeButton(): HTMLElement {
  const button = h("button", { class: "plain", type: "button" });
  const show = (): void => {
    button.textContent = { system: "Auto", light: "Light", dark: "Dark" }[kept()];
    button.setAttribute("aria-label", `Colours: ${kept()}. Change`);
  };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(kept()) + 1) % THEMES.length] ?? "system";
    localStorage.setItem("rialto-theme", next);
    apply(next);
    show();
  });
  show();
  return button;
}

export function startTheme(): void {
  apply(kept());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(kept()));
}

// ---- notes ----

export type Tone = "good" | "bad" | "plain";

const NOTE_MS = 6000;
const NOTES_MAX = 4;

/** Says something in passing. */
export function note(tone: Tone, title: string, text = ""): void {
  let place = document.getElementById("notes");
  if (place === null) {
    place = h("div", { id: "notes", role: "log", "aria-live": "polite", "aria-label": "What has happened" });
    document.body.append(place);
  }
  const shown = h("div", { class: `note ${tone}` }, h("strong", {}, title), text === "" ? null : h("span", {}, text));
  place.append(shown);
  while (place.childElementCount > NOTES_MAX) place.firstElementChild?.remove();
  setTimeout(() => shown.remove(), NOTE_MS);
}

// ---- dialogs ----

export interface Question {
  readonly title: string;
  /** What will happen, a sentence a line. */
  readonly says: readonly string[];
  readonly confirm: string;
  readonly isDangerous?: boolean;
  /** Asks for a reason, which the journal keeps. */
  readonly needsReason?: boolean;
  /** Something to choose from. */
  readonly choice?: { readonly label: string; readonly options: readonly string[] };
}

export interface Consent {
  readonly reason: string;
  readonly choice: string;
}

/** The journal keeps as much. */
const REASON_MAX = 24;

/** Asks; null: no. */
export function confirm(question: Question): Promise<Consent | null> {
  const reason = h("input", {
    id: "dialog-reason", type: "text", maxlength: REASON_MAX, required: true, autocomplete: "off", spellcheck: "false",
    pattern: "[ -~]*[!-~][ -~]*", title: "Printable ASCII", placeholder: "news pending",
  });
  const choice = h("select", { id: "dialog-choice" }, ...(question.choice?.options ?? []).map((it) => h("option", {}, it)));
  const isAsked = question.needsReason === true;
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "dialog-title" }, question.title),
    ...question.says.map((line) => h("p", {}, line)),
    question.choice && h("label", { for: "dialog-choice" }, question.choice.label),
    question.choice && choice,
    isAsked && h("label", { for: "dialog-reason" }, `Reason, for the journal, at most ${REASON_MAX} characters`),
    isAsked && reason,
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", class: "quiet", onclick: () => dialog.close("") }, "Back"),
      h("button", { type: "submit", value: "yes", class: question.isDangerous ? "danger" : "primary" }, question.confirm),
    ),
  );
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
  return open(dialog).then((answer) => (answer === "yes" ? { reason: reason.value.trim(), choice: choice.value } : null));
}

export function inform(title: string, ...content: Node[]): void {
  const dialog: HTMLDialogElement = h(
    "dialog",
    { "aria-labelledby": "dialog-title" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "dialog-title" }, title),
      ...content,
      h("div", { class: "actions" }, h("button", { type: "submit", class: "quiet", value: "" }, "Close")),
    ),
  );
  void open(dialog);
}

function open(dialog: HTMLDialogElement): Promise<string> {
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

export function isDialogOpen(): boolean {
  return document.querySelector("dialog[open]") !== null;
}
