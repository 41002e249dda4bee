// Dropping files on the page, with the progress of the upload. Without this script the form works all the same.
"use strict";
{
  const form = document.getElementById("drop");
  const input = form.querySelector('input[type="file"]');
  const told = form.querySelector("[data-told]");
  const bar = told.querySelector("progress");
  const text = told.querySelector("[data-text]");
  const tellError = (page) => {
    const answer = new DOMParser().parseFromString(page, "text/html");
    text.textContent = [...answer.querySelectorAll("main h1, main .lead")].map((node) => node.textContent).join(" ");
  };
  const send = (files) => {
    const data = new FormData();
    data.append("csrfmiddlewaretoken", form.querySelector('[name="csrfmiddlewaretoken"]').value);
    for (const file of files) data.append("files", file, file.name);
    const request = new XMLHttpRequest();
    told.hidden = false;
    text.textContent = files.length === 1 ? files[0].name : `${files.length} files`;
    request.upload.addEventListener("progress", (event) => { bar.value = (100 * event.loaded) / event.total; });
    request.addEventListener("load", () => {
      if (request.responseURL !== location.href && request.status < 400) location.assign(request.responseURL);
      else tellError(request.responseText);
    });
    request.addEventListener("error", () => { text.textContent = "The upload broke off. Nothing was imported; try again."; });
    request.open("POST", form.action);
    request.send(data);
  };
  const over = (on) => (event) => { event.preventDefault(); form.classList.toggle("over", on); };
  form.addEventListener("dragover", over(true));
  form.addEventListener("dragleave", over(false));
  form.addEventListener("drop", (event) => { over(false)(event); if (event.dataTransfer.files.length) send(event.dataTransfer.files); });
  form.addEventListener("submit", (event) => { if (input.files.length) { event.preventDefault(); send(input.files); } });
}
