// Requests to the server. If a request fails, the thrown error holds the server's message.

async function checked(response) {
  if (response.ok) return response;
  let problem = { error: `the server answers ${response.status}` };
  try { problem = await response.json(); } catch { /* not JSON: the status has to be enough */ }
  const error = new Error(problem.error);
  error.unfit = problem.unfit ?? null;  // the field that is wrong, and a value that works
  error.status = response.status;
  error.retryAfter = Number(response.headers.get("retry-after")) || null;
  throw error;
}

export async function get(path, signal) {
  return (await checked(await fetch(`/api/${path}`, { signal }))).json();
}

export async function remove(path) {
  return (await checked(await fetch(`/api/${path}`, { method: "DELETE" }))).json();
}

function send(path, body, signal) {
  if (body === null) return fetch(`/api/${path}`, { signal });
  return fetch(`/api/${path}`, {
    method: "POST", signal, body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });
}

// A busy server says when to try again; `post` tries again once.
export async function post(path, body, signal) {
  try {
    return await (await checked(await send(path, body, signal))).json();
  } catch (error) {
    if (!error.retryAfter) throw error;
    await new Promise((resolve) => setTimeout(resolve, 1000 * error.retryAfter));
    return (await checked(await send(path, body, signal))).json();
  }
}

// Yield the data of server-sent events; with a body of null, the request is a GET.
// (The browser's EventSource cannot send a body, and does not report the server's error.)
export async function* events(path, body, signal) {
  const response = await checked(await send(path, body, signal));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (true) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      if (part.startsWith("event: end")) return;
      if (part.startsWith("data: ")) yield JSON.parse(part.slice(6));
    }
  }
}

// Of several requests for the same thing, only the latest stays; `start` aborts the one before it.
export class LatestRequest {
  start() {
    this.controller?.abort();
    this.controller = new AbortController();
    return this.controller.signal;
  }
  end() { this.controller?.abort(); }
}
