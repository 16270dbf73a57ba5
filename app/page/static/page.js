// What makes the page handier and never what makes it work: copying ids, times that stay true, keys that lead somewhere.
"use strict";
(() => {
  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"]];
  const duration = (seconds) => {
    const unit = UNITS.find(([length]) => seconds >= 2 * length);
    return unit ? `${Math.round(seconds / unit[0])} ${unit[1]}` : `${Math.round(seconds)} s`;
  };
  const ago = (at) => {
    const seconds = (Date.now() - Date.parse(at)) / 1000;
    if (Math.abs(seconds) < 1) return "just now";
    return seconds < 0 ? `in ${duration(-seconds)}` : `${duration(seconds)} ago`;
  };
  const refreshTimes = () => {
    for (const shown of document.querySelectorAll("[data-ago]")) {
      const at = shown.closest("time")?.dateTime;
      const text = at && ago(at);
      if (text && text !== shown.textContent) shown.textContent = text;
    }
  };
  setInterval(refreshTimes, 5000);

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.dataset.copied = "yes";
    } catch {
      button.dataset.copied = "no"; // forbidden, or no secure context
    }
    setTimeout(() => { delete button.dataset.copied; }, 1500);
  });

  // Keys: only where nobody is writing, and never with a modifier.
  const PLACES = { n: "/ui/", f: "/ui/flow", s: "/ui/stories", d: "/ui/decisions", a: "/ui/approvals", o: "/ui/outbox", m: "/ui/models", w: "/ui/workers", h: "/ui/help" };
  let leadsUntil = 0;
  const isWriting = (target) => target.closest?.("input, textarea, select, [contenteditable]");
  const move = (step) => {
    const rows = [...document.querySelectorAll("main tbody tr a:first-of-type")].filter(
      (link, place, all) => all.findIndex((other) => other.closest("tr") === link.closest("tr")) === place);
    if (!rows.length) return;
    const at = rows.findIndex((link) => link.closest("tr").contains(document.activeElement));
    rows[Math.min(Math.max(at + step, 0), rows.length - 1)].focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    if (Date.now() < leadsUntil && PLACES[event.key]) {
      leadsUntil = 0;
      location.assign(PLACES[event.key]);
    } else if (event.key === "g") leadsUntil = Date.now() + 1500;
    else if (event.key === "?") location.assign("/ui/help");
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
  });
})();
