// Makes pages live. Everything works without it: it looks at the page again, takes over the parts that are marked data-live, and
// follows logs.
"use strict";

const liveness = document.querySelector(".liveness");
let looking = false;
let again = false;

// Takes over what changed of the marked parts, and leaves the rest, what somebody writes or reads, as it is.
async function look() {
  if (looking) {
    again = true;
    return;
  }
  looking = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (answer.redirected && new URL(answer.url).pathname === "/console/login") {
      location.reload();
      return;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = page.getElementById(part.id);
      if (next && next.innerHTML !== part.innerHTML && !part.contains(document.activeElement)) part.innerHTML = next.innerHTML;
    }
    say("");
  } catch {
    say("The server does not answer; what you see may be old.");
  } finally {
    looking = false;
    if (again) {
      again = false;
      look();
    }
  }
}

function say(text) {
  if (liveness && liveness.textContent !== text) liveness.textContent = text;
}

// Pages that are looked at again now and then, while somebody sees them. The answer to a form is not one that can be asked for again.
const every = Number(document.body.dataset.every);
if (every > 0) setInterval(() => document.visibilityState === "visible" && look(), every * 1000);

// Keeps a stream open while somebody sees the page: browsers have only a few connections for all pages of a host.
function whileSeen(open) {
  let stream = null;
  const turn = () => {
    if (document.visibilityState === "visible") {
      stream ??= open();
    } else {
      stream?.close();
      stream = null;
    }
  };
  document.addEventListener("visibilitychange", turn);
  turn();
}

// Pages about something that tells when it changes.
const source = document.querySelector("[data-events]");
if (source) {
  whileSeen(() => {
    const events = new EventSource(source.dataset.events);
    events.addEventListener(source.dataset.event, (event) => {
      if (event.lastEventId === source.dataset.version) return;
      source.dataset.version = event.lastEventId;
      look();
    });
    return events;
  });
}

// The same that the server leaves out or shows as a picture of itself.
const escapes = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])/g;
function plain(text) {
  return text
    .replace(escapes, "")
    .replace(/\r\n?/g, "\n")
    .replace(/[\x00-\x08\x0b-\x1f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/\x7f/g, "\u2421")
    .replace(/[\x80-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}

// A log that grows, up to a length at which its beginning goes.
const longest = 512 * 1024;
const log = document.querySelector("[data-log]");
if (log) {
  log.scrollTop = log.scrollHeight;
  let ended = false;
  whileSeen(() => {
    if (ended) return null;
    let begun = false;
    const lines = new EventSource(log.dataset.log);
    lines.addEventListener("log", (event) => {
      const low = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      if (!begun) log.textContent = ""; // the stream begins at the beginning
      begun = true;
      log.append(document.createTextNode(plain(JSON.parse(event.data).text)));
      let length = log.textContent.length;
      while (length > longest && log.childNodes.length > 1) {
        length -= log.firstChild.length;
        log.firstChild.remove();
      }
      if (low) log.scrollTop = log.scrollHeight;
    });
    lines.addEventListener("end", () => {
      ended = true;
      lines.close();
      look();
    });
    return lines;
  });
}
