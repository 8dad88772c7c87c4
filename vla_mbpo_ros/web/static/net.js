// Asking the server. A refusal is an Error with a cause and a cure.

export class Refusal extends Error {
  constructor(cause, cure) {
    super(cause);
    this.cure = cure;
  }
}

async function answered(response) {
  const content = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Refusal(content.cause || `The server answered ${response.status}.`, content.cure || "See its log.");
  }
  return content;
}

/** Everything in words and numbers. What has not changed is not sent again: the browser asks by its ETag. */
export async function getState() {
  return answered(await fetch("/state.json", { cache: "no-cache", signal: AbortSignal.timeout(5000) }));
}

export async function post(path, content = {}) {
  const body = JSON.stringify(content);
  return answered(await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body }));
}

export const cameraAddress = (name, stamp) => `/cameras/${encodeURIComponent(name)}.jpg?stamp=${stamp}`;

/** What was seen after a dream's first chunk. */
export const truthAddress = (key, view) => `/dreams/${encodeURIComponent(key)}/truth/${encodeURIComponent(view)}.jpg`;

/** Chunk 0 is the real picture that the dream began with. */
export const dreamAddress = (key, sample, chunk, view) =>
  `/dreams/${encodeURIComponent(key)}/${sample}/${chunk}/${encodeURIComponent(view)}.jpg`;
