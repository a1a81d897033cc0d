// Requests to the server. An error is thrown with the sentence that the server says.

async function answerOf(response) {
  if (response.ok) return response;
  let told = { error: `the server answers ${response.status}` };
  try { told = await response.json(); } catch { /* no JSON: the number must do */ }
  const error = new Error(told.error);
  error.unfit = told.unfit ?? null;  // the field that is wrong, and a value that works
  error.status = response.status;
  error.again = Number(response.headers.get("retry-after")) || null;
  throw error;
}

export async function get(path, signal) {
  return (await answerOf(await fetch(`/api/${path}`, { signal }))).json();
}

export async function remove(path) {
  return (await answerOf(await fetch(`/api/${path}`, { method: "DELETE" }))).json();
}

function send(path, asked, signal) {
  if (asked === null) return fetch(`/api/${path}`, { signal });
  return fetch(`/api/${path}`, {
    method: "POST", signal, body: JSON.stringify(asked),
    headers: { "content-type": "application/json" },
  });
}

// A server that has too much to do says when to ask again; that is done once.
export async function post(path, asked, signal) {
  try {
    return await (await answerOf(await send(path, asked, signal))).json();
  } catch (error) {
    if (!error.again) throw error;
    await new Promise((resolve) => setTimeout(resolve, 1000 * error.again));
    return (await answerOf(await send(path, asked, signal))).json();
  }
}

// Yield the data of server-sent events; asked is null where nothing is sent but the question.
// (EventSource can send no body, and tells no error.)
export async function* events(path, asked, signal) {
  const response = await answerOf(await send(path, asked, signal));
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

// Keeps of several requests for the same thing only the newest.
export class Newest {
  start() {
    this.controller?.abort();
    this.controller = new AbortController();
    return this.controller.signal;
  }
  end() { this.controller?.abort(); }
}
