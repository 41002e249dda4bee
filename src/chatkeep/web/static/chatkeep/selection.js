// Ticking many conversations: all at once, a range with Shift, and how many are ticked.
"use strict";
{
  const form = document.getElementById("ticking");
  const boxes = form ? [...form.querySelectorAll('input[name="id"]')] : [];
  const all = form && form.querySelector("[data-tick-all]");
  const told = form && form.querySelector("[data-ticked]");
  let last = null;
  const tell = () => {
    const count = boxes.filter((box) => box.checked).length;
    told.textContent = count ? `${count} ticked` : "";
    all.checked = count === boxes.length;
    all.indeterminate = count > 0 && count < boxes.length;
  };
  if (form) {
    document.getElementById("tick-all").hidden = false;
    all.addEventListener("change", () => { boxes.forEach((box) => { box.checked = all.checked; }); tell(); });
    form.addEventListener("click", (event) => {
      const here = boxes.indexOf(event.target);
      if (here < 0) return;
      if (event.shiftKey && last !== null) {
        const [from, to] = [Math.min(here, last), Math.max(here, last)];
        boxes.slice(from, to + 1).forEach((box) => { box.checked = event.target.checked; });
      }
      last = here;
    });
    form.addEventListener("change", tell);
    tell();
  }
}
