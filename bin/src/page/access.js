// Asking the job: with the token of this tab, which is asked for where the job wants one.

import { $ } from "/page/words.js";

const KEY = "thalweg-token";
let asking = null;

const token = () => sessionStorage.getItem(KEY);
const headers = (more = {}) => (token() ? { ...more, Authorization: `Bearer ${token()}` } : more);

// Opens the dialog; true when a token was given. One dialog serves all who ask at once.
export function askToken(why) {
  asking ??= new Promise((done) => {
    const dialog = $("token-dialog");
    if (why) $("token-why").textContent = why;
    $("token").value = "";
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue === "ok" ? $("token").value.trim() : "";
      $("token").value = "";
      if (given) sessionStorage.setItem(KEY, given);
      asking = null;
      done(Boolean(given));
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

const words = async (answer) => {
  const text = await answer.text();
  try { return JSON.parse(text).error ?? text; } catch { return text; }
};

// The answer, or an error in the job's words. Where it asks for a token, so does this, and asks the job again.
export async function ask(path, options = {}) {
  for (;;) {
    const answer = await fetch(path, { ...options, headers: headers(options.headers) });
    if (answer.ok) return answer;
    const why = await words(answer);
    if (answer.status === 401) {
      sessionStorage.removeItem(KEY);
      if (await askToken(why)) continue;
    }
    throw new Error(why || `status ${answer.status}`);
  }
}

// Server-sent events; an EventSource could send no token. Comes back by itself after a break.
export async function follow(path, heard, state) {
  for (let pause = 1000; ; pause = Math.min(pause * 2, 10000)) {
    try {
      const answer = await ask(path, { cache: "no-store" });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      state(null);
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        pause = 500;
        text += value;
        for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
          const lines = text.slice(0, end).split("\n");
          const of = (name) => lines.filter((line) => line.startsWith(name)).map((line) => line.slice(name.length)).join("\n");
          heard(of("event: "), JSON.parse(of("data: ")));
        }
      }
    } catch (error) {
      state(error.message);
    }
    await new Promise((done) => setTimeout(done, pause));
  }
}
