// The console's side of HTTP. What changes something carries a header that only the page's own script can send.

export class ApiError extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, text: string) {
    super(text);
    this.status = status;
    this.reason = reason;
  }
}

export interface Who {
  readonly key: number;
  readonly account: number | null;
  readonly operates: boolean;
  readonly reads: boolean;
  readonly idle_seconds: number;
}

/** Told when a request finds that the session is over. */
let whenOut: () => void = () => undefined;

export function onLoggedOut(told: () => void): void {
  whenOut = told;
}

async function ask<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
  const init: RequestInit = { method, credentials: "same-origin", cache: "no-store", redirect: "error" };
  init.headers = method === "GET" ? headers : { "rialto-console": "1", "content-type": "application/json", ...headers };
  if (body !== undefined) init.body = JSON.stringify(body);
  let response: Response;
  try {
    response = await fetch(`/console/${path}`, init);
  } catch {
    throw new ApiError(0, "NoConnection", "the venue does not answer");
  }
  const said = (await response.json().catch(() => ({}))) as { error?: string; reason?: string; text?: string };
  if (response.ok) return said as T;
  if (response.status === 401 && path !== "session") whenOut();
  const reason = said.reason ?? said.error ?? String(response.status);
  throw new ApiError(response.status, reason, said.text ?? "");
}

export const get = <T>(path: string): Promise<T> => ask<T>("GET", path);
export const post = <T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> =>
  ask<T>("POST", path, body, headers);

export const who = (): Promise<Who> => get<Who>("session");
/** A session of another key ends only if that is said. */
export const enter = (ticket: string, replaces = false): Promise<Who> => post<Who>("session", { ticket, replaces });
export const leave = (): Promise<unknown> => ask("DELETE", "session");
export const used = (): Promise<unknown> => post("session/used", {});

/** A number for a request that is made once; 53 bits are what JSON keeps. */
export function requestName(): string {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
  return String((high & 0x1f_ffff) * 2 ** 32 + low || 1);
}
