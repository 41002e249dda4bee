// Reading with the keyboard: j and k go from message to message. Never while somebody types.
"use strict";
{
  const turns = [...document.querySelectorAll(".turn")];
  const typing = (node) => node.closest("input, textarea, select, [contenteditable]");
  const current = () => turns.findIndex((turn) => turn.getBoundingClientRect().bottom > 80);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const step = { j: 1, k: -1 }[event.key];
    if (!step || !turns.length) return;
    const next = turns[Math.min(turns.length - 1, Math.max(0, current() + step))];
    next.tabIndex = -1;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "start" });
  });
}
