// Live: one stream per tab tells what is new. Counts beside the navigation change by themselves; lists never jump: they
// say how much is new, and show it when somebody asks.
"use strict";
(() => {
  const state = document.querySelector("[data-live-state]");
  const say = (text) => { if (state && state.textContent !== text) state.textContent = text; };

  const setCount = (path, count) => {
    const badge = document.querySelector(`[data-count="${path}"]`);
    if (!badge) return;
    badge.hidden = !count;
    badge.textContent = count > 999 ? "999+" : String(count);
    badge.setAttribute("aria-label", `${badge.textContent} open`);
  };

  // A list that knows its newest row: `data-tail` is a JSON object of the filters, `data-newest` the row's id.
  const seen = new Set();
  const passes = (decision, filters) => Object.entries(filters).every(([name, value]) => decision[name] === value);
  const tell = (tail, decisions) => {
    const filters = JSON.parse(tail.dataset.tail);
    const newest = tail.dataset.newest;
    const place = decisions.findIndex(({ id }) => id === newest);
    const since = place < 0 ? decisions.filter(({ decided_at: at }) => at > (tail.dataset.newestAt || "")) : decisions.slice(0, place);
    for (const decision of since) if (passes(decision, filters)) seen.add(decision.id);
    if (!seen.size) return;
    const atLeast = place < 0 && since.length === decisions.length;
    tail.hidden = false;
    tail.querySelector("[data-tail-text]").textContent = `${seen.size}${atLeast ? "+" : ""} new`;
  };

  const show = (now) => {
    setCount("/ui/approvals", now.waiting);
    setCount("/ui/outbox", now.buried);
    setCount("/ui/dead-letters", now.dead_letters);
    for (const tail of document.querySelectorAll("[data-tail]")) tell(tail, now.decisions);
    for (const spot of document.querySelectorAll("[data-now]")) {
      const value = now[spot.dataset.now];
      if (value !== undefined) spot.textContent = String(value);
    }
    document.dispatchEvent(new CustomEvent("innervate:now", { detail: now }));
  };

  let source = null;
  const connect = () => {
    const address = document.body.dataset.live; // none for whoever has not signed in
    if (source || document.hidden || !address) return;
    source = new EventSource(address);
    source.addEventListener("now", (event) => { say("live"); show(JSON.parse(event.data)); });
    source.addEventListener("away", () => say("PostgreSQL does not answer"));
    source.addEventListener("error", () => {
      say("not live, trying again");
      if (source?.readyState !== EventSource.CLOSED) return; // it connects again by itself
      disconnect();
      setTimeout(connect, 10000);
    });
  };
  const disconnect = () => {
    source?.close();
    source = null;
  };
  // A tab that nobody looks at takes nothing of the worker.
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
  addEventListener("pagehide", disconnect);
  connect();
})();
