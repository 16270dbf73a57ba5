// The command palette: `/` or Ctrl-K opens it, words narrow it, Enter goes there; anything else is looked up as an id.
"use strict";
(() => {
  const dialog = document.getElementById("palette");
  if (!dialog?.showModal) return;
  const input = dialog.querySelector("input");
  const list = dialog.querySelector("ul");
  let options = [];
  let chosen = 0;

  const commands = () => {
    const places = [...document.querySelectorAll("nav.places a")].map((link) => ({ name: link.firstChild.textContent.trim(), href: link.getAttribute("href") }));
    const here = [...document.querySelectorAll("[data-command]")].map((link) => ({ name: link.dataset.command, href: link.getAttribute("href") }));
    return [...here, ...places, { name: "Help", href: "/ui/help" }];
  };
  const matches = (name, words) => words.every((word) => name.toLowerCase().includes(word));
  const choose = (place) => {
    chosen = Math.min(Math.max(place, 0), list.children.length - 1);
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === chosen)));
    const item = list.children[chosen];
    if (item) {
      input.setAttribute("aria-activedescendant", item.id);
      item.scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  };
  const draw = () => {
    const text = input.value.trim();
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    options = commands().filter(({ name }) => matches(name, words));
    if (text) options.push({ name: `Find “${text}”`, href: `/ui/stories?find=${encodeURIComponent(text)}` });
    list.replaceChildren(...options.map(({ name }, at) => {
      const item = document.createElement("li");
      item.id = `palette-${at}`;
      item.setAttribute("role", "option");
      item.textContent = name;
      item.addEventListener("click", () => go(at));
      return item;
    }));
    choose(0);
  };
  const go = (at) => {
    const option = options[at];
    if (!option) return;
    dialog.close();
    location.assign(option.href);
  };
  const open = () => {
    if (dialog.open) return;
    input.value = "";
    draw();
    dialog.showModal();
    input.focus();
  };

  input.addEventListener("input", draw);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter") go(chosen);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.addEventListener("keydown", (event) => {
    const isWriting = event.target.closest?.("input, textarea, select, [contenteditable]");
    const isCtrlK = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey;
    const isSlash = event.key === "/" && !isWriting && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (!isCtrlK && !isSlash) return;
    event.preventDefault();
    open();
  });
})();
