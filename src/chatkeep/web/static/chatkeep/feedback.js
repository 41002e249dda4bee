// The form for feedback beside the page, and reports that wait in this browser. Without this script the link works.
"use strict";
{
  const KEPT = "chatkeep-feedback";
  const MOST = 20;
  const find = (name, within = document) => within.querySelector(`[data-feedback${name}]`);
  const drawer = document.getElementById("feedback-drawer");
  const [link, mark, body, status, list] = [find(""), find("-kept"), find("-body", drawer), find("-status", drawer), find("-kept-list", drawer)];
  const kept = () => { try { return JSON.parse(localStorage.getItem(KEPT)) || []; } catch { return []; } };
  const keep = (reports) => { try { localStorage.setItem(KEPT, JSON.stringify(reports.slice(-MOST))); return true; } catch { return false; } };
  const told = (text) => { status.textContent = text; };
  const shown = () => {
    const reports = kept();
    mark.hidden = !reports.length;
    mark.textContent = reports.length ? `${reports.length} kept in this browser` : "";
    list.replaceChildren(...reports.map((report, place) => {
      const row = document.createElement("p");
      const text = Object.assign(document.createElement("span"), { textContent: report.text.slice(0, 80), dir: "auto" });
      const button = (name, act) => Object.assign(document.createElement("button"), { type: "button", textContent: name, onclick: act });
      row.className = "row notice";
      row.append(text, button("Look at it and send", () => fill(report, place)), button("Delete", () => { forget(place); told("Deleted."); }));
      return row;
    }));
  };
  const forget = (place) => { keep(kept().filter((_, at) => at !== place)); shown(); };
  const store = (form, picture) => {
    const values = new FormData(form);
    const given = (name) => String(values.get(name) || "");
    const done = keep([...kept(), { text: given("text"), severity: given("severity"), contact: given("contact") }]);
    told(done ? `It is kept in this browser, until you send it${picture ? "; the screenshot is not" : ""}.` : "This browser keeps nothing. Copy your text before you leave.");
    shown();
    return done;
  };
  const offline = () => {
    body.replaceChildren(find("-offline", drawer).content.cloneNode(true));
    body.querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); if (store(event.target, false)) event.target.reset(); });
  };
  const part = (page) => find("-part", new DOMParser().parseFromString(page, "text/html"));
  const load = async () => {
    try {
      const answer = await fetch(link.href);
      const found = answer.ok && part(await answer.text());
      if (!found) throw new Error("no form");
      body.replaceChildren(document.adoptNode(found));
      const form = find("-form", body);
      form.addEventListener("submit", (event) => { event.preventDefault(); send(form); });
      return form;
    } catch { offline(); return null; }
  };
  const send = async (form) => {
    told("Sending…");
    try {
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
      const page = await answer.text();
      if (answer.status >= 500) throw new Error("not now");
      const found = part(page);
      if (answer.ok && found) {
        if (form.dataset.place) forget(Number(form.dataset.place));
        body.replaceChildren(document.adoptNode(found));
        told("");
        document.getElementById("feedback-drawer-title").focus();
      } else {
        const words = new DOMParser().parseFromString(page, "text/html").querySelectorAll("main h1, main .lead");
        told([...words].map((node) => node.textContent).join(" "));
      }
    } catch {
      if (form.dataset.place) told("Chatkeep cannot be reached. It stays kept in this browser.");
      else store(form, form.elements.picture.files.length);
    }
  };
  const fill = async (report, place) => {
    const form = await load();
    if (!form) return;
    form.dataset.place = place;
    form.elements.text.value = report.text;
    form.elements.contact.value = report.contact;
    if (report.severity) form.elements.severity.value = report.severity;
    told("Look it over, then send it.");
    form.elements.text.focus();
  };
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || find("-part")) return;
    event.preventDefault();
    told("");
    shown();
    drawer.showModal();
    load();
  });
  find("-close", drawer).addEventListener("click", () => drawer.close());
  drawer.addEventListener("close", () => body.replaceChildren());
  shown();
}
